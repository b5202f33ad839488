import { Ajv } from "ajv";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Lint from "./lint.ts";

const text = { type: ["string", "null"] };
const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
});
const nested = (depth: number): unknown => (depth === 1 ? text : object({ a: nested(depth - 1) }));

describe("a schema inside the portable subset passes", () => {
  test.each([
    ["nullable text", object({ total: text })],
    [
      "nested objects, also nullable",
      object({ a: object({ b: text }), c: { ...object({ d: text }), type: ["object", "null"] } }),
    ],
    [
      "lists with bounds",
      object({ a: { type: "array", items: object({ b: text }), minItems: 0, maxItems: 1000 } }),
    ],
    [
      "numbers with bounds",
      object({ a: { type: "integer", minimum: 0, maximum: 9 }, b: { type: ["number", "null"] } }),
    ],
    [
      "choices",
      object({ a: { type: "string", enum: ["x", "y"] }, b: { type: ["string", "null"], enum: ["x", null] } }),
    ],
    ["constants", object({ a: { type: "string", const: "x" }, b: { type: "boolean" }, c: { type: "null" } })],
    ["formats that every engine knows", object({ a: { type: ["string", "null"], format: "date" } })],
    [
      "alternatives",
      object({ a: { description: "either", anyOf: [object({ b: text }), { type: "integer" }] } }),
    ],
    ["the deepest", nested(Lint.maxDepth)],
  ])("%s", (_, schema) => {
    expect(Lint.portable(schema).issues).toEqual([]);
  });
});

describe("what breaks engines is refused, by place", () => {
  test.each<[string, unknown, string]>([
    ["no schema", null, ""],
    ["a boolean", true, ""],
    ["a list", [], ""],
    ["the empty schema", {}, ""],
    ["an empty schema below", object({ a: {} }), "properties.a"],
    ["true below", object({ a: true }), "properties.a"],
    ["a list outermost", { type: "array", items: text }, ""],
    ["a nullable outermost", object({ a: text }, { type: ["object", "null"] }), ""],
    ["open objects", { type: "object", properties: { a: text }, required: ["a"] }, ""],
    [
      "objects without properties",
      { type: "object", properties: {}, required: [], additionalProperties: false },
      "",
    ],
    ["required twice", object({ a: text, b: text }, { required: ["a", "a"] }), ""],
    ["required that is not a list", object({ a: text }, { required: "a" }), ""],
    ["no type", object({ a: { description: "x" } }), "properties.a"],
    ["a type of the prototype", object({ a: { type: "constructor" } }), "properties.a"],
    ["regular expressions", object({ a: { type: "string", pattern: "(a+)+$" } }), "properties.a"],
    ["an object that must hold itself", object({ a: { $ref: "#" } }), "properties.a"],
    ["references to elsewhere", object({ a: { $ref: "http://host/x" } }), "properties.a"],
    ["references to nothing", object({ a: { $ref: "#/$defs/x" } }), "properties.a"],
    ["references into a schema", object({ a: { $ref: "#/properties/a" } }), "properties.a"],
    [
      "references beside something else",
      object({ a: { $ref: "#/$defs/x", enum: ["y"] } }, { $defs: { x: text } }),
      "properties.a",
    ],
    [
      "alternatives that begin with themselves",
      object({ a: { $ref: "#/$defs/x" } }, { $defs: { x: { anyOf: [{ $ref: "#/$defs/x" }, text] } } }),
      "properties.a",
    ],
    [
      "lists that must hold themselves",
      object(
        { a: { $ref: "#/$defs/x" } },
        { $defs: { x: { type: "array", items: { $ref: "#/$defs/x" }, minItems: 1 } } },
      ),
      "properties.a",
    ],
    ["definitions below the top", object({ a: { ...text, $defs: {} } }), "properties.a"],
    ["required of what is not there", object({ a: text }, { required: ["a", "b"] }), ""],
    ["a type twice", object({ a: { type: ["string", "string"] } }), "properties.a"],
    ["formats that nobody holds", object({ a: { type: "string", format: "iban" } }), "properties.a"],
    ["lengths that are none", object({ a: { type: "string", maxLength: -1 } }), "properties.a"],
    [
      "large annotations",
      object({ a: { ...text, default: Array.from({ length: 2000 }, () => 1) } }),
      "properties.a",
    ],
    [
      "references in a circle",
      object({ a: { $ref: "#/$defs/a" } }, { $defs: { a: { $ref: "#/$defs/a" } } }),
      "",
    ],
    ["multipleOf", object({ a: { type: "number", multipleOf: 0.01 } }), "properties.a"],
    ["uniqueItems", object({ a: { type: "array", items: text, uniqueItems: true } }), "properties.a"],
    ["keywords of another type", object({ a: { type: "string", items: text } }), "properties.a"],
    ["a list without items", object({ a: { type: "array" } }), "properties.a"],
    ["a long list", object({ a: { type: "array", items: text, maxItems: 1e9 } }), "properties.a"],
    ["bounds that cross", object({ a: { type: "integer", minimum: 2, maximum: 1 } }), "properties.a"],
    ["a bound that is not a number", object({ a: { type: "number", minimum: Number.NaN } }), "properties.a"],
    ["enum of another type", object({ a: { type: "string", enum: [1] } }), "properties.a"],
    ["enum of objects", object({ a: { type: "string", enum: [{}] } }), "properties.a"],
    ["an empty enum", object({ a: { type: "string", enum: [] } }), "properties.a"],
    ["a repeated value", object({ a: { type: "string", enum: ["x", "x"] } }), "properties.a"],
    ["enum without null", object({ a: { type: ["string", "null"], enum: ["x"] } }), "properties.a"],
    ["a long constant", object({ a: { type: "string", const: "x".repeat(201) } }), "properties.a"],
    ["anyOf beside type", object({ a: { type: "string", anyOf: [text, text] } }), "properties.a"],
    ["anyOf of one", object({ a: { anyOf: [text] } }), "properties.a"],
    ["a long description", object({ a: { type: "string", description: "x".repeat(1001) } }), "properties.a"],
    [
      "one level too deep",
      nested(Lint.maxDepth + 1),
      "properties.a".concat(".properties.a".repeat(Lint.maxDepth - 1)),
    ],
    ["names of the prototype", object({ constructor: text }), "properties[0]"],
    [
      "__proto__ as a name",
      JSON.parse(JSON.stringify(object({ a: text })).replaceAll('"a"', '"__proto__"')),
      "properties[0]",
    ],
    ["names with blanks", object({ "a b": text }), "properties[0]"],
  ])("%s", (_, schema, path) => {
    const issues = Lint.portable(schema).issues;
    expect(issues.map((issue) => issue.path)).toContain(path);
    for (const { message } of issues) expect(message.length).toBeGreaterThan(5);
  });
});

describe("hostile schemas", () => {
  const cyclic: Record<string, unknown> = object({ a: text });
  cyclic.properties = { a: cyclic };
  cyclic.required = ["a"];
  const shared = Array.from({ length: 30 }).reduce<unknown>(
    (inner) => object({ a: inner, b: inner, c: inner }),
    text,
  );
  const wide = (count: number) =>
    object(Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, text])));
  const bottomless: unknown = JSON.parse(`${"[".repeat(50_000)}${"]".repeat(50_000)}`);
  const selves = object(
    Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`p${n}`, { anyOf: [{ $ref: "#" }, text] }])),
  );
  const alternatives = Array.from({ length: 4 }).reduce<unknown>(
    (inner) => object({ a: { anyOf: Array.from({ length: 8 }, () => inner) } }),
    object({ a: text }),
  );

  test.each<[string, unknown]>([
    ["depth 100", nested(100)],
    ["depth 5,000", nested(5000)],
    ["10,000 properties", wide(10_000)],
    ["1,000,000 required", object({ a: text }, { required: Array.from({ length: 1_000_000 }, () => "a") })],
    [
      "100,000 unknown keywords",
      Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, 1])),
    ],
    [
      "a huge enum",
      object({ a: { type: "string", enum: Array.from({ length: 1_000_000 }, (_, index) => `${index}`) } }),
    ],
    ["a cycle", cyclic],
    ["a bottomless annotation", object({ a: text }, { examples: bottomless })],
    ["a bottomless $schema", object({ a: text }, { $schema: bottomless })],
    ["a hundred ways to refer to itself", selves],
    [
      "a thousand references in a row",
      object(
        { a: { $ref: "#/$defs/d0" } },
        {
          $defs: Object.fromEntries(
            Array.from({ length: 1_000 }, (_, n) => [`d${n}`, { $ref: `#/$defs/d${n + 1}` }]),
          ),
        },
      ),
    ],
    ["3^30 schemas by shared parts", shared],
    ["8^4 alternatives", alternatives],
    [
      "many small objects",
      object(Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`p${index}`, wide(90)]))),
    ],
    [
      "megabytes of enum",
      object(
        Object.fromEntries(
          Array.from({ length: 90 }, (_, index) => [
            `p${index}`,
            { type: "string", enum: Array.from({ length: 90 }, (__, value) => `${value}`.padEnd(190)) },
          ]),
        ),
      ),
    ],
    ["a type list without end", object({ a: { type: Array.from({ length: 1_000_000 }, () => "string") } })],
  ])("%s: refused in little time", (_, schema) => {
    const before = process.cpuUsage();
    const issues = Lint.portable(schema).issues;
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(300);
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.length).toBeLessThanOrEqual(Lint.maxIssues);
  });

  test("messages and paths never repeat values, odd names or unknown keywords", () => {
    const canary = "canary 7f3a";
    const schema = object(
      {
        [canary]: { type: canary },
        a: { type: "string", format: canary, enum: [canary, 4] },
        b: { type: "string", [canary]: canary },
      },
      { [`${canary}!`]: canary },
    );
    const inner = object({
      a: { type: "string", format: canary },
      b: { type: canary },
      c: { type: "string", const: { canary } },
    });
    for (const given of [schema, inner]) {
      const issues = Lint.portable(given).issues;
      expect(issues.length).toBeGreaterThan(0);
      expect(JSON.stringify(issues)).not.toContain("canary");
    }
  });

  test("any JSON is either accepted or refused", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (schema) => Array.isArray(Lint.portable(schema).issues)),
    );
  });

  test("whatever passes is a schema that a strict validator compiles", () => {
    const { schema } = fc.letrec<{ schema: unknown; scalar: unknown; object: unknown }>((tie) => ({
      scalar: fc.constantFrom<unknown>(
        text,
        { type: "string", enum: ["x", "y"] },
        { type: "integer", minimum: 0 },
        { type: "boolean", const: true },
        { type: "string", pattern: "[" },
        { type: "string", format: "nonsense" },
        { type: "nonsense" },
        {},
      ),
      object: fc
        .dictionary(fc.stringMatching(/^[a-z_$]{1,12}$/), tie("schema"), {
          minKeys: 1,
          maxKeys: 3,
          depthIdentifier: "s",
        })
        .map((properties) => object(properties)),
      schema: fc.oneof(
        { depthSize: "small", depthIdentifier: "s" },
        tie("scalar"),
        tie("object"),
        tie("schema").map((items) => ({ type: "array", items })),
      ),
    }));
    let passed = 0;
    fc.assert(
      fc.property(schema, (inner) => {
        const whole = object({ a: inner });
        if (Lint.portable(whole).issues.length > 0) return;
        passed += 1;
        new Ajv({ strict: true, allowUnionTypes: true, logger: false }).compile(whole);
      }),
      { numRuns: 80 },
    );
    expect(passed).toBeGreaterThan(10);
  });
});

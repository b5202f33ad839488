import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { portable } from "./lint.ts";
import { override } from "./override.ts";
import * as Task from "./task.ts";

const text = { type: "string" };
const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
});
/** What is sent of a field, or why it is refused. */
const fieldOf = (schema: unknown, more: Record<string, unknown> = {}) => {
  const { issues, model } = portable(object({ a: schema }, more));
  return issues.length > 0 ? issues : (model.properties as Record<string, unknown>).a;
};
const receipt = Task.get("receipt_fields_v1");
if (receipt === undefined) throw new Error("no such task");
const held = async (schema: Record<string, unknown>) =>
  (await override(receipt, { schema_override: schema })).validate;

describe("a schema with several faults", () => {
  test("all mistakes are reported at once, of every level", () => {
    const deep = object({
      c: { type: "array", uniqueItems: true, items: { ...text, pattern: "x", not: {} } },
    });
    const schema = object(
      {
        a: { ...text, pattern: "^a$" },
        b: { type: "object", properties: { d: { type: "number", multipleOf: 2 } }, patternProperties: {} },
        e: { anyOf: [deep, { type: "null" }] },
        f: { allOf: [{ ...text, pattern: "y" }, { type: "string" }] },
        g: { $ref: "#/$defs/h" },
        i: { ...text, surprise: 1 },
      },
      { propertyNames: {}, $defs: { h: { type: "number", multipleOf: 1 } } },
    );
    const said = portable(schema).issues.map(({ path, message }) => `${path}: ${message.split(" ")[0]}`);
    expect(said.toSorted()).toEqual(
      [
        ": propertyNames",
        "properties.a: pattern",
        "properties.b: patternProperties",
        "properties.b: additionalProperties",
        "properties.b.properties.d: multipleOf",
        "properties.e.anyOf[0].properties.c: uniqueItems",
        "properties.e.anyOf[0].properties.c.items: not",
        "properties.e.anyOf[0].properties.c.items: pattern",
        "properties.f: allOf",
        "properties.f.allOf[0]: pattern",
        "$defs.h: multipleOf",
        "properties.i: has",
      ].toSorted(),
    );
  });
});

describe("nullable anyOf becomes a list of types", () => {
  const nothing = { type: "null" };
  test.each<[string, unknown, unknown]>([
    ["a text", { anyOf: [text, nothing] }, { type: ["string", "null"] }],
    ["the other way round", { anyOf: [nothing, text] }, { type: ["string", "null"] }],
    ["oneOf", { oneOf: [text, nothing] }, { type: ["string", "null"] }],
    [
      "with a description",
      { description: "x", anyOf: [text, nothing] },
      { type: ["string", "null"], description: "x" },
    ],
    [
      "an enum",
      { anyOf: [{ ...text, enum: ["x"] }, nothing] },
      { type: ["string", "null"], enum: ["x", null] },
    ],
    ["a constant", { anyOf: [{ const: "x" }, nothing] }, { type: ["string", "null"], enum: ["x", null] }],
    [
      "an object",
      { anyOf: [object({ b: text }), nothing] },
      { ...object({ b: text }), type: ["object", "null"] },
    ],
    [
      "bounds",
      { anyOf: [{ type: "integer", minimum: 1 }, { const: null }] },
      { type: ["integer", "null"], minimum: 1 },
    ],
    ["twice", { anyOf: [{ anyOf: [text, nothing] }, nothing] }, { type: ["string", "null"] }],
    [
      "several types",
      { anyOf: [{ type: ["string", "number"] }, nothing] },
      { type: ["string", "number", "null"] },
    ],
    [
      "alternatives stay",
      { anyOf: [{ anyOf: [text, { type: "number" }] }, nothing] },
      { anyOf: [{ anyOf: [text, { type: "number" }] }, nothing] },
    ],
  ])("%s", (_name, given, expected) => {
    expect(fieldOf(given)).toEqual(expected);
  });

  test("a reference stays one of two", () => {
    const schema = object({ a: text, next: { anyOf: [{ $ref: "#" }, nothing] } });
    expect(portable(schema)).toEqual({ issues: [], model: schema, checked: schema });
  });
});

describe("what zod writes", () => {
  const Line = z.object({ name: z.string().min(1), price: z.string().nullable() });
  const node = z.object({
    name: z.string(),
    get next() {
      return node.nullable();
    },
  });
  const kinds: Record<string, z.ZodType> = {
    date: z.iso.date(),
    time: z.iso.time({ precision: 0 }),
    dateTime: z.iso.datetime({ offset: true }).nullable(),
    email: z.email().nullable(),
    uuid: z.uuidv4(),
    hostname: z.hostname(),
    e164: z.e164(),
    base64: z.base64(),
    starts: z.string().startsWith("AB.C"),
    ends: z.string().endsWith("EUR"),
    includes: z.string().includes("("),
    upper: z.string().uppercase(),
    lengths: z.string().min(2).max(9).nullable(),
    int: z.int().positive().nullable(),
    float: z.float64(),
    choice: z.enum(["cash", "card"]).nullable(),
    literals: z.literal(["x", 1, null]),
    union: z.union([z.string(), z.number()]).nullable(),
    kinds: z.discriminatedUnion("k", [
      z.object({ k: z.literal("a"), a: z.string() }),
      z.object({ k: z.literal("b"), b: z.number() }),
    ]),
    tuple: z.tuple([z.string(), z.number()]),
    lines: z.array(Line).min(1).max(20),
    optional: z.string().optional(),
    defaulted: z.string().default("x"),
    described: z.string().meta({ title: "t", description: "d", examples: ["x"] }),
    named: z.object({ a: z.string() }).meta({ id: "Named" }),
    recursive: node,
  };
  const refusedKinds: Record<string, [z.ZodType, string]> = {
    regex: [z.string().regex(/^(a+)+$/), "pattern"],
    both: [z.iso.date().regex(/^2026/), "allOf"],
    record: [z.record(z.string(), z.number()), "propertyNames"],
    loose: [z.looseObject({ a: z.string() }), "additionalProperties"],
    any: [z.any(), "empty"],
    never: [z.never(), "not"],
    multiple: [z.number().multipleOf(0.01), "multipleOf"],
    jwt: [z.jwt(), "format jwt"],
  };

  test.each(Object.entries(kinds))(
    "%s passes, and has nothing that a server refuses or distorts",
    (_name, kind) => {
      for (const target of ["draft-2020-12", "draft-7"] as const) {
        if (target === "draft-7" && kind === kinds.tuple) continue;
        const { issues, model } = portable(
          z.toJSONSchema(z.object({ a: kind, b: z.array(kind) }), { target }),
        );
        expect(issues).toEqual([]);
        expect(JSON.stringify(model)).not.toMatch(
          /"(?:pattern|minLength|maxLength|\$schema|title|default|contentEncoding)"|"format":"(?:email|time|e164|base64|\w+_with)"/,
        );
      }
    },
  );

  test.each(Object.entries(refusedKinds))("%s is refused by name", (_name, [kind, word]) => {
    const { issues } = portable(z.toJSONSchema(z.object({ a: kind })));
    expect(
      issues.some(({ path, message }) => path.startsWith("properties.a") && message.includes(word)),
    ).toBe(true);
  });

  test("patterns of zod's are checked afterwards, those of earlier versions too", async () => {
    const older = object({
      id: { ...text, format: "ulid", pattern: "^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$" },
      phone: { ...text, format: "e164", pattern: "^\\+(?:[0-9]){6,14}[0-9]$" },
    });
    const check = await held(older);
    const good = { id: "01ARZ3NDEKTSV4RRFFQ69G5FAV", phone: "+4930123456" };
    expect(check(good)).toEqual({ ok: true, errors: [] });
    expect(check({ id: "x", phone: "030" }).errors.map(({ path }) => path)).toEqual(["id", "phone"]);
    const current = z.toJSONSchema(
      z.object({
        day: z.iso.date().nullable(),
        at: z.iso.time(),
        mail: z.email(),
        code: z.string().startsWith("AB.C"),
      }),
    );
    const now = await held(current as Record<string, unknown>);
    const right = { day: "2024-02-29", at: "10:15", mail: "a@x.y.de", code: "AB.C-1" };
    expect(now(right)).toEqual({ ok: true, errors: [] });
    expect(now({ ...right, day: null }).ok).toBe(true);
    const wrong = { day: "2025-02-29", at: "25:00", mail: "a@", code: "ABxC" };
    expect(now(wrong).errors.map(({ path }) => path)).toEqual(["day", "at", "mail", "code"]);
  });

  test("rules that are not sent are still checked: lengths, formats, exclusive alternatives", async () => {
    const check = await held(
      object({
        name: { ...text, minLength: 2, maxLength: 3 },
        day: { ...text, format: "date" },
        at: { type: ["string", "null"], format: "time" },
        mail: { ...text, format: "email" },
        amount: { ...text, format: "x-money" },
        one: { oneOf: [{ type: "integer" }, { type: "number" }] },
      }),
    );
    const good = {
      name: 'a"',
      day: "2026-01-31",
      at: "10:15:00",
      mail: "a@x.y.de",
      amount: "12,50 €",
      one: 1.5,
    };
    expect(check(good)).toEqual({ ok: true, errors: [] });
    const bad = { name: "a", day: "2026-02-31", at: "noon", mail: "x", amount: "twelve", one: 1 };
    const paths = check(bad).errors.map(({ path }) => path);
    for (const name of Object.keys(good)) expect(paths).toContain(name);
    expect(check({ ...good, name: "abcd" }).ok).toBe(false);
  });

  test("any zod schema is accepted, or refused by keyword; nothing else happens", async () => {
    const leaf = fc.constantFrom(
      ...Object.values(kinds),
      ...Object.values(refusedKinds).map(([kind]) => kind),
    );
    const { schema } = fc.letrec<{ schema: z.ZodType }>((tie) => ({
      schema: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        leaf,
        tie("schema").map((inner) => inner.nullable()),
        tie("schema").map((inner) => inner.optional()),
        tie("schema").map((inner) => z.array(inner).max(5)),
        fc.tuple(tie("schema"), tie("schema")).map((branches) => z.union(branches)),
        fc.tuple(tie("schema"), tie("schema")).map((parts) => z.tuple(parts)),
        fc
          .dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie("schema"), { minKeys: 1, maxKeys: 4 })
          .map((shape) => z.object(shape)),
      ),
    }));
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(schema, async (inner) => {
        const given = z.toJSONSchema(z.object({ a: inner }), { unrepresentable: "any" });
        const { issues } = portable(given);
        if (issues.length > 0) {
          for (const { message } of issues) expect(message).toMatch(/^[a-zA-Z$]|^a \$ref/);
          return;
        }
        taken += 1;
        const check = await held(given as Record<string, unknown>);
        expect(check({}).errors.length).toBeLessThanOrEqual(100);
      }),
      { numRuns: 60 },
    );
    expect(taken).toBeGreaterThan(10);
  });
});

describe("a task's own schema, as GET /v1/tasks/{id} shows it", () => {
  test.each(Task.list().map((task): [string, Task.Task] => [task.id, task]))(
    "%s as an override changes nothing: the same schema is sent, and all fields and checks stay",
    async (_id, task) => {
      const { schema, model_schema } = Task.detail(task);
      for (const given of [schema, model_schema]) {
        const overridden = await override(task, { schema_override: JSON.parse(JSON.stringify(given)) });
        expect(strip(overridden.task.modelSchema)).toEqual(task.modelSchema);
        expect(overridden.task.fields).toEqual(task.fields);
        expect(overridden.task.checks).toEqual(task.checks);
        for (const { answer } of task.examples)
          expect(overridden.validate(answer)).toEqual({ ok: true, errors: [] });
      }
    },
  );
});

/** Without descriptions, which a model may be given. */
function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(
    ([name, each]) => name !== "description" || typeof each !== "string",
  );
  return Object.fromEntries(entries.map(([name, each]) => [name, strip(each)]));
}

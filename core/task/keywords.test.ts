import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { annotations, applicators, keywordsByType, refusedKeywords } from "./keywords.ts";
import { portable } from "./lint.ts";

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

describe("every keyword of JSON Schema, 2020-12 and draft-07", () => {
  const same = Symbol("sent as it is");
  const dropped = Symbol("not sent");
  const refused = Symbol("refused by name");
  type Row = [keyword: string, schema: Record<string, unknown>, fate: symbol, more?: Record<string, unknown>];
  const numbers = { type: "number" };
  const list = { type: "array", items: text };
  const rows: Row[] = [
    // Core.
    ["$schema", { ...text, $schema: "http://json-schema.org/draft-07/schema#" }, dropped],
    ["$id", { ...text, $id: "https://host/x" }, dropped],
    ["$comment", { ...text, $comment: "x" }, dropped],
    ["$anchor", { ...text, $anchor: "x" }, refused],
    ["$dynamicAnchor", { ...text, $dynamicAnchor: "x" }, refused],
    ["$dynamicRef", { $dynamicRef: "#x" }, refused],
    ["$recursiveRef", { $recursiveRef: "#" }, refused],
    ["$recursiveAnchor", { ...text, $recursiveAnchor: true }, refused],
    ["$vocabulary", { ...text, $vocabulary: {} }, refused],
    ["$ref", { $ref: "#/$defs/x" }, same, { $defs: { x: text } }],
    ["$ref", { $ref: "#/definitions/x" }, same, { definitions: { x: text } }],
    ["$defs", { ...text, $defs: { x: text } }, refused],
    ["definitions", { ...text, definitions: { x: text } }, refused],
    // Applicators.
    ["allOf", { allOf: [text] }, refused],
    ["anyOf", { anyOf: [object({ b: text }), list] }, same],
    ["oneOf", { oneOf: [object({ b: text }), list] }, same],
    ["not", { ...text, not: { const: "x" } }, refused],
    ["if", { ...text, if: { const: "x" } }, refused],
    // biome-ignore lint/suspicious/noThenProperty: the word is JSON Schema's.
    ["then", { ...text, then: { const: "x" } }, refused],
    ["else", { ...text, else: { const: "x" } }, refused],
    ["dependentSchemas", object({ b: text }, { dependentSchemas: {} }), refused],
    ["dependentRequired", object({ b: text }, { dependentRequired: {} }), refused],
    ["dependencies", object({ b: text }, { dependencies: {} }), refused],
    ["prefixItems", { type: "array", prefixItems: [text, numbers], items: false, minItems: 2 }, same],
    ["items", list, same],
    ["items", { type: "array", items: [text] }, refused],
    ["items", { type: "array", items: true }, refused],
    ["additionalItems", { ...list, additionalItems: false }, refused],
    ["unevaluatedItems", { ...list, unevaluatedItems: false }, refused],
    ["contains", { ...list, contains: { const: "x" } }, refused],
    ["properties", object({ b: text }), same],
    ["patternProperties", object({ b: text }, { patternProperties: { "^x": text } }), refused],
    ["additionalProperties", object({ b: text }, { additionalProperties: text }), refused],
    ["additionalProperties", object({ b: text }, { additionalProperties: undefined }), refused],
    ["propertyNames", object({ b: text }, { propertyNames: text }), refused],
    ["unevaluatedProperties", object({ b: text }, { unevaluatedProperties: false }), refused],
    // Validation.
    ["type", { type: ["string", "number", "null"] }, same],
    ["enum", { type: ["string", "null"], enum: ["x", null] }, same],
    ["enum", { type: ["string", "number", "boolean", "null"], enum: ["x", 1, true, null] }, same],
    ["const", { ...text, const: "x" }, same],
    ["const", { ...text, const: {} }, refused],
    ["multipleOf", { ...numbers, multipleOf: 0.01 }, refused],
    ["maximum", { ...numbers, maximum: 1.5 }, same],
    ["minimum", { ...numbers, minimum: -1.5 }, same],
    ["exclusiveMaximum", { ...numbers, exclusiveMaximum: 10 }, same],
    ["exclusiveMinimum", { ...numbers, exclusiveMinimum: 0 }, same],
    ["exclusiveMinimum", { ...numbers, minimum: 0, exclusiveMinimum: true }, refused],
    ["minimum", { ...numbers, minimum: -Number.MAX_VALUE }, dropped],
    ["maxLength", { ...text, maxLength: 5 }, dropped],
    ["minLength", { ...text, minLength: 1 }, dropped],
    ["pattern", { ...text, pattern: "^a+$" }, refused],
    ["pattern", { ...text, pattern: "^(?!x)" }, refused],
    ["pattern", { ...text, format: "date", pattern: "^2026" }, refused],
    ["maxItems", { ...list, maxItems: 3 }, same],
    ["minItems", { ...list, minItems: 1 }, same],
    ["uniqueItems", { ...list, uniqueItems: false }, refused],
    ["maxContains", { ...list, maxContains: 1 }, refused],
    ["minContains", { ...list, minContains: 1 }, refused],
    ["maxProperties", object({ b: text }, { maxProperties: 1 }), refused],
    ["minProperties", object({ b: text }, { minProperties: 1 }), refused],
    ["required", object({ b: text, c: text }, { required: ["c"] }), same],
    ["required", object({ b: text }, { required: undefined }), same],
    // Annotations and contents.
    ["title", { ...text, title: "x" }, dropped],
    ["description", { ...text, description: "x" }, same],
    ["default", { ...text, default: "x" }, dropped],
    ["deprecated", { ...text, deprecated: true }, dropped],
    ["readOnly", { ...text, readOnly: true }, dropped],
    ["writeOnly", { ...text, writeOnly: true }, dropped],
    ["examples", { ...text, examples: ["x"] }, dropped],
    ["contentEncoding", { ...text, contentEncoding: "base64" }, refused],
    ["contentMediaType", { ...text, contentMediaType: "text/html" }, refused],
    ["contentSchema", { ...text, contentSchema: {} }, refused],
    // OpenAPI's.
    ["nullable", { ...text, nullable: true }, refused],
    ["discriminator", { ...text, discriminator: {} }, refused],
    ["example", { ...text, example: "x" }, dropped],
    // Formats.
    ...["date", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid", "uri"].map(
      (format): Row => ["format", { ...text, format }, same],
    ),
    ...["uri-reference", "uri-template", "json-pointer", "relative-json-pointer"].map(
      (format): Row => ["format", { ...text, format }, same],
    ),
    ...["email", "time", "x-money", "x-count", "x-percent", "x-date", "x-time", "x-currency"].map(
      (format): Row => ["format", { ...text, format }, dropped],
    ),
    ...["idn-email", "idn-hostname", "iri", "iri-reference", "regex", "iban", "nanoid"].map(
      (format): Row => ["format", { ...text, format }, refused],
    ),
    ["format", { ...numbers, format: "double" }, refused],
  ];
  test.each(rows)("%s in %o", (keyword, given, fate, more) => {
    // As it arrives: JSON has no undefined.
    const schema = JSON.parse(JSON.stringify(given)) as Record<string, unknown>;
    const sent = fieldOf(schema, more);
    if (fate === same) expect(sent).toEqual(schema);
    else if (fate === dropped) {
      const { [keyword]: _, ...rest } = schema;
      expect(sent).toEqual(rest);
    } else {
      expect(sent).toEqual([{ path: expect.stringMatching(/^properties\.a/), message: expect.any(String) }]);
      expect(JSON.stringify(sent)).toContain(keyword);
    }
  });
});

test("docs/schemas.md names every keyword, by how it is treated", () => {
  const page = readFileSync(new URL("../../docs/schemas.md", import.meta.url), "utf8");
  const sections = page.split(/^## /m).map((section) => new Set(section.match(/`[$a-zA-Z]+/g)));
  const [, sent, checked, ignored, refused] = sections;
  const named = (section: Set<string> | undefined) => (keyword: string) => section?.has(`\`${keyword}`);
  const held = [...new Set([...Object.values(keywordsByType).flat(), ...applicators, "type"])].filter(
    (keyword) => !refusedKeywords.includes(keyword),
  );
  expect(held.filter((keyword) => !named(sent)(keyword) && !named(checked)(keyword))).toEqual([]);
  expect([...annotations].filter((keyword) => !named(ignored)(keyword))).toEqual([]);
  expect(refusedKeywords.filter((keyword) => !named(refused)(keyword))).toEqual([]);
});

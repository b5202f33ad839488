import { expect, test } from "vitest";
import { tokenBound } from "#core/vision/answer/schema-bound";

const text = { type: ["string", "null"] };
const object = (properties: Record<string, object>) => ({
  type: "object",
  properties,
  additionalProperties: false,
});

test("a receipt's eight fields are bounded far below a usual max_tokens and above any real answer", () => {
  const names = ["total", "subtotal", "tax", "service", "discount", "cash", "card", "change"];
  const bound = tokenBound(object(Object.fromEntries(names.map((name) => [name, text]))));
  // Eight printed amounts are some 100 tokens.
  expect(bound).toBeGreaterThan(200);
  expect(bound).toBeLessThan(1_000);
});

test("maxLength, maxItems, enum and const make the bound smaller", () => {
  const list = (maxItems?: number) =>
    object({ items: { type: "array", items: object({ name: text }), ...(maxItems ? { maxItems } : {}) } });
  expect(tokenBound(list(5))).toBeLessThan(tokenBound(list()) / 8);
  expect(tokenBound(object({ a: { type: "string", maxLength: 8 } }))).toBeLessThan(
    tokenBound(object({ a: text })),
  );
  expect(tokenBound(object({ a: { enum: ["EUR", "USD"] } }))).toBeLessThan(tokenBound(object({ a: text })));
});

test("references and recursion end", () => {
  const node = { type: "object", properties: { child: { $ref: "#/$defs/node" }, name: text } };
  expect(tokenBound({ $ref: "#/$defs/node", $defs: { node } })).toBeGreaterThan(0);
  expect(Number.isFinite(tokenBound({ $ref: "#" }))).toBe(true);
  const many = Array.from({ length: 100 }, (_, n) => [`p${n}`, { $ref: "#" }] as const);
  const before = process.cpuUsage();
  expect(Number.isFinite(tokenBound(object(Object.fromEntries(many))))).toBe(true);
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(1_000);
  expect(Number.isFinite(tokenBound({}))).toBe(true);
  expect(Number.isFinite(tokenBound({ anyOf: [] }))).toBe(true);
});

test("lists with a form of their own for each place are counted", () => {
  const pair = { type: "array", prefixItems: [text, text], items: false, minItems: 2, maxItems: 2 };
  expect(tokenBound(pair)).toBeGreaterThan(2 * 60);
  expect(tokenBound({ ...pair, items: text })).toBeGreaterThan(tokenBound(pair));
});

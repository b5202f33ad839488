import { describe, expect, test } from "vitest";
import type { AppError } from "#core/error";
import { Debug, override } from "#core/task/override";
import * as Task from "#core/task/task";
import * as Validate from "./validate.ts";

const known = (id: string): Task.Task => {
  const task = Task.get(id);
  if (task === undefined) throw new Error(`no task ${id}`);
  return task;
};
const receipt = known("receipt_fields_v1");
const string = { type: ["string", "null"] };
const object = (properties: Record<string, unknown>) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const overridden = (debug: Debug, task = receipt) => override(task, debug);

async function refusal(schema: Record<string, unknown>): Promise<AppError> {
  try {
    await override(receipt, { schema_override: schema });
  } catch (thrown) {
    return thrown as AppError;
  }
  throw new Error("it was taken");
}

describe("without options", () => {
  test("a task does not change", async () => {
    for (const debug of [undefined, {}, { temperature: 1 }]) {
      const { task, validate } = await override(receipt, debug);
      expect(task).toEqual(receipt);
      expect(validate({ total: 12 })).toEqual(Validate.validate(receipt, { total: 12 }));
    }
  });
});

describe("prompt_override", () => {
  test("replaces the prompt and its hash, and nothing else", async () => {
    const { task, validate } = await overridden({ prompt_override: "Read\r\nthe total." });
    const prompt = "Read\nthe total.";
    expect(task).toEqual({ ...receipt, prompt, promptSha256: Task.sha256(prompt) });
    expect(validate({}).ok).toBe(false);
  });

  test("takes 20 KiB of UTF-8, counted in bytes", () => {
    expect(Debug.safeParse({ prompt_override: "x".repeat(20_480) }).success).toBe(true);
    expect(Debug.safeParse({ prompt_override: "x".repeat(20_481) }).success).toBe(false);
    expect(Debug.safeParse({ prompt_override: "ü".repeat(10_241) }).success).toBe(false);
    expect(Debug.safeParse({ prompt_override: "" }).success).toBe(false);
  });
});

describe("temperature and max_tokens", () => {
  test("have bounds", () => {
    for (const good of [{ temperature: 0 }, { temperature: 2 }, { max_tokens: 1 }])
      expect(Debug.safeParse(good).success).toBe(true);
    for (const bad of [
      { temperature: -0.1 },
      { temperature: 2.1 },
      { temperature: "1" },
      { max_tokens: 0 },
      { max_tokens: 1.5 },
      { seed: 1 },
    ]) {
      expect(Debug.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
    }
  });

  test("max_tokens takes precedence over the task's length and over the default for a caller's schema", async () => {
    expect((await overridden({ max_tokens: 7 })).task.maxOutputTokens).toBe(7);
    expect(
      (await overridden({ max_tokens: 7, schema_override: object({ total: string }) })).task.maxOutputTokens,
    ).toBe(7);
    const wide = object(Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`field_${n}`, string])));
    const { maxOutputTokens } = (await overridden({ schema_override: wide })).task;
    expect(maxOutputTokens).toBe(2048);
  });
});

describe("schema_override", () => {
  test("replaces both schemas and their hashes; our own formats are checked and not sent", async () => {
    const schema = object({
      total: { ...string, format: "x-money" },
      lines: { type: "array", items: object({ at: { type: "string", format: "x-date" } }) },
    });
    const { task, validate } = await overridden({ schema_override: schema });
    const sent = object({
      total: string,
      lines: { type: "array", items: object({ at: { type: "string" } }) },
    });
    expect(task.modelSchema).toEqual(sent);
    expect(task.validationSchema).toEqual(schema);
    expect(task.modelSchemaSha256).toBe(Task.sha256(JSON.stringify(sent)));
    expect(task.schemaSha256).toBe(Task.sha256(JSON.stringify(schema)));
    expect(task.promptSha256).toBe(receipt.promptSha256);
    expect(validate({ total: "12.00", lines: [{ at: "2026-11-23" }] })).toEqual({ ok: true, errors: [] });
    expect(validate({ total: null, lines: [] }).ok).toBe(true);
    const wrong = validate({
      total: "twelve-4711",
      lines: [{ at: "4711" }, {}, { at: 1, x4711: 1 }],
      y4711: 1,
    });
    expect(wrong.ok).toBe(false);
    expect(wrong.errors).toEqual(
      expect.arrayContaining([
        { path: "", message: "must NOT have additional properties" },
        { path: "total", message: 'must match format "x-money"' },
        { path: "lines[0].at", message: 'must match format "x-date"' },
        { path: "lines[1].at", message: "is missing" },
        { path: "lines[2].at", message: "must be string" },
      ]),
    );
    // The message has neither values nor names from the model's answer.
    expect(JSON.stringify(wrong.errors)).not.toContain("4711");
  });

  test("keeps the fields that are the same strings, and the checks whose fields all stay", async () => {
    const parts = ["subtotal", "tax", "service", "discount", "total"];
    const all = object(
      Object.fromEntries(Object.keys(receipt.modelSchema.properties as object).map((name) => [name, string])),
    );
    const same = (await overridden({ schema_override: all })).task;
    expect(same.fields).toEqual(receipt.fields);
    expect(same.checks).toEqual(receipt.checks);

    const some = (
      await overridden({ schema_override: object(Object.fromEntries(parts.map((name) => [name, string]))) })
    ).task;
    expect(some.fields.map(({ path }) => path).toSorted()).toEqual(parts.toSorted());
    expect(some.checks.map(({ rule }) => rule)).toEqual(["total_is_sum_of_parts"]);

    const other = object({
      total: { ...string, format: "x-date" },
      tax: { type: ["number", "null"] },
      subtotal: object({ total: string }),
      cash: { anyOf: [{ type: "string" }, { type: "number" }] },
      vendor: string,
    });
    const none = (await overridden({ schema_override: other })).task;
    expect(none.fields).toEqual([]);
    expect(none.checks).toEqual([]);
  });

  test("keeps the fields of rows", async () => {
    const invoice = known("receipt_v1");
    const prices = invoice.fields.filter(({ path }) => path.startsWith("items[]."));
    expect(prices.length).toBeGreaterThan(1);
    const names = prices.map(({ path }) => path.slice("items[].".length));
    const rows = object({
      items: { type: "array", items: object(Object.fromEntries(names.map((name) => [name, string]))) },
    });
    expect((await overridden({ schema_override: rows }, invoice)).task.fields).toEqual(prices);
  });

  test("checks an answer against every kind of value in the subset", async () => {
    const schema = object({
      kind: { type: ["string", "null"], enum: ["cash", "card", null] },
      count: { type: "integer", minimum: 1, maximum: 3 },
      paid: { type: "boolean" },
      either: { anyOf: [{ type: "string" }, { type: "number" }] },
      day: { type: "string", format: "date" },
      rows: { type: "array", items: { type: "string" }, maxItems: 2 },
    });
    const { validate } = await overridden({ schema_override: schema });
    const good = { kind: "cash", count: 2, paid: true, either: 1, day: "2024-02-29", rows: [] };
    expect(validate(good)).toEqual({ ok: true, errors: [] });
    const bad = { kind: "gold", count: 4, paid: "yes", either: [], day: "2025-02-29", rows: ["a", "b", "c"] };
    const paths = validate(bad).errors.map(({ path }) => path);
    for (const name of Object.keys(good)) expect(paths).toContain(name);
    expect(
      validate({ ...good, rows: Array.from({ length: 5_000 }, () => 1) }).errors.length,
    ).toBeLessThanOrEqual(100);
    expect(validate(null).ok).toBe(false);
  });

  const nested = (depth: number): Record<string, unknown> =>
    depth === 0 ? { type: "string" } : object({ a: nested(depth - 1) });
  const bottomless = () => {
    const text = `${'{"type":"object","properties":{"a":'.repeat(50_000)}1${"}}".repeat(50_000)}`;
    return JSON.parse(text) as Record<string, unknown>;
  };
  const wide = (count: number, value: unknown = string) =>
    object(Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, value])));
  const hostile: [string, () => Record<string, unknown>, string][] = [
    ["an empty schema", () => ({}), "debug.schema_override"],
    ["an empty schema for a field", () => object({ a: {} }), "debug.schema_override.properties.a"],
    ["10,000 properties", () => wide(10_000), "debug.schema_override"],
    ["10,000 schemas in wide layers", () => wide(100, wide(100)), "debug.schema_override"],
    ["a depth of 100", () => nested(100), "debug.schema_override.properties.a"],
    ["a depth of 50,000", bottomless, "debug.schema_override"],
    ["a recursive $ref", () => ({ ...object({ a: { $ref: "#" } }), $defs: {} }), "debug.schema_override"],
    [
      "a $ref into the network",
      () => object({ a: { $ref: "http://127.0.0.1:9/x" } }),
      "debug.schema_override.properties.a",
    ],
    [
      "a catastrophic regular expression",
      () => object({ a: { type: "string", pattern: "^(a+)+$" } }),
      "debug.schema_override.properties.a",
    ],
    [
      "one for names",
      () => ({ ...object({ a: string }), patternProperties: { "^(a+)+$": string } }),
      "debug.schema_override",
    ],
    [
      "an enum of 100,000",
      () => object({ a: { type: "string", enum: Array.from({ length: 100_000 }, String) } }),
      "debug.schema_override.properties.a",
    ],
    [
      "a long description",
      () => object({ a: { type: "string", description: "x".repeat(1e6) } }),
      "debug.schema_override.properties.a",
    ],
    [
      "__proto__ as a name",
      () => JSON.parse(JSON.stringify(object({ x: string })).replaceAll('"x"', '"__proto__"')),
      "debug.schema_override",
    ],
    ["an array at the root", () => ({ type: "array", items: string }), "debug.schema_override"],
    [
      "a format of nobody's",
      () => object({ a: { type: "string", format: "x-iban" } }),
      "debug.schema_override.properties.a",
    ],
    [
      "our format on a number",
      () => object({ a: { type: "number", format: "x-money" } }),
      "debug.schema_override.properties.a",
    ],
  ];
  test.each(hostile)("refuses %s at once, with its place and without an echo", async (_name, make, path) => {
    const schema = make();
    const startedAt = performance.now();
    const error = await refusal(schema);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(error.code).toBe("invalid_request");
    const { issues } = error.details as { issues: { path: string; message: string }[] };
    expect(issues.length).toBeGreaterThan(0);
    for (const issue of issues) expect(issue.path.startsWith(path), issue.path).toBe(true);
    expect(JSON.stringify(error.details)).not.toMatch(/a\+|127\.0|xxx/);
  });
});

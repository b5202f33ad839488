import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { build } from "esbuild";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Checks from "#core/canonical/checks/checks";
import { normalize } from "#core/canonical/normalize";
import { portable } from "./lint.ts";
import { formatChecks } from "./readers.ts";
import { TaskDetail, TaskSummary } from "./summary.ts";
import * as Task from "./task.ts";
import * as Validate from "./validate.ts";

const tasks = Task.list();
const get = (id: string) => tasks.find((task) => task.id === id) ?? raise(`no task ${id}`);

function raise(message: string): never {
  throw new Error(message);
}

test("every folder is a task and every task has a folder", () => {
  const entries = readdirSync(import.meta.dirname, { withFileTypes: true });
  // `definition` is the only folder that is not a task.
  const folders = entries.flatMap((entry) =>
    entry.isDirectory() && entry.name !== "definition" ? [entry.name] : [],
  );
  expect(tasks.map(({ id }) => id)).toEqual(folders.sort());
  expect(tasks.map(({ id }) => id)).toContain(Task.defaultTaskId);
});

test("an unknown task is undefined, names of the prototype included", () => {
  for (const id of ["", "receipt_v2", "__proto__", "constructor", "toString"])
    expect(Task.get(id)).toBeUndefined();
});

test("a task is built once", () => {
  expect(Task.get("receipt_v1")).toBe(Task.get("receipt_v1"));
});

describe.each(tasks)("$id", (task) => {
  // `npm run task -- release ID` writes released.json once. Hashes that differ from it mean that a schema or a prompt
  // changed under its name: that is a new version of the task, in a folder of its own.
  test("has the schema and prompt that it was released with", () => {
    const released: unknown = JSON.parse(
      readFileSync(join(import.meta.dirname, task.id, "released.json"), "utf8"),
    );
    const { schemaSha256, modelSchemaSha256, promptSha256 } = task;
    expect({
      schema_sha256: schemaSha256,
      model_schema_sha256: modelSchemaSha256,
      prompt_sha256: promptSha256,
    }).toEqual(released);
  });

  test("has hashes of the exact bytes that are sent and shown", () => {
    expect(Task.sha256(JSON.stringify(task.modelSchema))).toBe(task.modelSchemaSha256);
    expect(Task.sha256(JSON.stringify(Task.detail(task).schema))).toBe(task.schemaSha256);
    expect(Task.sha256(task.prompt)).toBe(task.promptSha256);
    expect(task.prompt).not.toMatch(/[\r\t\u00a0]| $/m);
  });

  test("sends a schema inside the portable subset", () => {
    const { issues, model, checked } = portable(task.modelSchema);
    expect(issues).toEqual([]);
    expect(JSON.stringify(model)).toBe(JSON.stringify(task.modelSchema));
    expect(checked).toEqual(task.modelSchema);
    expect(JSON.stringify(task.modelSchema)).not.toMatch(/format|title|description":"|\$|anyOf|examples/);
  });

  test("names in its prompt exactly the fields of its schema, in their order", () => {
    const [rules = ""] = task.prompt.split("\nExample.");
    const bullets = [...rules.matchAll(/^- ((?:"\w+"(?:, )?)+):/gm)].flatMap(
      ([, names = ""]) => names.match(/\w+/g) ?? [],
    );
    expect(bullets).toEqual(task.fields.map(({ path }) => path.split(".").at(-1)));
    const groups = new Set(task.fields.flatMap(({ path }) => path.split(".").slice(0, -1)));
    for (const group of groups) expect(rules).toMatch(new RegExp(`"${group.replace("[]", "")}"`));
    const headings = [...rules.matchAll(/^"(\w+)"/gm)].map(([, name]) => name);
    for (const heading of headings)
      expect(groups).toSatisfy((all: Set<string>) => all.has(`${heading}`) || all.has(`${heading}[]`));
  });

  test("shows its example in the prompt, and the example's answer is valid, normalizes and adds up", () => {
    expect(task.examples.length).toBeGreaterThan(0);
    for (const { lines, answer } of task.examples) {
      expect(task.prompt).toContain(`\n${lines.join("\n")}\nhas this answer:\n${JSON.stringify(answer)}\n`);
      expect(Validate.validate(task, answer)).toEqual({ ok: true, errors: [] });
      const normalized = normalize(task.fields, answer);
      expect(Object.keys(normalized).length).toBeGreaterThan(2);
      expect(Object.values(normalized).some(({ ambiguous }) => ambiguous)).toBe(false);
      expect(Checks.run(task, answer, normalized).filter(({ ok }) => !ok)).toEqual([]);
      // Every value of the answer is in the lines: the example itself copies and never computes.
      const text = lines.join(", ");
      for (const value of JSON.stringify(answer).matchAll(/:"([^"]*)"/g)) expect(text).toContain(value[1]);
    }
  });

  test("has checks over fields that exist", () => {
    const paths = new Set(task.fields.map(({ path }) => path));
    for (const { rule, ...parts } of task.checks) {
      const named = [...Object.values(parts), ...Object.values(parts.beside ?? {})].filter(
        (value) => typeof value === "string",
      );
      expect(
        named.filter((path) => !paths.has(path)),
        rule,
      ).toEqual([]);
    }
  });

  test("is judged the same by zod and by its published JSON Schema", () => {
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, formats: formatChecks });
    const accepts = ajv.compile(task.validationSchema);
    const strings = fc.constantFrom(
      "",
      "1.50",
      "RM 2",
      "FREE",
      "14/03/2018",
      "14:30",
      "EUR",
      "19%",
      "2x",
      "text",
    );
    const leaf = fc.oneof(
      { weight: 3, arbitrary: strings },
      fc.constant(null),
      fc.constant(4),
      fc.constant({}),
    );
    const node = (schema: Task.JsonSchema): fc.Arbitrary<unknown> => {
      if (schema.type === "array") return fc.array(node(schema.items as Task.JsonSchema), { maxLength: 2 });
      if (schema.type !== "object")
        return fc.oneof({ weight: 8, arbitrary: fitting(schema) }, { weight: 1, arbitrary: leaf });
      const properties = Object.entries(schema.properties as Record<string, Task.JsonSchema>);
      return fc.record(Object.fromEntries(properties.map(([name, child]) => [name, node(child)])));
    };
    const fitting = ({ format }: Task.JsonSchema) =>
      fc.constantFrom(
        null,
        ...["1.50", "14/03/2018", "14:30", "EUR", "19%", "text"].filter((value) => fits(format, value)),
      );
    let accepted = 0;
    fc.assert(
      fc.property(node(task.validationSchema), (answer) => {
        const ok = accepts(answer);
        accepted += ok ? 1 : 0;
        expect(Validate.validate(task, answer).ok).toBe(ok);
      }),
      { numRuns: 40 },
    );
    expect(accepted).toBeLessThan(40);
    expect(accepts(task.examples[0]?.answer)).toBe(true);
  });
});

function fits(format: unknown, value: string): boolean {
  const check = Object.entries(formatChecks).find(([name]) => name === format)?.[1];
  return check ? check(value) : true;
}

describe("validation", () => {
  const task = get("receipt_v1");
  const answer = () =>
    structuredClone(task.examples[0]?.answer) as Record<string, Record<string, unknown> & unknown[]>;

  test("names the place and what was expected", () => {
    const broken = answer();
    broken.items = [{ name: "Tea", quantity: "2x", unit_price: null, price: "FREE" }, { name: "" }] as never;
    broken.totals = { ...broken.totals, total: 12.5 } as never;
    delete broken.payment;
    expect(Validate.validate(task, broken)).toEqual({
      ok: false,
      errors: [
        { path: "items[0].price", message: "must be an amount of money or null" },
        { path: "items[1].name", message: "must not be empty; null says that nothing is printed" },
        { path: "items[1].quantity", message: "is missing" },
        { path: "items[1].unit_price", message: "is missing" },
        { path: "items[1].price", message: "is missing" },
        { path: "totals.total", message: "must be a string or null" },
        { path: "payment", message: "is missing" },
      ],
    });
  });

  test("never repeats what the model wrote", () => {
    const canary = "canary-7f3a";
    const broken = {
      ...answer(),
      [canary]: canary,
      date: canary,
      totals: canary,
      items: [canary, { [canary]: 1 }],
    };
    const { ok, errors } = Validate.validate(task, broken);
    expect(ok).toBe(false);
    expect(errors.length).toBeGreaterThan(4);
    expect(JSON.stringify(errors)).not.toContain(canary);
  });

  test("refuses fields that the schema does not have, those of the prototype included", () => {
    const extra = JSON.parse(JSON.stringify(answer()).replace("{", '{"__proto__":{"a":1},'));
    expect(Validate.validate(task, extra).ok).toBe(false);
    const inherited = Object.assign(Object.create({ totals: {} }), answer());
    delete inherited.totals;
    expect(Validate.validate(task, inherited).ok).toBe(false);
  });

  test.each([null, undefined, [], "text", 4, true])("refuses %j as a whole", (value) => {
    expect(Validate.validate(task, value)).toEqual({
      ok: false,
      errors: [{ path: "", message: "must be an object" }],
    });
  });

  test("of an endless answer reports a bounded number of errors", () => {
    const items = Array.from({ length: 20_000 }, () => ({ name: 1 }));
    expect(Validate.validate(task, { ...answer(), items }).errors).toHaveLength(100);
  });
});

test("what is listed and shown on the wire has the shape that OpenAPI promises", () => {
  for (const task of tasks) {
    expect(TaskSummary.strict().parse(Task.summary(task))).toEqual(Task.summary(task));
    expect(TaskDetail.strict().parse(Task.detail(task))).toEqual(Task.detail(task));
  }
});

test("a bundle of all tasks, as it is deployed, has the same tasks and hashes", async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "task.ts")],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    minify: true,
    absWorkingDir: join(import.meta.dirname, "..", ".."),
  });
  const source = outputFiles[0]?.text ?? "";
  expect(source.length).toBeLessThan(300_000);
  const bundled = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as typeof Task;
  expect(bundled.list().map(Task.summary)).toEqual(tasks.map(Task.summary));
});

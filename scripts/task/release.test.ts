import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import * as Release from "./release.ts";

const repository = dirname(dirname(import.meta.dirname));

test("the table of tasks is what the command writes", () => {
  const registry = fs
    .readFileSync(join(repository, "core/task/registry.ts"), "utf8")
    .replaceAll("\r\n", "\n");
  expect(registry).toBe(Release.registry(repository));
});

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "ocrlty-task-"));
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const zod = JSON.stringify(import.meta.resolve("zod"));

/** A task whose only field is a text that may be missing. */
function define(id: string, prompt: string, schema = "z.strictObject({ name: z.string().nullable() })") {
  const folder = join(root, "core/task", id);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(
    join(folder, "definition.ts"),
    `import * as z from ${zod};
export const definition = {
  description: "A name.", prompt: ${JSON.stringify(prompt)}, schema: () => ${schema},
  examples: [], maxOutputTokens: 100, checks: [],
};\n`,
  );
  return join(folder, "released.json");
}

test("a release writes hashes and table, a second one nothing, and other tasks stay in the table", async () => {
  const hashes = define("name_v1", "Copy the name.");
  expect(await Release.release(root, "name_v1")).toEqual([
    "core/task/name_v1/released.json",
    "core/task/registry.ts",
  ]);
  const first = fs.readFileSync(hashes, "utf8");
  expect(JSON.parse(first)).toEqual({
    schema_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    model_schema_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    prompt_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(await Release.release(root, "name_v1")).toEqual([]);
  define("name_v2", "Copy the whole name.");
  // It is being developed, and is not offered before it is released.
  define("place_v1", "Copy the place.");
  await Release.release(root, "name_v2");
  expect(fs.readFileSync(hashes, "utf8")).toBe(first);
  const table = fs.readFileSync(join(root, "core/task/registry.ts"), "utf8");
  expect(table.match(/as \w+/g)).toEqual(["as name_v1", "as name_v2"]);
});

test.each([
  ["prompt", "Copy the name!", undefined],
  ["schema", "Copy the name.", "z.strictObject({ name: z.string() })"],
])(
  "a released %s that changed is refused, with the version that it may be instead",
  async (_, prompt, schema) => {
    const hashes = define("name_v9", "Copy the name.");
    await Release.release(root, "name_v9");
    const before = fs.readFileSync(hashes, "utf8");
    // Node caches a module by its path, so the next version of the folder is below another root.
    const old = root;
    root = fs.mkdtempSync(join(tmpdir(), "ocrlty-task-"));
    fs.cpSync(old, root, { recursive: true });
    fs.rmSync(old, { recursive: true });
    const copied = define("name_v9", prompt, schema);
    await expect(Release.release(root, "name_v9")).rejects.toThrow(/was released with another.* name_v10$/);
    expect(fs.readFileSync(copied, "utf8")).toBe(before);
  },
);

test("what is not a task is refused before anything is written", async () => {
  const json = define("odd_v1", "Copy.", "z.strictObject({ name: z.string().startsWith('a') })");
  await expect(Release.release(root, "odd_v1")).rejects.toThrow();
  await expect(Release.release(root, "none_v1")).rejects.toThrow("core/task/none_v1 has no definition.ts");
  await expect(Release.release(root, "../odd_v1")).rejects.toThrow("a task's id is a name and a version");
  await expect(Release.release(root, "odd")).rejects.toThrow("a task's id is a name and a version");
  expect(fs.existsSync(json)).toBe(false);
  expect(fs.existsSync(join(root, "core/task/registry.ts"))).toBe(false);
});

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { packageRoot } from "#local/home/home";
import * as PagesBuild from "#local/pages/build";
import { BundleError, bundle } from "./bundle.ts";

// Bundlings on one machine run in turns, and other tests' loops may come first.
vi.setConfig({ testTimeout: 120_000 });

const root = join(packageRoot, "node_modules", ".cache", "ocrlty-bundle-test");
const write = (name: string, text: string) => {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
};
const build = async (handlers: Parameters<typeof bundle>[0]["handlers"], minify = false) => {
  const built = await bundle({ root, handlers, minify });
  built.release();
  return built;
};

beforeAll(() => {
  write(
    "api/one.ts",
    'import { name } from "../shared.ts";\nexport const handler = () => name;\nexport const other = () => 2;\n',
  );
  write(
    "api/two.ts",
    'import sharp from "sharp";\nexport const handler = async () => Object.keys(sharp.format).length;\n',
  );
  write(
    "api/three.ts",
    'const path = require("node:path");\nexport const handler = () => [path.sep.length, typeof __dirname];\n',
  );
  write("shared.ts", 'export const name = "shared" as const;\n');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("a handler runs from its bundle alone, and can use sharp and require", async () => {
  const { functions } = await build({
    one: "api/one.handler",
    other: "api/one.other",
    two: "api/two.handler",
    three: "api/three.handler",
  });
  const run = async (name: string) => {
    const found = functions[name];
    if (found === undefined) throw new Error(`${name} is not bundled`);
    return (await import(/* @vite-ignore */ pathToFileURL(found.file).href))[found.exportName]();
  };
  expect(await run("one")).toBe("shared");
  expect(await run("other")).toBe(2);
  expect(await run("two")).toBeGreaterThan(5);
  expect(await run("three")).toEqual([1, "string"]);
  expect(functions.one?.file).toBe(functions.other?.file);
  const sizes = functions.one?.files.map((file) => statSync(file).size) ?? [];
  expect(functions.one?.bytes).toBe(sizes.reduce((sum, size) => sum + size));
  expect(readFileSync(functions.one?.file ?? "", "utf8")).not.toContain('shared.ts";');
});

test.each([false, true])(
  "a module that is loaded by import() is a separate file that a cold start does not load (minified: %s)",
  async (minify) => {
    write("api/late.ts", 'export const handler = async () => (await import("../large.ts")).text.length;\n');
    write("api/later.ts", 'export { handler } from "./late.ts";\n');
    write("large.ts", `export const text = ${JSON.stringify("x".repeat(50_000))};\n`);
    const { functions } = await build({ late: "api/late.handler", later: "api/later.handler" }, minify);
    for (const { file, files, bytes } of Object.values(functions)) {
      const { handler } = await import(/* @vite-ignore */ pathToFileURL(file).href);
      expect(await handler()).toBe(50_000);
      expect(files).toContain(file);
      const sizes = files.map((one) => statSync(one).size);
      expect(sizes.reduce((sum, size) => sum + size)).toBeGreaterThan(50_000);
      expect(bytes).toBeGreaterThan(100);
      expect(bytes).toBeLessThan(5_000);
    }
  },
);

test("the same sources give the same folder, and a change gives another one", async () => {
  const before = await build({ one: "api/one.handler" });
  expect((await build({ one: "api/one.handler" })).dir).toBe(before.dir);
  write("shared.ts", 'export const name = "changed" as const;\n');
  const after = await build({ one: "api/one.handler" });
  expect(after.dir).not.toBe(before.dir);
  expect(existsSync(before.functions.one?.file ?? "")).toBe(true);
});

test("a start without changes bundles nothing; a changed source and a missing bundle are noticed", async () => {
  const old = new Date(Date.now() - 60_000);
  for (const name of ["api/one.ts", "shared.ts"]) utimesSync(join(root, name), old, old);
  const first = await build({ one: "api/one.handler" });
  const file = first.functions.one?.file ?? "";
  const text = readFileSync(file, "utf8");
  // Proves that nothing was bundled: a text of the same length stays as it is.
  writeFileSync(file, text.replace("changed", "touched"));
  expect((await build({ one: "api/one.handler" })).functions).toEqual(first.functions);
  expect(readFileSync(file, "utf8")).toContain("touched");
  rmSync(file);
  expect((await build({ one: "api/one.handler" })).functions).toEqual(first.functions);
  expect(readFileSync(file, "utf8")).toBe(text);
  write("shared.ts", 'export const name = "changed again" as const;\n');
  expect((await build({ one: "api/one.handler" })).dir).not.toBe(first.dir);
});

test("the sources of the pages are recorded; if one is missing, every start bundles again", async () => {
  const { inputs } = await PagesBuild.build();
  expect(inputs.length).toBeGreaterThan(10);
  expect(inputs.filter((file) => !existsSync(file))).toEqual([]);
});

test("loops that bundle at the same time do not disturb each other", async () => {
  write("api/racing.ts", `export const handler = () => ${Math.random()};\n`);
  const built = await Promise.all(Array.from({ length: 5 }, () => build({ racing: "api/racing.handler" })));
  expect(new Set(built.map(({ dir }) => dir)).size).toBe(1);
  const [{ dir } = { dir: "" }] = built;
  // One of them has bundled; the others waited and found the result.
  expect(readdirSync(dir).sort()).toEqual([
    "api-racing.mjs",
    "api-racing.mjs.map",
    "runtime.mjs",
    "runtime.mjs.map",
  ]);
  expect(readdirSync(dirname(dir)).filter((name) => name.startsWith(`draft-${process.pid}-`))).toEqual([]);
});

test("folders that were not used for an hour are removed, others stay", async () => {
  const { dir: used } = await build({ one: "api/one.handler" });
  const old = join(dirname(used), "0".repeat(20));
  const recent = join(dirname(used), "1".repeat(20));
  for (const path of [old, recent]) mkdirSync(path, { recursive: true });
  const minutes = (count: number) => new Date(Date.now() - count * 60_000);
  utimesSync(old, minutes(61), minutes(61));
  utimesSync(recent, minutes(50), minutes(50));
  await build({ one: "api/one.handler" });
  expect([old, recent, used].map((path) => existsSync(path))).toEqual([false, true, true]);
  rmSync(recent, { recursive: true });
});

test("a handler that is missing or does not bundle is reported with its line", async () => {
  await expect(build({ lost: "api/lost.handler" })).rejects.toThrow(
    `handler file ${join("api", "lost.ts")} does not exist`,
  );
  await expect(build({ lost: "api/lost" })).rejects.toThrow("names no export");
  write("api/wrong.ts", 'import "./nowhere.ts";\nexport const handler = 1;\n');
  await expect(build({ wrong: "api/wrong.handler" })).rejects.toThrow(
    /wrong\.ts:1: Could not resolve "\.\/nowhere\.ts"/,
  );
  await expect(build({ wrong: "api/wrong.handler" })).rejects.toThrow(BundleError);
});

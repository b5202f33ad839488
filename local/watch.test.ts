import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { App } from "#local/app";
import { start } from "./watch.ts";

let root: string;
let stop: () => void;
const said: string[] = [];
const reloads: (App | undefined)[] = [];
let problem: Error | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ocrlty watch "));
  for (const folder of ["core/task", "functions/api", "spec"])
    mkdirSync(join(root, folder), { recursive: true });
  write("spec/functions.ts", "export const functions = { one: {} };\n");
  write("spec/routes.ts", 'export const routes = [];\nexport const defaultFunction = "one";\n');
  said.length = 0;
  reloads.length = 0;
  problem = undefined;
  stop = start(
    {
      reload: async (app) => {
        reloads.push(app);
        if (problem !== undefined) throw problem;
      },
    },
    (line) => said.push(line),
    root,
  );
});
afterEach(() => {
  stop();
  rmSync(root, { recursive: true, force: true });
});
const write = (file: string, text: string) => writeFileSync(join(root, file), text);

test("a change of a function's code reloads once, with the current tables", async () => {
  write("spec/functions.ts", "export const functions = { one: {}, two: {} };\n");
  for (let step = 0; step < 3; step += 1) write("core/task/task.ts", `export const step = ${step};\n`);
  await vi.waitFor(() => expect(said).toEqual([expect.stringMatching(/^reloaded in \d+ ms$/)]));
  expect(reloads).toEqual([
    { functions: { one: {}, two: {} }, table: { routes: [], defaultFunction: "one" } },
  ]);
  write("spec/functions.ts", "export const functions = {};\n");
  await vi.waitFor(() => expect(reloads.at(-1)?.functions).toEqual({}));
});

test("code that does not bundle is reported, and the next change is tried again", async () => {
  problem = new Error("functions/api/a.ts:1: Unexpected end of file");
  write("functions/api/a.ts", "export const a = (");
  await vi.waitFor(() =>
    expect(said).toEqual(["not reloaded: functions/api/a.ts:1: Unexpected end of file"]),
  );
  problem = undefined;
  write("functions/api/a.ts", "export const a = 1;\n");
  await vi.waitFor(() => expect(said.at(-1)).toMatch(/^reloaded/));
});

test("tests and temporary files of editors cause no reload", async () => {
  for (const file of ["core/a.test.ts", "core/.a.ts.swp", "core/a.ts~", "functions/api/4913.tmp"])
    write(file, "x");
  write("core/b.ts", "export const b = 1;\n");
  await vi.waitFor(() => expect(reloads).toHaveLength(1));
  write("core/a.test.ts", "y");
  write("core/c.ts", "export const c = 1;\n");
  await vi.waitFor(() => expect(reloads).toHaveLength(2));
});

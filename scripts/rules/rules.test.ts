/** The versions of the rules are those of the code. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Rules from "./rules.ts";

const root = join(import.meta.dirname, "..", "..");
const folders = { canonical: "core/canonical", comparison: "core/evaluation/compare" };
const [canonical, comparison] = Object.values(folders).map((folder) => `${folder}/rules-version.ts`);
let copy: string;
beforeAll(() => {
  copy = fs.mkdtempSync(join(tmpdir(), "ocrlty rules "));
  for (const name of ["package.json", ...Object.values(folders)])
    fs.cpSync(join(root, name), join(copy, name), { recursive: true });
});
afterAll(() => fs.rmSync(copy, { recursive: true, force: true, maxRetries: 5 }));

/** The versions that become stale when this file is edited; the edit is undone afterwards. */
async function stale(file: string, edit: (text: string) => string): Promise<string[]> {
  const path = join(copy, file);
  const before = fs.readFileSync(path, "utf8");
  const after = edit(before);
  expect(after).not.toBe(before);
  fs.writeFileSync(path, after);
  const written = await Rules.write(copy);
  fs.writeFileSync(path, before);
  await Rules.write(copy);
  return written;
}
const replaced = (from: RegExp, to: string) => (text: string) => text.replace(from, to);

test("both are up to date: npm run task -- rules writes them, CHANGELOG.md says which values have changed", async () => {
  expect(await Rules.write(copy)).toEqual([]);
});

test("a table, a check, a comparison or a package's version changes one; a comment does not", async () => {
  expect(await stale("core/canonical/money/marks.ts", replaced(/"(\w)/, '"x$1'))).toEqual([canonical]);
  expect(await stale("core/canonical/checks/tolerance.ts", replaced(/"1000"/, '"1001"'))).toEqual([
    canonical,
  ]);
  expect(await stale("core/evaluation/compare/equal.ts", replaced(/===/, "!=="))).toEqual([comparison]);
  expect(await stale("package.json", replaced(/"munkres": "[^"]+"/, '"munkres": "2.0.5"'))).toEqual([
    comparison,
  ]);
  const reworded = (text: string) => `// Reworded.\n\n${text}`;
  expect(await stale("core/canonical/money/marks.ts", reworded)).toEqual([]);
});

/**
 * Checks that what docs and comments refer to exists: files, folders, and the functions, types and columns that pages
 * name.
 */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import * as Names from "#scripts/house/names";
import * as Tree from "#scripts/house/tree";

const root = dirname(import.meta.dirname);
const folder = fs.mkdtempSync(join(tmpdir(), "ocrlty-docs-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A tree of the given files, as `Tree.read` makes it of the repository. */
function made(files: Record<string, string>): Tree.Tree {
  for (const [path, text] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(folder, path)), { recursive: true });
    fs.writeFileSync(join(folder, path), text);
  }
  return Tree.read(folder, Object.keys(files));
}

/** Links such as [`run.epoch`](../core/run/run.sql.ts): the last name must be declared in the file. */
const symbolLink = /\[`([\w.]+)`\]\(([^)\s#]+\.(?:ts|mjs))\)/g;

/** Declared as a value or a type, or named as a column or a property. */
const declares = (text: string, name: string) =>
  new RegExp(
    `\\b(?:function\\*?|const|class|interface|type) ${name}\\b|"${name}"|(?:^|[\\s{(,])${name}\\??:`,
    "m",
  ).test(text);

interface Page {
  path: string;
  text: string;
}

/** Symbols that pages link to and that the file does not declare. */
function missingSymbols(pages: Iterable<Page>, read: (path: string) => string | undefined): string[] {
  const missing: string[] = [];
  for (const { path, text } of pages)
    for (const [, symbol = "", target = ""] of text.matchAll(symbolLink)) {
      const source = read(posix.join(posix.dirname(path), target));
      const name = symbol.split(".").at(-1) ?? "";
      if (source === undefined || !declares(source, name)) missing.push(`${path}: ${symbol} in ${target}`);
    }
  return missing;
}

const pagesOf = (tree: Tree.Tree): Page[] => [...tree.pages].map(([path, text]) => ({ path, text }));
const readBelow = (base: string) => (path: string) =>
  fs.existsSync(join(base, path)) ? fs.readFileSync(join(base, path), "utf8") : undefined;

describe("the repository", () => {
  const tree = Tree.read(root, Tree.tracked(root));

  test("every file and folder that a comment or a page names is there", () => {
    expect(Names.deadReferences(tree)).toEqual([]);
  });

  test("every function, type and column that a page links to is declared in that file", () => {
    const pages = pagesOf(tree);
    const links = pages.flatMap(({ text }) => [...text.matchAll(symbolLink)]);
    expect(links.length).toBeGreaterThan(100);
    expect(missingSymbols(pages, readBelow(root))).toEqual([]);
  });

  test("every word of the glossary has links to the code", () => {
    const glossary = tree.pages.get("docs/glossary.md") ?? "";
    const rows = glossary.split("\n").filter((line) => /^\| (?!word |---)/.test(line));
    expect(rows.length).toBeGreaterThan(40);
    expect(rows.filter((row) => !new RegExp(symbolLink.source).test(row.split("|").at(-2) ?? ""))).toEqual(
      [],
    );
  });

  test("every decision is listed", () => {
    const decisions = [...tree.pages.keys()].filter((path) => /^docs\/decisions\/\d/.test(path));
    const list = tree.pages.get("docs/decisions/README.md") ?? "";
    expect(decisions.length).toBeGreaterThan(3);
    expect(decisions.filter((path) => !list.includes(`(${posix.basename(path)})`))).toEqual([]);
  });
});

test("references that lead nowhere are found in a made-up repository", () => {
  const tree = made({
    "core/key.ts": [
      "/** Seven rows: docs/gone.md, and core/none.ts; docs/here.md is there. */",
      "export const seats = 7; // Of PLAN.md",
      'export const columns = { free: text("free_seats") };',
      "// Not a declaration: absent.",
    ].join("\n"),
    "docs/here.md": [
      "[`seats`](../core/key.ts), [`table.free_seats`](../core/key.ts) and [`free`](../core/key.ts) are there;",
      "[`absent`](../core/key.ts) and [`seats`](../core/lock.ts) are not. See `core/gone.ts`.",
    ].join("\n"),
  });
  expect(Names.deadReferences(tree).map(({ path, line, what }) => `${path}:${line} ${what}`)).toEqual([
    "core/key.ts:1 docs/gone.md",
    "core/key.ts:1 core/none.ts",
    "core/key.ts:2 PLAN.md",
    "docs/here.md:2 ../core/lock.ts",
    "docs/here.md:2 core/gone.ts",
  ]);
  expect(missingSymbols(pagesOf(tree), readBelow(folder))).toEqual([
    "docs/here.md: absent in ../core/key.ts",
    "docs/here.md: seats in ../core/lock.ts",
  ]);
});

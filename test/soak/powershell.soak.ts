/**
 * Parses every PowerShell block of the documents with a grammar of the language (tree-sitter's; no PowerShell runs
 * here). It finds quotes, brackets and line breaks that are valid in Bash but not in PowerShell; it does not find a
 * wrong parameter.
 */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { packageRoot } from "#local/home/home";

const packages = ["tree-sitter-powershell@0.26.4", "web-tree-sitter@0.27.2"];
const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty-powershell-"));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const there = await promisify(execFile)(
  "npm",
  ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...packages],
  { cwd: dir, shell: process.platform === "win32" },
).then(
  () => true,
  () => false,
);
if (!there) console.warn("skipped: the grammar cannot be installed");

interface Node {
  type: string;
  text: string;
  isMissing: boolean;
  children: Node[];
  startPosition: { row: number };
}
interface Grammar {
  parse(text: string): { rootNode: Node };
}

async function open(): Promise<Grammar> {
  const modules = join(dir, "node_modules");
  const { Parser, Language } = (await import(
    pathToFileURL(join(modules, "web-tree-sitter", "web-tree-sitter.js")).href
  )) as {
    Parser: { new (): Grammar & { setLanguage(language: unknown): void }; init(): Promise<void> };
    Language: { load(file: string): Promise<unknown> };
  };
  await Parser.init();
  const parser = new Parser();
  parser.setLanguage(
    await Language.load(join(modules, "tree-sitter-powershell", "tree-sitter-powershell.wasm")),
  );
  return parser;
}

/** The lines that the grammar cannot parse, as `line: text`. */
function mistakes(grammar: Grammar, text: string): string[] {
  const found: string[] = [];
  const walk = (node: Node) => {
    if (node.type === "ERROR" || node.isMissing) found.push(`${node.startPosition.row + 1}: ${node.text}`);
    else for (const child of node.children) walk(child);
  };
  walk(grammar.parse(text).rootNode);
  return found;
}

test.skipIf(!there)("every PowerShell block of the documents is PowerShell", async () => {
  const grammar = await open();
  const blocks: string[] = [];
  const wrong: string[] = [];
  for (const file of ["README.md", "CONTRIBUTING.md", ...fs.globSync("docs/**/*.md", { cwd: packageRoot })]) {
    const text = fs.readFileSync(join(packageRoot, file), "utf8");
    for (const [, block = ""] of text.matchAll(/^```powershell\r?\n([\s\S]*?)^```/gm)) {
      blocks.push(block);
      for (const mistake of mistakes(grammar, block)) wrong.push(`${file} ${mistake}`);
    }
  }
  expect(blocks.length).toBeGreaterThan(20);
  expect(wrong).toEqual([]);
  // It finds mistakes: a Bash variable before a command, and a quote or bracket without its end.
  for (const block of ['npm start "', "if (Test-Path .env {", "foreach ($x in 1..3) { $x"])
    expect(mistakes(grammar, block), block).not.toEqual([]);
});

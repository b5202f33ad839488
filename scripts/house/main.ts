/**
 * Measures the code: sizes, circles, directions of imports, names. `--list NAME` prints the places that a measure
 * counts, `--at COMMIT` measures another commit in a temporary work tree, `--json` prints everything as one object.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as Measures from "./measures.ts";
import * as Size from "./size.ts";
import * as Tree from "./tree.ts";

const root = join(import.meta.dirname, "..", "..");
const { values } = parseArgs({
  options: { at: { type: "string" }, json: { type: "boolean" }, list: { type: "string" } },
});

// `npm run house | head` closes the pipe before everything is written.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const tree = values.at === undefined ? Tree.read(root, Tree.tracked(root)) : atCommit(values.at);
if (values.list !== undefined) list(values.list);
else if (values.json) process.stdout.write(`${JSON.stringify(figures(), undefined, 2)}\n`);
else {
  const { totals, measures } = figures();
  for (const [name, value] of Object.entries(totals)) process.stdout.write(`${name.padEnd(20)} ${value}\n`);
  for (const name of Measures.names) {
    const { about } = Measures.measures[name];
    process.stdout.write(`${name.padEnd(20)} ${`${measures[name]?.count}`.padStart(4)}  ${about}\n`);
  }
}

function figures() {
  const measures = Measures.names.map((name) => {
    const places = Measures.measures[name].find(tree);
    return [name, { count: places.length, places }] as const;
  });
  return { totals: Size.totals(tree), measures: Object.fromEntries(measures) };
}

function list(wanted: string): void {
  const name = Measures.names.find((one) => one === wanted);
  if (name === undefined) {
    process.stderr.write(`error: no measure is called ${wanted}; there are ${Measures.names.join(", ")}\n`);
    process.exitCode = 2;
    return;
  }
  const places = Measures.measures[name].find(tree);
  if (values.json) process.stdout.write(`${JSON.stringify(places, undefined, 2)}\n`);
  else for (const place of places) process.stdout.write(`${Measures.text(place)}\n`);
}

function atCommit(commit: string): Tree.Tree {
  const folder = fs.mkdtempSync(join(tmpdir(), "ocrlty-house-"));
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: root, stdio: ["ignore", "ignore", "pipe"] });
  try {
    git("worktree", "add", "--detach", folder, commit);
    return Tree.read(folder, Tree.tracked(folder));
  } finally {
    git("worktree", "remove", "--force", folder);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

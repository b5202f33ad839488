/**
 * A new user's first hour, measured: a fresh clone in a folder with a space, an empty npm cache, and README's bash
 * lines one by one. The table at the end of a batch is opened by other programs.
 */
import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");
/** What README promises for the first answer, on two cores with a near registry. */
const firstJsonMaxMs = 60_000;

let dir: string;
let clone: string;
let env: NodeJS.ProcessEnv;
let stopLoop = async () => {};
let firstJson: { ms: number; text: string };
const took: Record<string, string> = {};

/** A bash block of README without its comments; `from` is a part of its heading. */
function block(from: string | undefined, holds: string): string {
  const readme = fs.readFileSync(join(clone, "README.md"), "utf8");
  const section = from === undefined ? readme : readme.slice(readme.indexOf(`\n## ${from}`));
  const found = [...section.matchAll(/^```bash\n([\s\S]*?)^```/gm)].find(([, text = ""]) =>
    text.includes(holds),
  );
  if (found?.[1] === undefined) throw new Error(`README has no bash block with ${holds}`);
  return found[1].replaceAll(/ {2,}#.*$/gm, "");
}

async function bash(name: string, script: string): Promise<string> {
  const startedAt = performance.now();
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", script], {
    cwd: clone,
    env,
    maxBuffer: 64 << 20,
    timeout: 600_000,
  });
  took[name] = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  return stdout;
}

beforeAll(async () => {
  dir = fs.mkdtempSync(join(tmpdir(), "ocrlty-first-hour-"));
  clone = join(dir, "fresh clone");
  await run("git", ["clone", "--quiet", root, clone]);
  // As for a new user: no settings, and an empty npm cache.
  env = { PATH: process.env.PATH, HOME: process.env.HOME, PORT: "0", BUCKET_PORT: "0" };
  for (const [name, value] of Object.entries(process.env))
    if (
      /^npm_config_(registry|.*proxy)$|^(https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/i.test(
        name,
      )
    )
      env[name] = value;
  env.npm_config_cache = join(dir, "npm-cache");
  const startedAt = performance.now();
  const text = await bash("first JSON", "npm run -s extract -- samples/cord-bali.jpg");
  firstJson = { ms: performance.now() - startedAt, text };
}, 900_000);

afterAll(async () => {
  console.table(took);
  await stopLoop();
  fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}, 60_000);

describe("README, typed as it stands", () => {
  test("the first line gives checked JSON within a minute of the clone, packages included", () => {
    expect(block(undefined, "npm test")).toContain("npm run extract -- samples/cord-bali.jpg\n");
    expect(JSON.parse(firstJson.text)).toMatchObject({ result: { total: "1,591,600" }, schema_ok: true });
    expect(firstJson.ms).toBeLessThan(firstJsonMaxMs);
  });

  test('`npm start` runs, and every line of "Call it" answers', async () => {
    const loop = spawn("npm", ["start"], {
      cwd: clone,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [loop.stdout, loop.stderr])
      stream.setEncoding("utf8").on("data", (text) => (said += text));
    const ended = new Promise<void>((resolve) => loop.once("exit", () => resolve()));
    stopLoop = async () => {
      if (loop.exitCode === null && loop.pid !== undefined) process.kill(-loop.pid, "SIGINT");
      await ended;
    };
    await vi.waitFor(() => expect(said).toContain("OCRlty is ready"), { timeout: 60_000, interval: 100 });

    const calls = block("Call it", "/v1/extract");
    const text = await bash('the lines of "Call it"', `${calls}\n`);
    expect(text).toContain('"key_id":"local-admin"');
    expect(text).toContain('"1,591,600"');
    expect(text).not.toMatch(/"error":\{/);
  });

  test('the lines of "Batches" read every sample, and other readers open the tables', async (context) => {
    await bash("the batch lines", block("Batches", "batch samples --out results.csv"));
    const pictures = fs.globSync("samples/*.{jpg,heic,pdf}", { cwd: clone }).length;
    // Each run adds one line of JSON; README has made one run.
    const runs = (await bash("runs", "npm run -s ocrlty -- runs --json"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { run_id: string; counts: { total: number } });
    expect(runs).toMatchObject([{ counts: { total: pictures } }]);
    await bash("XLSX", `npm run -s ocrlty -- results ${runs[0]?.run_id} --format xlsx --out results.xlsx`);
    const python = await readers();
    if (python === undefined) {
      console.log("no Python with pip: results.csv and results.xlsx were opened by nobody else");
      return context.skip();
    }
    const script = join(dir, "read.py");
    fs.writeFileSync(script, readAll);
    const { stdout } = await run(python, [script, join(clone, "results.csv"), join(clone, "results.xlsx")]);
    const seen = JSON.parse(stdout) as Record<string, { rows: number; sums: Record<string, string> }>;
    took["read by others"] = stdout.trim();
    expect(seen.csv?.rows).toBe(pictures);
    expect(Object.keys(seen.csv?.sums ?? {}).length).toBeGreaterThan(0);
    expect(seen.openpyxl).toEqual(seen.csv);
    expect(seen.calamine).toEqual(seen.csv);
  });
});

/** A Python with two readers of XLSX; undefined if there is none. */
async function readers(): Promise<string | undefined> {
  const venv = join(dir, "venv");
  try {
    await run("python3", ["-m", "venv", venv]);
    await run(join(venv, "bin", "pip"), ["install", "--quiet", "openpyxl==3.1.5", "python-calamine==0.9.1"]);
    return join(venv, "bin", "python");
  } catch {
    return undefined;
  }
}

/** Documents, and the sum of their totals by currency, as each reader finds them. */
const readAll = `
import csv, json, sys
from decimal import Decimal
import openpyxl, python_calamine

def summed(header, rows):
    at = {name: index for index, name in enumerate(header)}
    sums = {}
    for row in rows:
        value = row[at["total_value"]]
        if value in (None, ""):
            continue
        currency = row[at["total_currency"]] or "unknown"
        sums[currency] = sums.get(currency, Decimal(0)) + Decimal(repr(value) if isinstance(value, float) else str(value))
    return {"rows": len(rows), "sums": {name: format(total.normalize(), "f") for name, total in sorted(sums.items())}}

with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:
    lines = list(csv.reader(file))
seen = {"csv": summed(lines[0], lines[1:])}
sheet = openpyxl.load_workbook(sys.argv[2]).worksheets[0]
lines = [[cell.value for cell in row] for row in sheet.iter_rows()]
seen["openpyxl"] = summed(lines[0], lines[1:])
lines = python_calamine.CalamineWorkbook.from_path(sys.argv[2]).get_sheet_by_index(0).to_python()
seen["calamine"] = summed(lines[0], lines[1:])
print(json.dumps(seen))
`;

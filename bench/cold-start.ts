/**
 * `npm run bench -- cold-start`: the size of each function's bundle, minified as it is deployed, and how long a fresh
 * process takes to load it, compared with an empty function as ratios of medians. All run in turns. `--only
 * docs,usage` measures only these.
 */
import { execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { parseArgs, promisify } from "node:util";
import { bundle } from "#local/bundle/bundle";
import * as Functions from "#spec/functions";
import * as Figures from "./support/figures.ts";

interface Row {
  name: string;
  kilobytes: number;
  kilobytes_ratio: number;
  /** From the import's begin to its end. */
  load_ms: number;
  /** From the start of the process, Node's own start included. */
  ready_ms: number;
  ready_ratio: number;
}

/** The whole program of a fresh process, which measures itself, so that its start is not part of the times. */
const program = `
const begin = performance.now();
await import(process.argv[1]);
const end = performance.now();
process.stdout.write(JSON.stringify({ load: end - begin, ready: end }), () => process.exit(0));
`;

/** Measures and prints. Exit status 0; 2 for wrong arguments. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "15" },
      only: { type: "string" },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    process.stderr.write("--rounds is a number from 1 on\n");
    return 2;
  }
  const wanted = values.only?.split(",");
  const unknown = wanted?.filter((name) => !Object.hasOwn(Functions.functions, name)) ?? [];
  if (unknown.length > 0) {
    process.stderr.write(`no such function: ${unknown.join(", ")}\n`);
    return 2;
  }
  const specs: Record<string, Pick<Functions.FunctionSpec, "handler">> = {
    empty: { handler: "bench/empty.handler" },
    ...Object.fromEntries(
      Object.entries(Functions.functions).filter(([name]) => wanted?.includes(name) ?? true),
    ),
  };
  const bundled = await bundle({
    handlers: Object.fromEntries(Object.entries(specs).map(([name, { handler }]) => [name, handler])),
    minify: true,
  });
  try {
    const names = Object.keys(specs);
    const times = new Map(names.map((name) => [name, { load: [] as number[], ready: [] as number[] }]));
    // One additional round, because the first reads the files from the disk.
    for (let i = 0; i <= rounds; i += 1) {
      for (const name of names) {
        const { load, ready } = await fresh(bundled.functions[name]?.file ?? "");
        if (i === 0) continue;
        times.get(name)?.load.push(load);
        times.get(name)?.ready.push(ready);
      }
    }
    const of = (name: string) => times.get(name) ?? { load: [], ready: [] };
    const bytes = (name: string) => bundled.functions[name]?.bytes ?? Number.NaN;
    const rows = names.map(
      (name): Row => ({
        name,
        kilobytes: Figures.round(bytes(name) / 1024, 1),
        kilobytes_ratio: Figures.round(bytes(name) / bytes("empty")),
        load_ms: Figures.round(Figures.median(of(name).load), 1),
        ready_ms: Figures.round(Figures.median(of(name).ready), 1),
        ready_ratio: Figures.round(Figures.median(of(name).ready) / Figures.median(of("empty").ready), 2),
      }),
    );
    process.stdout.write(values.json ? `${JSON.stringify({ rounds, rows }, null, 2)}\n` : text(rows));
    return 0;
  } finally {
    bundled.release();
  }
}

/** Loads a bundle in a new process without a compile cache, which Lambda does not have either. */
async function fresh(file: string): Promise<{ load: number; ready: number }> {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", program, pathToFileURL(file).href],
    { env },
  );
  return JSON.parse(stdout);
}

function text(rows: readonly Row[]): string {
  const head = ["function", "KB", "load ms", "ready ms", "ready, ratio to empty"];
  const lines = rows.map((row) => [row.name, row.kilobytes, row.load_ms, row.ready_ms, row.ready_ratio]);
  return `${Figures.table(head, lines)}\n`;
}

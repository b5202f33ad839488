/**
 * `npm run bench -- cold-start`: the size of each function's bundle, minified as it is deployed, and how long a fresh
 * process takes to load it, in CPU and in time, compared with an empty function as ratios of medians. All run in turns.
 * On a machine with other work only the CPU says something. `--only docs,usage` measures only these.
 */
import { execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type Bundle, bundle } from "#local/bundle/bundle";
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
  /** Of all threads until it is ready, user and system. */
  cpu_ms: number;
  cpu_ratio: number;
}

/** The whole program of a fresh process, which measures itself, so that its start is not part of the times. */
const program = `
const begin = performance.now();
await import(process.argv[1]);
const end = performance.now();
const { user, system } = process.cpuUsage();
const cpu = (user + system) / 1000;
process.stdout.write(JSON.stringify({ load: end - begin, ready: end, cpu }), () => process.exit(0));
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
    const rows = await measure(bundled, Object.keys(specs), rounds);
    process.stdout.write(values.json ? `${JSON.stringify({ rounds, rows }, null, 2)}\n` : text(rows));
    return 0;
  } finally {
    bundled.release();
  }
}

type Times = Record<"load" | "ready" | "cpu", number[]>;

/** The medians of each function; the first name is that of the empty one. */
async function measure(bundled: Bundle, names: readonly string[], rounds: number): Promise<Row[]> {
  const times = new Map(names.map((name): [string, Times] => [name, { load: [], ready: [], cpu: [] }]));
  // One additional round, because the first reads the files from the disk.
  for (let i = 0; i <= rounds; i += 1) {
    for (const [name, found] of times) {
      const one = await fresh(bundled.functions[name]?.file ?? "");
      if (i === 0) continue;
      found.load.push(one.load);
      found.ready.push(one.ready);
      found.cpu.push(one.cpu);
    }
  }
  const median = (name: string, what: keyof Times) => Figures.median(times.get(name)?.[what] ?? []);
  const bytes = (name: string) => bundled.functions[name]?.bytes ?? Number.NaN;
  const [empty = ""] = names;
  return names.map((name) => ({
    name,
    kilobytes: Figures.round(bytes(name) / 1024, 1),
    kilobytes_ratio: Figures.round(bytes(name) / bytes(empty)),
    load_ms: Figures.round(median(name, "load"), 1),
    ready_ms: Figures.round(median(name, "ready"), 1),
    ready_ratio: Figures.round(median(name, "ready") / median(empty, "ready"), 2),
    cpu_ms: Figures.round(median(name, "cpu"), 1),
    cpu_ratio: Figures.round(median(name, "cpu") / median(empty, "cpu"), 2),
  }));
}

/** Loads a bundle in a new process without a compile cache, which Lambda does not have either. */
async function fresh(file: string): Promise<Record<keyof Times, number>> {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", program, pathToFileURL(file).href],
    { env },
  );
  return JSON.parse(stdout);
}

function text(rows: readonly Row[]): string {
  const head = ["function", "KB", "load ms", "ready ms", "ratio to empty", "CPU ms", "ratio to empty"];
  const lines = rows.map((row) => [
    ...[row.name, row.kilobytes, row.load_ms, row.ready_ms, row.ready_ratio],
    ...[row.cpu_ms, row.cpu_ratio],
  ]);
  return `${Figures.table(head, lines)}\n`;
}

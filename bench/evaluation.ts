/**
 * `npm run bench -- evaluation [--sizes 1000,10000] [--json]`: evaluates documents of 30 rows in separate processes,
 * in steps as a run's worker does, and measures memory and processor time. The memory for the most documents is
 * compared with that for the fewest. A variant that keeps every answer must miss that bar; otherwise the bar could
 * not be missed at all.
 */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import * as Accumulator from "#core/evaluation/accumulator";
import { type Comparison, compare } from "#core/evaluation/compare/compare";
import * as Figures from "#core/evaluation/figures";
import * as Record from "#core/ground-truth/record";
import * as Task from "#core/task/task";
import * as SupportFigures from "./support/figures.ts";

const rows = 30;
/** Documents per step; between two steps the evaluation is stored as JSON. */
const step = 500;
const maxGrowth = 1.2;
/** The bytes per document that may stay in use: the document's part of the evaluation's state. */
const maxKeptBytes = 1024;

const money = (cents: number) => (cents / 100).toFixed(2);

/** A receipt and a model's answer, with occasional errors in a text, an amount or a row. */
function documentOf(n: number) {
  const items = Array.from({ length: rows }, (_, i) => {
    const cents = 100 + ((i * 137 + n * 31) % 900);
    const quantity = 1 + ((i + n) % 4);
    return {
      name: `ITEM ${(i * 7919 + n * 13) % 1000} OF SHELF ${i % 9}`,
      ...{ quantity: String(quantity), unit_price: money(cents), price: money(cents * quantity) },
    };
  });
  const total = items.reduce((sum, { price }) => sum + Number(price) * 100, 0);
  const fields = {
    merchant: { name: `SHOP ${n % 300}`, address: null, phone: null, tax_id: null },
    ...{ receipt_number: String(n), date: "2031-05-24", time: "14:30", currency: "EUR" },
    items,
    totals: { subtotal: money(total), tax: money(total / 6), tip: null, total: money(total) },
    payment: { method: "CASH", cash: money(total + 500), card: null, change: "5.00" },
  };
  const read = structuredClone(fields);
  read.items = read.items.filter((_, i) => (i + n) % 41 !== 0);
  for (const [i, item] of read.items.entries())
    if ((i + n) % 11 === 0)
      Object.assign(item, { name: item.name.replace("ITEM", "1TEM"), price: `${item.price}0` });
  if (n % 7 === 0) read.totals.tax = "0.00";
  return { fields, read };
}

interface Measured {
  documents: number;
  /** The kernel's peak of the process, and what is still in use at its end, after a garbage collection. */
  peak_mb: number;
  live_mb: number;
  cpu_ms_a_document: number;
  /** For the last part alone: resampling the documents and writing the figures. */
  figures_ms: number;
  state_bytes_a_document: number;
}

const cpuMs = (since?: NodeJS.CpuUsage) => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};

/** What a spawned process does. The measuring process must not do it, because its memory would count. */
function evaluate(documents: number, leaks: boolean): Measured {
  const fields = Task.get("receipt_v1")?.fields ?? [];
  const kept: Comparison["answer"][] = [];
  let accumulator = Accumulator.create(fields);
  let stateBytes = 0;
  const begun = process.cpuUsage();
  for (let n = 0; n < documents; n += 1) {
    const { fields: labels, read } = documentOf(n);
    const { record } = Record.parse({ file: `till-${n % 50}/${n}.jpg`, fields: labels }, { index: n });
    if (record === undefined) throw new Error("the bench made an invalid record");
    const answer = { status: "succeeded" as const, result: read };
    const comparison = compare(fields, record.labels, answer, { strMode: "exact" });
    if (leaks) kept.push(comparison.answer);
    Accumulator.add(accumulator, comparison, { file: record.image });
    if (n % step < step - 1) continue;
    const state = JSON.stringify(Accumulator.stateOf(accumulator));
    stateBytes = state.length;
    accumulator = Accumulator.restore(fields, JSON.parse(state)) ?? accumulator;
  }
  const compared = process.cpuUsage();
  const figures = Figures.of(accumulator);
  gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  // Keeps the objects in use until here.
  if (figures.summary.documents !== documents || kept.length !== (leaks ? documents : 0))
    throw new Error("documents were lost");
  const status = fs.readFileSync("/proc/self/status", "utf8");
  return {
    documents,
    live_mb: SupportFigures.round((heapUsed + arrayBuffers) / 2 ** 20, 1),
    peak_mb: SupportFigures.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024, 1),
    cpu_ms_a_document: SupportFigures.round((cpuMs(begun) - cpuMs(compared)) / documents, 2),
    figures_ms: SupportFigures.round(cpuMs(compared)),
    state_bytes_a_document: SupportFigures.round(stateBytes / documents),
  };
}

/**
 * A heap of a fixed size, as a function has: without a limit the collector waits longer on a machine with more
 * memory, and the peak would measure that.
 */
const heap = ["--max-old-space-size=96", "--max-semi-space-size=8", "--expose-gc"];

/** `resourceUsage().maxRSS` of a spawned process is at least its parent's, so the kernel's own peak is read there. */
async function spawned(documents: number, leaks: boolean): Promise<Measured> {
  const self = fileURLToPath(import.meta.url);
  const args = [...heap, self, "--spawned", String(documents), String(leaks)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Measured;
}

/** Prints the table, or JSON with `--json`; 1 if memory grows, or if the variant's growth is not detected. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { sizes: { type: "string", default: "1000,10000" }, json: { type: "boolean", default: false } },
  });
  if (process.platform !== "linux") {
    process.stderr.write("a process's high-water mark is Linux's alone: not measured\n");
    return 0;
  }
  const sizes = values.sizes.split(",").map(Number);
  if (sizes.length < 2 || sizes.some((size) => !Number.isInteger(size) || size < step)) {
    process.stderr.write(`--sizes takes two whole numbers or more, from ${step} on\n`);
    return 2;
  }
  const measured: (Measured & { build: string })[] = [];
  for (const build of ["as it is", "leaking"])
    for (const size of sizes) {
      process.stderr.write(`${size} documents, ${build}\n`);
      measured.push({ build, ...(await spawned(size, build === "leaking")) });
    }
  const ends = (build: string) => {
    const [first, last] = [0, -1].map((at) => measured.filter((each) => each.build === build).at(at));
    const growth = SupportFigures.round((last?.peak_mb ?? Number.NaN) / (first?.peak_mb ?? Number.NaN), 2);
    const more = (last?.live_mb ?? Number.NaN) - (first?.live_mb ?? Number.NaN);
    const kept = (more * 2 ** 20) / ((last?.documents ?? 0) - (first?.documents ?? 0));
    return { growth, kept_bytes_a_document: SupportFigures.round(kept) };
  };
  const [own, leaking] = [ends("as it is"), ends("leaking")];
  const fits = ({ growth, kept_bytes_a_document: kept }: typeof own) => [
    growth <= maxGrowth,
    kept <= maxKeptBytes,
  ];
  const isRight = fits(own).every((fit) => fit) && fits(leaking).every((fit) => !fit);
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ rows, measured, own, leaking }, null, 2)}\n`);
    return isRight ? 0 : 1;
  }
  const head = [
    "documents of 30 rows",
    "build",
    "peak MB",
    "live MB",
    "CPU ms a document",
    "figures ms",
    "bytes kept a document",
  ];
  const lines = measured.map((each) => [
    ...[each.documents, each.build, each.peak_mb, each.live_mb, each.cpu_ms_a_document, each.figures_ms],
    each.state_bytes_a_document,
  ]);
  process.stdout.write(
    `${SupportFigures.table(head, lines)}\nthe peak grows by ${own.growth}, and ${own.kept_bytes_a_document} bytes a document stay ` +
      `in use; by ${leaking.growth} and ${leaking.kept_bytes_a_document} where every answer is kept\n`,
  );
  return isRight ? 0 : 1;
}

if (process.argv[2] === "--spawned") {
  const [documents = "0", leaks] = process.argv.slice(3);
  process.stdout.write(JSON.stringify(evaluate(Number(documents), leaks === "true")));
}

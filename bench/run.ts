/**
 * `npm run bench -- NAME [--json]`: measurements that print ratios within one run, which can be compared across
 * machines.
 */

/** Every file here exports `run(args)`, which prints its answer and returns the exit status. */
const benches: Readonly<Record<string, () => Promise<{ run(args: string[]): Promise<number> }>>> = {
  extract: () => import("./extract.ts"),
  "extract-look": () => import("./extract-look.ts"),
  "first-call": () => import("./first-call.ts"),
  "cold-start": () => import("./cold-start.ts"),
  "auto-concurrency": () => import("./auto-concurrency.ts"),
  cost: () => import("./cost.ts"),
  artifacts: () => import("./artifacts.ts"),
  batch: () => import("./batches.ts"),
  canonical: () => import("./canonical.ts"),
  "dev-labels": () => import("./dev-labels.ts"),
  doors: () => import("./doors.ts"),
  evaluation: () => import("./evaluation/main.ts"),
  guards: () => import("./guards/main.ts"),
  look: () => import("./look/main.ts"),
  heif: () => import("./heif.ts"),
  pdf: () => import("./pdf.ts"),
  "long-paper": () => import("./long-paper/main.ts"),
  memory: () => import("./memory.ts"),
  planted: () => import("./planted.ts"),
  vllm: () => import("./vllm.ts"),
};

const [name = "", ...args] = process.argv.slice(2);
const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (load === undefined) {
  process.stderr.write(`usage: npm run bench -- NAME [--json]; NAME is ${Object.keys(benches).join(", ")}\n`);
  process.exitCode = 2;
} else {
  process.exitCode = await (await load()).run(args);
}

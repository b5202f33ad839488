/**
 * `npm test`: lint and types side by side, then every test. Stops at the first part that fails, and ends with the
 * totals on one line: `N passed, N failed`, and `, N skipped` when there are any. Arguments go to vitest: `npm test --
 * core/key`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import * as Totals from "#cli/terminal/totals";
import * as SstPlatform from "./sst-platform.ts";
import * as Tsc from "./tsc.ts";
import { unsent } from "./unsent-statements.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Files that may be run a second time, alone. */
const mostRepeatedFiles = 3;

const running = new Set<ChildProcess>();

async function main(): Promise<number> {
  const checks = await Promise.all([
    part("lint", "node_modules/@biomejs/biome/bin/biome", ["check", "--no-errors-on-unmatched"]),
    part("types", "node_modules/typescript/bin/tsc", [...Tsc.flags("all"), "--project", "."]),
  ]);
  const failed = checks.filter((ok) => !ok).length;
  if (failed === 0) await sstPlatform(process.argv.slice(2));
  const totals = failed > 0 ? { passed: 0, failed, skipped: 0 } : await tests(process.argv.slice(2));
  process.stdout.write(`
${Totals.line(totals)}
`);
  return totals.failed > 0 ? 1 : 0;
}

/** Runs one checker quietly; if it fails, its whole output is shown. */
async function part(name: string, file: string, args: string[]): Promise<boolean> {
  const startedAt = performance.now();
  const child = start([file, ...args], ["ignore", "pipe", "pipe"]);
  const output: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => output.push(chunk));
  const status = await statusOf(child);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const text = Buffer.concat(output).toString("utf8").trim();
  process.stdout.write(
    status === 0 ? `${name} ok (${seconds} s)\n` : `${text}\n${name} failed (${seconds} s)\n`,
  );
  return status === 0;
}

/**
 * Installs SST's components if they are missing, for the tests of infra/. This happens before all tests, because an
 * installation during them would slow down local loops whose clocks run thirty times as fast. If the registry cannot be
 * reached, the tests of infra/ are skipped, and counted as skipped.
 */
async function sstPlatform(args: readonly string[]): Promise<void> {
  if (args.length > 0 && !args.some((arg) => arg.startsWith("infra"))) return;
  const startedAt = performance.now();
  const there = await SstPlatform.ensure();
  const seconds = (performance.now() - startedAt) / 1000;
  if (there && seconds > 1)
    process.stdout.write(`SST's components installed, once (${seconds.toFixed(1)} s)\n`);
}

/** Runs vitest with its own readable output and counts from its report. */
async function tests(args: string[]): Promise<Totals.Totals> {
  const dir = fs.mkdtempSync(join(os.tmpdir(), "ocrlty-check-"));
  try {
    const sites = join(dir, "sites");
    const { totals: first, report } = await vitest(join(dir, "report.json"), args, {
      OCRLTY_TEST_SITES: sites,
    });
    const whole = args.length === 0 && report !== undefined;
    const totals = whole && first.failed > 0 ? await again(first, report, dir) : first;
    const unseen = args.length === 0 && totals.failed === 0 ? unsent(linesOf(sites)) : [];
    if (unseen.length > 0)
      process.stdout.write(
        `statements that no test sends to a database of its own, so that test/support/plans.ts could look at them (one in
test/statements.test.ts is enough):\n  ${unseen.join("\n  ")}\n`,
      );
    return { ...totals, failed: totals.failed + unseen.length };
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** One run of vitest, and its JSON report; it writes none if it could not start. */
async function vitest(
  file: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ totals: Totals.Totals; report: string | undefined }> {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const status = await statusOf(
    start(
      ["node_modules/vitest/vitest.mjs", "run", ...reporters, ...args],
      ["ignore", "inherit", "inherit"],
      env,
    ),
  );
  const report = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
  return { totals: Totals.count(report, status), report };
}

/**
 * Runs the failed files a second time, alone. Whole loops run beside one another with clocks that are up to thirty
 * times as fast, and a machine that other work keeps busy can be too slow for one of them; a fault of the product fails
 * both times. Tests that passed only alone are named. More than a few failed files are not repeated, because load is
 * not the reason.
 */
async function again(first: Totals.Totals, report: string, dir: string): Promise<Totals.Totals> {
  const failed = Totals.failedFiles(report);
  if (failed.length === 0 || failed.length > mostRepeatedFiles) return first;
  const files = failed.map(({ file }) => relative(root, file));
  process.stdout.write(`\nonce more, alone: ${files.join(", ")}\n`);
  const { totals } = await vitest(join(dir, "again.json"), ["--maxWorkers=1", ...files]);
  const repeated = Totals.repeated(first, totals);
  if (repeated.failed < first.failed)
    process.stdout.write(
      `\nfailed beside others (${first.failed}), and ${repeated.failed === 0 ? "none" : repeated.failed} alone:\n  ${failed
        .flatMap(({ file, tests }) =>
          (tests.length > 0 ? tests : ["(not loaded)"]).map((name) => `${relative(root, file)}: ${name}`),
        )
        .join("\n  ")}\n`,
    );
  return repeated;
}

const linesOf = (file: string) => (fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : []);

/** Starts a Node program of a package without a shell, which the scripts in `.bin` need on Windows. */
function start(
  args: string[],
  stdio: ("ignore" | "pipe" | "inherit")[],
  env: Record<string, string> = {},
): ChildProcess {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...args], {
    cwd: root,
    stdio: [...stdio],
    env: { ...process.env, ...env },
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

function statusOf(child: ChildProcess): Promise<number> {
  return new Promise((done, fail) => {
    child.once("error", fail);
    // Not "exit": the pipes may still hold output.
    child.once("close", (status) => done(status ?? 1));
  });
}

for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill(signal);
    process.exitCode = 128 + number;
    process.stdout.write("\ninterrupted\n");
    process.exit();
  });
}

process.exitCode = await main();

/**
 * A copy of the product in which one source file at a time is changed, to see which test of infra/ fails. Sources are
 * copied; packages and SST's components, 70,000 files, are hard links if the file system supports them.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ensure, root } from "#scripts/sst-platform";

/** A text that occurs exactly once in a file, and its replacement. */
export type Edit = readonly [from: string, to: string];

/** The result of one run of the tests. */
export interface Outcome {
  /** The result that `npm test` would have had. */
  readonly isGreen: boolean;
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** Skipped, or not started because the stages could not be made. */
  readonly others: number;
  readonly seconds: number;
}

/** The part of vitest's JSON report that is used. */
interface Report {
  testResults: { assertionResults: { fullName: string; status: string }[] }[];
}

export interface Copy {
  /** Runs the tests of infra/ as they are. */
  run(): Promise<Outcome>;
  /** Runs them with a changed file, and restores it. @throws if the text does not occur exactly once. */
  mutated(file: string, edits: readonly Edit[]): Promise<Outcome>;
  close(): void;
}

/** What ends a soak without its `afterAll`: Ctrl-C, its stop, and the end of the vitest process above it. */
const ends = ["SIGINT", "SIGTERM", "disconnect"] as const;

/** Five times what a run takes on two processors. */
const runMs = 120_000;

/** @throws if SST's components are missing: without them most tests of infra/ are skipped. */
export async function copy(): Promise<Copy> {
  if (!(await ensure())) throw new Error("SST's components are not there and could not be installed");
  // The real path: esbuild resolves to it, and the tests compare with it.
  const temporary = fs.realpathSync.native(tmpdir());
  sweep(temporary);
  const dir = fs.mkdtempSync(join(temporary, `ocrlty-mutant-${process.pid}-`));
  const running = new Set<number>();
  const close = () => {
    for (const event of ends) process.off(event, leave);
    for (const pid of running) endTree(pid);
    fs.rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  const leave = () => {
    close();
    process.exit(1);
  };
  for (const event of ends) process.once(event, leave);
  try {
    for (const file of sources()) {
      fs.mkdirSync(dirname(join(dir, file)), { recursive: true });
      fs.copyFileSync(join(root, file), join(dir, file));
    }
    // Files kept from earlier runs are overwritten in place, so a link would change the original.
    for (const name of fs.readdirSync(join(root, "node_modules")))
      if (!/^\.(cache|vite|ocrlty)/.test(name)) link(join("node_modules", name), dir);
    link(".sst", dir);
  } catch (error) {
    close();
    throw error;
  }
  const run = () => vitest(dir, running);
  const mutated = async (file: string, edits: readonly Edit[]) => {
    const path = join(dir, file);
    const original = fs.readFileSync(path, "utf8");
    fs.writeFileSync(path, changed(file, original.replaceAll("\r\n", "\n"), edits));
    try {
      return await run();
    } finally {
      fs.writeFileSync(path, original);
    }
  };
  return { run, mutated, close };
}

/** Removes the copies of killed processes, and of those that could not do it: after Ctrl-C vitest does not wait. */
function sweep(temporary: string): void {
  for (const name of fs.readdirSync(temporary)) {
    const pid = Number(/^ocrlty-mutant-(\d+)-/.exec(name)?.[1]);
    if (pid > 0 && !isAlive(pid))
      fs.rmSync(join(temporary, name), { recursive: true, force: true, maxRetries: 10 });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function changed(file: string, text: string, edits: readonly Edit[]): string {
  return edits.reduce((before, [from, to]) => {
    const parts = before.split(from);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`);
    return parts.join(to);
  }, text);
}

/** The files that git tracks or would add. Without git or its folder: everything that no command generates. */
function sources(): string[] {
  try {
    const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const files = listed.split("\0").filter((file) => file !== "" && fs.existsSync(join(root, file)));
    if (files.includes("package.json")) return files;
  } catch {
    // No git, or no repository.
  }
  return walk("");
}

function walk(dir: string): string[] {
  return fs.readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (/^(node_modules|\.git|\.sst|\.ocrlty.*|\.env(\.local)?|coverage)$/.test(entry.name)) return [];
    return entry.isDirectory() ? walk(path) : entry.isFile() ? [path] : [];
  });
}

/** Puts `path` of the product into the copy. A program that another test has just removed is skipped. */
function link(path: string, dir: string): void {
  const [from, to] = [join(root, path), join(dir, path)];
  const found = fs.lstatSync(from, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isDirectory()) {
    fs.mkdirSync(to, { recursive: true });
    for (const name of fs.readdirSync(from)) link(join(path, name), dir);
  } else if (found.isSymbolicLink()) {
    fs.symlinkSync(fs.readlinkSync(from), to, fs.statSync(from).isDirectory() ? "junction" : "file");
  } else {
    try {
      fs.linkSync(from, to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      // Another file system, or one without links.
      fs.copyFileSync(from, to);
    }
  }
}

async function vitest(dir: string, running: Set<number>): Promise<Outcome> {
  const startedAt = performance.now();
  const report = join(dir, "report.tmp");
  fs.rmSync(report, { force: true });
  const program = join(dir, "node_modules", "vitest", "vitest.mjs");
  const child = spawn(
    process.execPath,
    [
      ...["--disable-warning=ExperimentalWarning", program, "run", "infra"],
      ...["--reporter=json", `--outputFile=${report}`],
    ],
    {
      cwd: dir,
      // A process group of its own, so that one id stands for everything that it starts.
      detached: process.platform !== "win32",
      env: {
        ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^VITEST/.test(name))),
        NODE_COMPILE_CACHE: join(dir, "node_modules", ".cache", "ocrlty-compile"),
      },
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    },
  );
  const { pid } = child;
  if (pid !== undefined) running.add(pid);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      output = (output + chunk).slice(-10_000);
    });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (pid !== undefined) endTree(pid);
  }, runMs);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  }).finally(() => {
    clearTimeout(timer);
    if (pid !== undefined) running.delete(pid);
  });
  if (late) throw new Error(`the tests took longer than ${runMs / 1000} s:\n${output}`);
  if (!fs.existsSync(report)) throw new Error(`vitest wrote no report (status ${status}):\n${output}`);
  const { testResults } = JSON.parse(fs.readFileSync(report, "utf8")) as Report;
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (wanted: string) =>
    tests.filter((one) => one.status === wanted).map(({ fullName }) => fullName);
  const [passed, failed] = [named("passed"), named("failed")];
  const seconds = (performance.now() - startedAt) / 1000;
  const others = tests.length - passed.length - failed.length;
  return { isGreen: status === 0, passed, failed, others, seconds };
}

function endTree(pid: number): void {
  try {
    if (process.platform === "win32") execFile("taskkill", ["/pid", `${pid}`, "/t", "/f"], () => {});
    else process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/* Checkouts of this repository, each started as a user starts it, and what their processes cost. */

/** A checkout whose loop answers. */
export interface Build {
  name: string;
  url: string;
  /** A key of its own with every right. */
  apiKey: string;
  /** The loop's first process. */
  pid: number;
  close(): Promise<void>;
}

const startMs = 120_000;

/**
 * Starts the loop of a checkout that has its packages, with a folder of its own for its data.
 * @throws Error if it does not answer within two minutes, with what it printed.
 */
export async function start(name: string, dir: string, env: Record<string, string>): Promise<Build> {
  const home = mkdtempSync(join(tmpdir(), "ocrlty-build-"));
  const child = spawn(process.execPath, [join(dir, "local", "main.ts")], {
    cwd: dir,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: "0", OCRLTY_HOME: home, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async () => {
    child.kill("SIGTERM");
    await ended;
    rmSync(home, { recursive: true, force: true });
  };
  try {
    const url = await addressOf(child);
    const apiKey = readFileSync(join(home, "api-key"), "utf8").trim();
    return { name, url, apiKey, pid: child.pid ?? 0, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      const address = /ready at (\S+)\n/.exec(printed)?.[1];
      if (address !== undefined) resolve(address);
    });
  child.once("exit", () => reject(new Error(`the build ended:\n${printed}`)));
  const timer = setTimeout(() => reject(new Error(`the build does not start:\n${printed}`)), startMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

const longAgo = new Date("2020-01-01T00:00:00Z");

/**
 * Bytes of a checkout's bundles that are read while `work` runs, by the access times of the files; undefined where the
 * file system keeps none. Another loop of the same checkout must not start meanwhile.
 */
export async function bytesLoaded(dir: string, work: () => Promise<void>): Promise<number | undefined> {
  const cache = join(dir, "node_modules", ".cache", "ocrlty");
  const files = readdirSync(cache, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".mjs"))
    .map((name) => join(cache, name));
  for (const file of files) utimesSync(file, longAgo, statSync(file).mtime);
  await work();
  const read = files.map((file) => statSync(file)).filter(({ atime }) => atime > longAgo);
  return read.length === 0 ? undefined : read.reduce((sum, { size }) => sum + size, 0);
}

/** Milliseconds of CPU that a process and all below it have taken, children that ended included. Linux only. */
export function cpuMs(pid: number): number {
  const children = new Map<number, number[]>();
  const times = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || !existsSync(`/proc/${name}/stat`)) continue;
    const fields = statOf(name);
    if (fields === undefined) continue;
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    // User and system time, its own and that of children that ended (proc(5), fields 14 to 17), in ticks of 10 ms.
    times.set(Number(name), fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 10);
  }
  const all = (of: number): number =>
    (times.get(of) ?? 0) + (children.get(of) ?? []).reduce((sum, child) => sum + all(child), 0);
  return all(pid);
}

/** The fields after the program's name; undefined for a process that has ended meanwhile. */
function statOf(pid: string): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ");
  } catch {
    return undefined;
  }
}

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, vi } from "vitest";
import { packageRoot } from "#local/home/home";

const startMs = 60_000;

/** `npm start` in a process of its own, as a user runs it, with its folder and settings. */
export interface Stack {
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  /** Sends SIGKILL to this process alone; returns the ids of the processes that it had started. */
  kill(): Promise<number[]>;
  /** Stops it with SIGTERM. */
  stop(): Promise<void>;
}

/** Starts the whole stack in `home`, and returns when it reports that it is ready. */
export async function start(home: string, env: Record<string, string>): Promise<Stack> {
  const quiet = ["DATABASE_URL", "AUTH_DB_PATH", "S3_BUCKET", "S3_ENDPOINT_URL", "API_KEY_PEPPER"];
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(packageRoot, "local", "main.ts")],
    {
      cwd: tmpdir(),
      // A developer's `.env` must not affect it, so the variables are set: they take precedence over the file.
      env: {
        ...process.env,
        ...Object.fromEntries(quiet.map((name) => [name, ""])),
        OCRLTY_HOME: home,
        PORT: "0",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let text = "";
  const listen = (chunk: Buffer) => {
    text += chunk.toString("utf8");
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  const line = /OCRlty is ready at (http:\S+)\n/;
  try {
    await vi.waitFor(() => expect(text).toMatch(line), { timeout: startMs, interval: 20 });
  } catch (error) {
    await end(child, "SIGKILL");
    throw error;
  }
  const pid = child.pid ?? 0;
  return {
    url: line.exec(text)?.[1] ?? "",
    key: readFileSync(join(home, "api-key"), "utf8").trim(),
    pid,
    kill: async () => {
      const children = await descendants(pid);
      await end(child, "SIGKILL");
      return children;
    },
    stop: () => end(child, "SIGTERM"),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
}

/** All running processes of this machine, without zombies. */
async function processes(): Promise<Process[]> {
  const run = promisify(execFile);
  if (process.platform === "win32") {
    const command =
      'Get-CimInstance Win32_Process | ForEach-Object { "$($_.ProcessId) $($_.ParentProcessId) R" }';
    return parse((await run("powershell.exe", ["-NoProfile", "-Command", command])).stdout);
  }
  return parse((await run("ps", ["-A", "-o", "pid=,ppid=,stat="])).stdout);
}

function parse(table: string): Process[] {
  return table.split("\n").flatMap((line) => {
    const [pid, parent, state = "Z"] = line.trim().split(/\s+/);
    return state.startsWith("Z") ? [] : [{ pid: Number(pid), parent: Number(parent) }];
  });
}

/** Every process below this one. */
async function descendants(root: number): Promise<number[]> {
  const all = await processes();
  const found: number[] = [];
  for (let level = [root]; level.length > 0; ) {
    const below = all.filter(({ parent }) => level.includes(parent)).map(({ pid }) => pid);
    found.push(...below);
    level = below;
  }
  return found;
}

/** Waits until all of these processes have ended, for at most `withinMs`. */
export async function expectGone(pids: readonly number[], withinMs: number): Promise<void> {
  const left = async () => (await processes()).filter(({ pid }) => pids.includes(pid)).length;
  await expect.poll(left, { timeout: withinMs, interval: 100 }).toBe(0);
}

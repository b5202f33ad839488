/**
 * Ends the loop's child processes if the loop is killed (kill -9, a task manager): an instance that is busy in native
 * code or an endless loop does not notice that its IPC channel closed. One small process reads "+pid" and "-pid" lines;
 * at the end of its input it kills what is still listed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Reaper {
  /** Watches a child process until it has exited. */
  watch(child: ChildProcess): void;
  close(): Promise<void>;
}

/** Starts the watching process. It never outlives this one. */
export function start(): Reaper {
  const process_ = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", import.meta.filename], {
    stdio: ["pipe", "ignore", "ignore"],
    windowsHide: true,
  });
  process_.on("error", () => undefined);
  process_.stdin.on("error", () => undefined);
  process_.unref();
  const ended = new Promise<void>((resolve) => process_.once("close", () => resolve()));
  return {
    watch: (child) => {
      if (child.pid === undefined) return;
      process_.stdin.write(`+${child.pid}\n`);
      child.once("exit", () => process_.stdin.writable && process_.stdin.write(`-${child.pid}\n`));
    },
    close: async () => {
      // The exit is awaited below, so the process must keep this one alive again.
      process_.ref();
      process_.stdin.end();
      await ended;
    },
  };
}

function main(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  const watched = new Set<number>();
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const pid = Number(line.slice(1));
    if (line.startsWith("+")) watched.add(pid);
    else watched.delete(pid);
  });
  lines.on("close", () => {
    for (const pid of watched) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // The process has already ended.
      }
    }
    process.exit(0);
  });
}

if (process.argv[1] === import.meta.filename) main();

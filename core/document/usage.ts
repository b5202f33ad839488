import { readFileSync } from "node:fs";

/* The CPU and memory that a process uses, and a watch over them. Only Linux reports them for other processes; elsewhere nothing is watched. */

interface Usage {
  cpuMs: number;
  residentBytes: number;
}

/** Linux gives times in these ticks on every machine (proc(5): `sysconf(_SC_CLK_TCK)` is 100). */
const tickMs = 10;

/** Undefined if the system does not report it, and for a process that has ended. Source: proc(5). */
function usageOf(pid: number): Usage | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    // The fields after the name, which may contain blanks and brackets; the first of them is the state, field 3.
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
      residentBytes: Number(resident ?? 0) * 1024,
    };
  } catch {
    return undefined;
  }
}

export interface Bounds {
  /** The baseline: usage counts from now on. */
  cpuMs: number;
  residentBytes: number;
}

/** Usual pictures are done before the first look. */
const everyMs = 100;

/**
 * Checks a process every tenth of a second, and reports the limit that it has exceeded.
 * @returns ends the watch, and gives the CPU that was used since its begin, in ms.
 */
export function watch(pid: number, bounds: Bounds, passed: (what: "cpu" | "memory") => void): () => number {
  const before = usageOf(pid);
  if (before === undefined) return () => 0;
  const timer = setInterval(() => {
    const now = usageOf(pid);
    if (now === undefined) return;
    if (now.residentBytes > bounds.residentBytes) passed("memory");
    else if (now.cpuMs - before.cpuMs > bounds.cpuMs) passed("cpu");
  }, everyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    return (usageOf(pid)?.cpuMs ?? before.cpuMs) - before.cpuMs;
  };
}

import { readFileSync } from "node:fs";

/* What another process has used, from Linux's /proc; 0 where it is not known. */

/** User and system time, in seconds. */
export function cpuSeconds(pid: number | undefined): number {
  const stat = read(pid, "stat");
  const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

/** The most that it has had resident, in MB. */
export const peakMb = (pid: number | undefined): number =>
  Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(read(pid, "status"))?.[1] ?? 0) / 1000);

function read(pid: number | undefined, file: string): string {
  try {
    return pid === undefined ? "" : readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

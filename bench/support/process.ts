import { readdirSync, readFileSync } from "node:fs";

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

/** All processes below one, with their commands. */
export function descendants(parent: number): { pid: number; command: string }[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const parents = new Map(all.map((pid) => [pid, parentOf(pid)]));
  const isBelow = (pid: number): boolean => {
    const above = parents.get(pid);
    return above !== undefined && (above === parent || isBelow(above));
  };
  return all.filter(isBelow).map((pid) => ({ pid, command: read(pid, "cmdline").replaceAll("\0", " ") }));
}

const parentOf = (pid: number): number => Number(/^PPid:\s+(\d+)$/m.exec(read(pid, "status"))?.[1] ?? 0);

function read(pid: number | undefined, file: string): string {
  try {
    return pid === undefined ? "" : readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

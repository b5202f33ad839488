import type { Hold } from "#core/breaker/breaker.sql";
import { nextDay, type Rules } from "./rules.ts";
import type { Memory, Seen } from "./step.ts";

/* The reason why calls and runs wait, until when, and what the day's ceilings allow. */

const hourMs = 3_600_000;

/** Reasons for which a pod that serves gets no new work, and is stopped when nothing is in flight. */
export const draining: readonly (string | null)[] = ["budget", "operator", "pod_broken", "load_timeout"];

/** Whether a start now would leave time for work today. */
export function leavesBudget(
  { ratePerHour }: Pick<Memory, "ratePerHour">,
  seen: Seen,
  rules: Rules,
): boolean {
  const hours = seen.startMs / hourMs;
  const spent = {
    hours: seen.spent.hours + hours,
    dollars: seen.spent.dollars + hours * (ratePerHour ?? 0),
  };
  return !isOverBudget({ spent }, rules);
}

/** Whether the day's hours or dollars are spent. */
export function isOverBudget({ spent }: Pick<Seen, "spent">, rules: Rules): boolean {
  const { maxHoursPerDay, maxDollarsPerDay } = rules;
  return (
    (maxHoursPerDay !== undefined && spent.hours >= maxHoursPerDay) ||
    (maxDollarsPerDay !== undefined && spent.dollars >= maxDollarsPerDay)
  );
}

/** Undefined while the pod may be used. */
export function holdOf(memory: Memory, seen: Seen, rules: Rules): Hold | undefined {
  const { now, startMs } = seen;
  const { state, reason, wanted, retryAt } = memory;
  if (state === "ready" && !draining.includes(reason)) return undefined;
  if (wanted === "off") return { for: "pod", readyAt: now + hourMs };
  const isStarting = state === "starting" || state === "loading";
  const isSpent = isStarting ? isOverBudget(seen, rules) : !leavesBudget(memory, seen, rules);
  if (reason === "budget" || isSpent) return { for: "budget", readyAt: nextDay(now) + startMs };
  if (isStarting) {
    const began = (memory.orderedAt ?? memory.since).getTime();
    // A start that takes longer than others is expected to take a quarter more of what it took so far.
    return { for: "pod", readyAt: Math.max(began + startMs, now + Math.max(15_000, (now - began) / 4)) };
  }
  const from = Math.max(now, retryAt?.getTime() ?? 0);
  return { for: "pod", readyAt: from + rules.times.lookMs + startMs };
}

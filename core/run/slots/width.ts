import type * as z from "zod";
import type { Principal } from "#core/key/key";
import type { RunRow } from "#core/run/run.sql";
import type { BatchRequest } from "#core/run/schema";
import type { RunStores } from "#core/run/services";
import * as Limits from "#spec/limits";

type Row = Pick<RunRow, "concurrency" | "slots">;

/** The current slots of a run. */
export function slotsOf({ concurrency, slots }: Row): number {
  return slots ?? concurrency;
}

/**
 * How many of a run's messages are in the queue at a time, and at how many the planner is ordered. For a run on auto it
 * is ordered after each round of the slots, because the controller then checks their number.
 */
export function windowOf(row: Row): { most: number; refillAt: number } {
  const window = Limits.windowOf(slotsOf(row));
  if (row.slots === null) return window;
  return { ...window, refillAt: window.most - Math.max(8, row.slots) };
}

/**
 * The columns of a run for the `concurrency` of a call. On auto, `concurrency` is the most that the run may get: the
 * limit of all runs together (`ITEM_MAX_CONCURRENCY`), or the key's limit if that is lower.
 */
export function asked(
  services: Pick<RunStores, "itemConcurrency">,
  concurrency: z.output<typeof BatchRequest>["concurrency"],
  { limits }: Pick<Principal, "limits">,
): Row {
  if (concurrency !== "auto") return { concurrency, slots: null };
  const most = Math.min(
    Limits.batches.maxConcurrency,
    services.itemConcurrency,
    limits.maxInFlight ?? Number.POSITIVE_INFINITY,
  );
  return { concurrency: most, slots: Math.min(Limits.batches.firstSlots, most) };
}

import * as Config from "#core/config";
import type * as Database from "#core/db/database";
import type * as Usage from "#core/usage/usage";
import * as Spent from "./spent.ts";

const dayMs = 24 * 3_600_000;

/**
 * What the usage between two days, both included, cost by the sessions of the managed pod.
 * @returns undefined where no pod is managed.
 */
export function usageCosts(
  db: Database.Db,
  { from, to, groupBy }: Pick<Usage.Wanted, "from" | "to" | "groupBy">,
  now: Date = new Date(),
): Usage.Wanted["costsOf"] {
  if (!Config.app().podManaged) return undefined;
  const by = groupBy === "day" ? "day" : (`${groupBy}_id` as const);
  const span = { from: new Date(from), to: new Date(Date.parse(to) + dayMs), now };
  return async (keyId) => ({
    ...(await Spent.ofUsage(db, { from, to, keyId, by }, now)),
    // Cost that belongs to no receipt has no key: it is shown only to callers who may see all keys.
    unallocated: keyId === undefined ? await Spent.unallocated(db, span) : undefined,
  });
}

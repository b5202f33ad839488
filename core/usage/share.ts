import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as Metrics from "#core/metrics/metrics";
import { dayOf } from "./day.ts";

/** Below this total model time, shares of a day are not meaningful. */
const leastMs = 10 * 60_000;

/** The key that used most of the model's time on a day. */
interface LargestShare {
  readonly keyId: string;
  /** The key's share of the time of all keys, 0 to 100. */
  readonly percent: number;
}

/**
 * The key that used most of the model time on the UTC day of `now`. Undefined if all keys together used less than ten
 * minutes, or if only one key used any, because then no other key waits for it. Reads the rows of one day.
 * @throws AppError `storage_unavailable`.
 */
export async function largestShare(db: Database.Db, now: Date): Promise<LargestShare | undefined> {
  const [result] = await Database.batch(
    db,
    [
      Database.statement(
        sql`SELECT key_id, sum(model_ms) AS ms FROM "usage" WHERE day = ${dayOf(now)} AND model_ms > 0 GROUP BY key_id ORDER BY ms DESC`,
      ),
    ],
    "read",
  );
  const used = (result?.rows ?? []).map((row) => ({ keyId: String(row.key_id), ms: Number(row.ms) }));
  const all = used.reduce((sum, { ms }) => sum + ms, 0);
  const [most, ...others] = used;
  if (most === undefined || others.length === 0 || all < leastMs) return undefined;
  return { keyId: most.keyId, percent: Math.round((100 * most.ms) / all) };
}

/**
 * Writes that share as a metric, which an alarm watches, and logs the key.
 * @throws AppError `storage_unavailable`.
 */
export async function tellLargestShare(db: Database.Db, log: Log, now: Date): Promise<void> {
  const share = await largestShare(db, now);
  if (share === undefined) return;
  Metrics.keyShare(share.percent);
  log.info("largest_share", { key_id: share.keyId, percent: share.percent });
}

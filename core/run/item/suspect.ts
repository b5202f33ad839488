import { sql } from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import * as Database from "#core/db/database";
import { extractTable as extract } from "#core/extraction/extract.sql";
import { type ItemRow, itemTable as item } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";

/** The pause between two checks whether the others are done. */
const lookMs = 200;

/**
 * Waits until this item is the only one, of all runs, that a worker has, so that a lost connection can be attributed
 * to it. Items that are claimed from now on are returned (`Breaker.aloneUntil`) until `Breaker.aloneNoMore`.
 * @param time.leaseUntil - how long the right lasts at first; it is renewed with the item's lease (`Claim.renew`).
 * @param time.until - epoch milliseconds after which too little time is left to ask.
 * @param time.signal - aborts when the lease of the item is lost.
 * @param onAlone - called when the right is obtained and when it is lost.
 * @returns false if another suspect has the right, or the others take too long; then no right is held.
 * @throws AppError `storage_unavailable`.
 */
export async function take(
  { db }: Pick<RunServices, "db">,
  row: ItemRow,
  time: { leaseUntil: Date; until: number; signal: AbortSignal },
  onAlone: (is: boolean) => void,
): Promise<boolean> {
  if (!(await Breaker.mayBeAlone(db, time.leaseUntil.getTime() - Date.now()))) return false;
  onAlone(true);
  while (await others(db, row)) {
    // The right expired with the lease, and another suspect may have it.
    if (time.signal.aborted) return false;
    if (Date.now() + lookMs > time.until) {
      onAlone(false);
      await Breaker.aloneNoMore(db);
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  return true;
}

async function others(db: Database.Db, row: ItemRow): Promise<boolean> {
  // Written out as in the partial index that finds them.
  const query = sql`SELECT EXISTS (SELECT 1 FROM ${item} WHERE status = 'running' AND ${item.leaseUntil} > ${Date.now()}
    AND NOT (${item.runUid} = ${row.runUid} AND ${item.index} = ${row.index})) AS found`;
  return found(await Database.batch(db, [Database.statement(query)], "read"));
}

/**
 * True if a single extract was, or may have been, at the model server just now. Single extracts do not wait for a
 * suspect, so a lost connection may be theirs.
 * @throws AppError `storage_unavailable`.
 */
export async function beside(db: Database.Db): Promise<boolean> {
  // Written out as in the partial indexes that find them.
  const query = sql`SELECT EXISTS (SELECT 1 FROM ${extract} WHERE status = 'running'
      AND ${extract.leaseUntil} > ${Date.now()})
    OR EXISTS (SELECT 1 FROM ${extract} WHERE status = 'queued' AND suspects > 0) AS found`;
  return found(await Database.batch(db, [Database.statement(query)], "read"));
}

const found = (results: Awaited<ReturnType<typeof Database.batch>>) =>
  Number(results[0]?.rows[0]?.found) === 1;

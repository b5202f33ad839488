import { sql } from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import * as Database from "#core/db/database";
import { extractTable as extract } from "#core/extraction/extract.sql";
import { type ItemRow, itemTable as item } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";

/** Between two looks whether the others are done. */
const lookMs = 200;

/**
 * Waits until this item is the only one, of all runs, that is with a worker: a connection that is lost then is held
 * against no other item, and no other picture against it. Items that are claimed from now on are given back
 * (`Breaker.aloneUntil`), until `Breaker.aloneNoMore`.
 * @param time.leaseUntil - how long the right is held at first; it is renewed with the item's lease (`Claims.renew`).
 * @param time.until - epoch milliseconds after which there is no time left to ask.
 * @param time.signal - the item is not ours any more.
 * @param onAlone - told that the right is held, and that it is not any more.
 * @returns false when another suspect is at it, or the others take too long: nothing is held then.
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
    // The right ran out with the lease, and another suspect may have it.
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
  // Literal, as in the partial index that finds them.
  const query = sql`SELECT EXISTS (SELECT 1 FROM ${item} WHERE status = 'running' AND ${item.leaseUntil} > ${Date.now()}
    AND NOT (${item.runUid} = ${row.runUid} AND ${item.index} = ${row.index})) AS found`;
  return found(await Database.batch(db, [Database.statement(query)], "read"));
}

/**
 * Whether a single extract was, or may have been, at the model server just now. Those do not wait, so a lost
 * connection may be theirs.
 * @throws AppError `storage_unavailable`.
 */
export async function beside(db: Database.Db): Promise<boolean> {
  // Literal, as in the partial indexes that find them.
  const query = sql`SELECT EXISTS (SELECT 1 FROM ${extract} WHERE status = 'running'
      AND ${extract.leaseUntil} > ${Date.now()})
    OR EXISTS (SELECT 1 FROM ${extract} WHERE status = 'queued' AND suspects > 0) AS found`;
  return found(await Database.batch(db, [Database.statement(query)], "read"));
}

const found = (results: Awaited<ReturnType<typeof Database.batch>>) =>
  Number(results[0]?.rows[0]?.found) === 1;

import { and, eq, sql } from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import { breakerTable } from "#core/breaker/breaker.sql";
import * as Database from "#core/db/database";
import type { ItemMessage } from "#core/run/dispatch/window";
import { type ItemRow, itemTable as item, type RunRow, runTable as run } from "#core/run/run.sql";
import { ours } from "./ending.ts";

export interface Claimed {
  run: RunRow;
  /** Undefined if the item could not be claimed. */
  item: ItemRow | undefined;
  /** The item as it was read if it could not be claimed. */
  found: ItemRow | undefined;
  breaker: Breaker.State;
  /** Until when a suspect of any run has the model server for itself. */
  aloneUntil: number | undefined;
}

/**
 * Claims the item of a message: one statement checks run state, epoch, number and lease. The reads in the same batch
 * explain a refusal.
 * @returns undefined if the run does not exist.
 * @throws AppError `storage_unavailable`.
 */
export async function claim(
  db: Database.Db,
  message: ItemMessage,
  leaseUntil: Date,
): Promise<Claimed | undefined> {
  const now = Date.now();
  const one = and(eq(item.runUid, message.run_uid), eq(item.index, message.index));
  const { taken, runs, items, breaker } = await Database.batch(db, {
    taken: db.query
      .update(item)
      .set({
        status: "running",
        token: sql`${item.token} + 1`,
        claims: sql`${item.claims} + 1`,
        leaseUntil,
        slot: message.slot,
        sentEpoch: message.epoch,
      })
      .where(
        and(
          one,
          eq(item.sendSeq, message.seq),
          sql`(${item.status} = 'queued' OR (${item.status} = 'running' AND ${item.leaseUntil} < ${now}))`,
          sql`coalesce(${item.notBefore}, 0) <= ${now}`,
          sql`EXISTS (SELECT 1 FROM ${run} WHERE ${run.runUid} = ${message.run_uid}
            AND ${run.epoch} = ${message.epoch} AND ${run.state} = 'running'
            AND (${run.slots} IS NULL OR ${run.slots} > ${message.slot}))`,
        ),
      )
      .returning(),
    runs: db.query.select().from(run).where(eq(run.runUid, message.run_uid)),
    items: db.query.select().from(item).where(one),
    breaker: Breaker.statementOfBoth(db),
  });
  const runRow = Database.rows(run, runs)[0];
  if (runRow === undefined) return undefined;
  return {
    run: runRow,
    item: Database.rows(item, taken)[0],
    found: Database.rows(item, items)[0],
    breaker: Breaker.stateIn(Database.rows(breakerTable, breaker), now),
    aloneUntil: Breaker.aloneUntil(Database.rows(breakerTable, breaker), now),
  };
}

/**
 * Extends the lease of a claimed item, and the right to be isolated if `alone` says that the item has it.
 * @returns false if the item ended, was requeued, or was taken over.
 * @throws AppError `storage_unavailable`.
 */
export async function renew(
  db: Database.Db,
  row: ItemRow,
  leaseUntil: Date,
  { alone }: { alone: boolean },
): Promise<boolean> {
  const [result] = await Database.batch(db, [
    db.query.update(item).set({ leaseUntil }).where(ours(row)),
    ...(alone ? [Breaker.stillAlone(db, leaseUntil, sql`changes() = 1`)] : []),
  ]);
  return result?.rowsAffected === 1;
}

/** The fields of an item that tell whether it has changed since it was read. */
type Seen = Pick<ItemRow, "runUid" | "index" | "token" | "status"> & Partial<Pick<ItemRow, "sendSeq">>;

/**
 * Takes an item over from a dead worker and raises the token, if the item is as it was read.
 * @returns undefined if it has changed since.
 * @throws AppError `storage_unavailable`.
 */
export async function takeOver(db: Database.Db, seen: Seen, leaseUntil: Date): Promise<ItemRow | undefined> {
  const { taken } = await Database.batch(db, {
    taken: db.query
      .update(item)
      .set({ status: "running", token: seen.token + 1, leaseUntil })
      .where(
        and(
          eq(item.runUid, seen.runUid),
          eq(item.index, seen.index),
          eq(item.token, seen.token),
          eq(item.status, seen.status),
          seen.sendSeq === undefined ? undefined : eq(item.sendSeq, seen.sendSeq),
        ),
      )
      .returning(),
  });
  return Database.rows(item, taken)[0];
}

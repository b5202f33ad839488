import { and, lt, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { evaluationTable } from "../evaluation.sql.ts";
import * as Evaluation from "../evaluation.ts";

/**
 * Orders every evaluation that has not ended, at the start of a loop that was killed: no worker can hold one. The token
 * rises, so that a remaining process of the killed loop can change nothing.
 * @throws AppError `storage_unavailable`.
 */
export async function resume(services: Evaluation.Stores): Promise<void> {
  const [freed] = await Database.batch(services.db, [
    services.db.query
      .update(evaluationTable)
      .set({ token: sql`${evaluationTable.token} + 1`, leaseUntil: new Date() })
      .where(sql`state = 'running'`)
      .returning(),
  ]);
  for (const row of Database.rows(evaluationTable, freed)) await Evaluation.send(services, row);
}

/** Rows that one pass orders again. */
const orderedAtOnce = 100;

/**
 * Orders evaluations again that run and have had no worker for longer than a message lives: their messages are lost.
 * @returns their number. @throws AppError `storage_unavailable`.
 */
export async function reconcile(services: Evaluation.Stores, log: Log): Promise<number> {
  const before = new Date(Date.now() - services.times.evaluationMessageMs);
  const lost = and(sql`state = 'running'`, lt(evaluationTable.leaseUntil, before));
  const rows = await Database.read(
    services.db.query.select().from(evaluationTable).where(lost).limit(orderedAtOnce),
  );
  for (const row of rows) await Evaluation.send(services, row);
  if (rows.length > 0) log.warn("evaluations_ordered_again", { count: rows.length });
  return rows.length;
}

import { and, lt, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { evaluationTable } from "../evaluation.sql.ts";
import * as Evaluation from "../evaluation.ts";

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

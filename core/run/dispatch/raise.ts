import { eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { type RunRow, runTable as run } from "#core/run/run.sql";

/** Raises the planner's number, so that the order is not taken for an earlier one. */
export const nextNumber = sql`${run.planN} + 1`;

/**
 * Raises the planner's number before anything else is read (see `Order.order`). @throws AppError
 * `storage_unavailable`.
 */
export async function raise(db: Database.Db, runUid: string): Promise<RunRow | undefined> {
  const [result] = await Database.batch(db, [
    db.query
      .update(run)
      .set({ planN: nextNumber, touchedAt: new Date() })
      .where(eq(run.runUid, runUid))
      .returning(),
  ]);
  return Database.rows(run, result)[0];
}

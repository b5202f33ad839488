import { eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { type RunRow, runTable as run } from "#core/run/run.sql";

/** What a deliberate order to the planner raises its number by: one that was read before is another order. */
export const nextNumber = sql`${run.planN} + 1`;

/** The planner's number goes up before anything else is read: see `Order.order`. @throws AppError `storage_unavailable`. */
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

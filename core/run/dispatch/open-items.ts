import { type SQL, sql } from "drizzle-orm";
import { isOpen, itemTable as item, runTable as run, runsBy } from "#core/run/run.sql";

/* Conditions about the runs of all keys, written out as in the partial indexes that answer them. */

/** A worker has an item, and may be at the model server with it. @param now - epoch milliseconds. */
export const inFlight = (now: number): SQL =>
  sql`EXISTS (SELECT 1 FROM ${item} WHERE status = 'running' AND lease_until > ${now})`;

/** A run has items that have not ended, or is being planned and will have some. */
export const waiting = (): SQL =>
  sql`EXISTS (SELECT 1 FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)} AND state IN ('planning', 'running')
    AND (${run.planning} IS NOT NULL OR ${run.succeeded} + ${run.failed} + ${run.canceled} < ${run.total}))`;

import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { extractTable as extract } from "#core/extraction/extract.sql";
import { isOpen, runTable as run, runsBy } from "#core/run/run.sql";

/*
 * For an operator who revokes a key. Only the database is available here, so queues and bucket are left to reconcile,
 * which continues within a minute.
 * going(…)  the work of a key that has not ended
 * stop(…)   prevents the rest of it from starting
 */

/** A key's open work: extracts and runs that have not ended. */
export interface Going {
  /** Oldest first, the first 100. */
  runs: { run_id: string; status: string; items_left: number }[];
  run_count: number;
  /** Single extracts in line, and those that a call or a worker holds. */
  extracts_queued: number;
  extracts_running: number;
}

const shownRuns = 100;
/** Rows per statement. */
const chunk = 1_000;

/** Uses the index of open runs, not all runs that the key ever had. */
const openRuns = (keyId: string): SQL =>
  sql`FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)} AND key_id = ${keyId} AND state <> 'deleting'`;
/** The plus sign makes SQLite use the index of the status. */
const waiting = (keyId: string): SQL => sql`status = 'queued' AND +key_id = ${keyId}`;

/** @throws AppError `storage_unavailable`. */
export async function going(db: Database.Db, keyId: string): Promise<Going> {
  const [runs, counts] = await Database.batch(
    db,
    [
      Database.statement(sql`SELECT run_id, state, max(0, total - succeeded - failed - canceled) AS items_left
        ${openRuns(keyId)} ORDER BY created_at LIMIT ${shownRuns}`),
      Database.statement(sql`SELECT
        (SELECT count(*) ${openRuns(keyId)}) AS runs,
        (SELECT count(*) FROM ${extract} WHERE ${waiting(keyId)}) AS queued,
        (SELECT count(*) FROM ${extract} WHERE status = 'running' AND +key_id = ${keyId}) AS running`),
    ],
    "read",
  );
  const [seen] = counts?.rows ?? [];
  return {
    runs: (runs?.rows ?? []).map((row) => ({
      run_id: String(row.run_id),
      status: String(row.state),
      items_left: Number(row.items_left),
    })),
    run_count: Number(seen?.runs ?? 0),
    extracts_queued: Number(seen?.queued ?? 0),
    extracts_running: Number(seen?.running ?? 0),
  };
}

/**
 * Cancels the key's runs as `POST /v1/runs/{run_id}/cancel` does, and ends its queued extracts as failed (`forbidden`).
 * Work that a worker or a call holds ends normally, and answers that wait for the bucket are stored. May be repeated.
 * @returns the number of each.
 * @throws AppError `storage_unavailable`: call again.
 */
export async function stop(db: Database.Db, keyId: string): Promise<{ runs: number; extracts: number }> {
  const [canceled] = await Database.batch(db, [
    // The time of the last change is reset, so that the next reconcile orders what follows; no queue is available
    // here.
    Database.statement(sql`UPDATE ${run} SET state = 'canceling', epoch = epoch + 1, plan_n = plan_n + 1,
        waiting_for = NULL, touched_at = 0
      WHERE run_uid IN (SELECT run_uid ${openRuns(keyId)} AND state IN ('planning', 'running'))`),
  ]);
  let extracts = 0;
  for (;;) {
    const [ended] = await Database.batch(db, [
      // The token is raised, so that the previous worker commits nothing. Reconcile removes the pictures of ended
      // extracts.
      Database.statement(sql`UPDATE ${extract} SET status = 'failed', token = token + 1, ended_at = ${Date.now()},
          error_code = 'forbidden', error_message = 'the key of this extract was revoked', error_details = NULL,
          waiting_for = NULL, not_before = NULL
        WHERE rowid IN (SELECT rowid FROM ${extract} WHERE ${waiting(keyId)} AND pending_artifact IS NULL LIMIT ${chunk})`),
    ]);
    extracts += ended?.rowsAffected ?? 0;
    if ((ended?.rowsAffected ?? 0) < chunk) return { runs: canceled?.rowsAffected ?? 0, extracts };
  }
}

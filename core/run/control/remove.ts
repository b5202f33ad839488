import { and, eq, inArray, type SQL, sql } from "drizzle-orm";
import * as Place from "#core/artifact/place";
import type * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import { order } from "#core/run/dispatch/order";
import * as Files from "#core/run/results/files";
import { type RunRow, runTable } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Inputs from "#core/run/source/inputs";
import * as Items from "#core/run/source/items";
import { keptPrefix } from "#core/run/source/kept";
import { lateWriterMs } from "#spec/functions";
import * as Limits from "#spec/limits";

/*
 * begin(…)      starts the removal; a small run is removed when this returns
 * step(…)       the planner continues the removal of a large run
 * lookAgain(…)  removes what was written after the removal
 */

/**
 * How many objects of each kind were removed. Attempts of an extract are not counted. An upload and the run's copy of
 * it count as one picture. A run counts when its removal is complete.
 */
interface Deleted {
  extracts: number;
  inputs: number;
  evals: number;
  runs: number;
}

type Outcome = { kind: "deleted"; deleted: Deleted } | { kind: "deleting" };

/** Items whose uploads one statement looks up. */
const uploadsAtOnce = 500;

const ended = ["succeeded", "failed", "canceled"] as const;

/**
 * Removes an ended run: its items' artifacts and attempts, its own artifact and results, its inputs, its rows. The
 * run is `deleting` from the start, and its id stays taken forever. Up to 1,000 items are removed within the call if
 * there is time; the planner removes more.
 * @param deadline - epoch milliseconds after which no further removal begins.
 * @throws AppError `conflict` if the run has not ended (`details.reason` `run_not_ended`) or a rerun still reads its
 *   inputs (`rerun_not_ended`); `not_found` if the run was removed; `storage_unavailable`: repeat the call.
 */
export async function begin(services: RunStores, log: Log, run: RunRow, deadline: number): Promise<Outcome> {
  const reruns = rerunsOf(run);
  const [, found, reading] = await Database.batch(services.db, [
    services.db.query
      .update(runTable)
      .set({ state: "deleting", touchedAt: new Date() })
      .where(
        and(eq(runTable.runUid, run.runUid), inArray(runTable.state, ended), sql`NOT EXISTS (${reruns})`),
      ),
    services.db.query.select().from(runTable).where(eq(runTable.runUid, run.runUid)),
    Database.statement(reruns),
  ]);
  const row = Database.rows(runTable, found)[0];
  if (row === undefined || row.state === "deleted")
    throw new AppError("not_found", "there is no run with this id");
  if (row.state !== "deleting" && (reading?.rows.length ?? 0) > 0) {
    throw new AppError("conflict", "a rerun that reads the inputs of this run has not ended", {
      details: { reason: "rerun_not_ended" },
    });
  }
  if (row.state !== "deleting") {
    throw new AppError("conflict", "the run has not ended: cancel it first", {
      details: { reason: "run_not_ended" },
    });
  }
  if (row.total <= Limits.batches.deletedAtOnce) {
    const deleted: Deleted = { extracts: 0, inputs: 0, evals: 0, runs: 0 };
    if (await work(services, log, { run: row, deadline, deleted })) return { kind: "deleted", deleted };
  }
  await order(services, row, "delete", log);
  return { kind: "deleting" };
}

/**
 * Removes a bounded part of a run that is being deleted. A step that was killed may be repeated, because it continues
 * with what is left.
 * @param time.deadline - as in `begin`.
 * @returns "more": call again; "done", also for a run that is not being deleted.
 * @throws AppError `storage_unavailable`.
 */
export async function step(
  services: RunStores,
  run: RunRow,
  time: { deadline: number },
  log: Log,
): Promise<"done" | "more"> {
  if (run.state !== "deleting") return "done";
  const deleted: Deleted = { extracts: 0, inputs: 0, evals: 0, runs: 0 };
  return (await work(services, log, { run, deadline: time.deadline, deleted })) ? "done" : "more";
}

/** Runs that took over items of this run, directly or through another run, and may still read its inputs. */
function rerunsOf(run: RunRow): SQL {
  // CROSS makes SQLite go from each run to its reruns by the index, and not through all runs of the key.
  return sql`WITH RECURSIVE descendant (run_id) AS (
      VALUES (${run.runId}) UNION
      SELECT made.run_id FROM descendant CROSS JOIN run AS made
      WHERE made.source_run_id = descendant.run_id AND made.key_id = ${run.keyId})
    SELECT 1 FROM descendant CROSS JOIN run AS made
      WHERE made.source_run_id = descendant.run_id AND made.key_id = ${run.keyId}
      AND +made.state IN ('planning', 'running', 'canceling') LIMIT 1`;
}

/** A run that is being removed, the deadline, and the counts so far. */
interface Removal {
  run: RunRow;
  deadline: number;
  deleted: Deleted;
}

/** Removes and counts what is left until the deadline. @returns true when everything is removed. */
async function work(services: RunStores, log: Log, removal: Removal): Promise<boolean> {
  const { run, deadline, deleted } = removal;
  const { db, bucket } = services;
  const startedAt = Date.now();
  const said = (isDone: boolean) => {
    log.info("run_deleted", {
      run_id: run.runId,
      finished: isDone,
      extracts: deleted.extracts,
      inputs: deleted.inputs,
      duration_ms: Date.now() - startedAt,
    });
    return isDone;
  };
  const isLeft =
    !(await removeObjects(bucket, log, removal)) || !(await removeUploads(services, log, removal));
  if (isLeft) return said(false);
  // Reports contain values from the pictures.
  const Remove = await import("#core/evaluation/remove");
  deleted.evals += await Remove.removeOfRun({ db, bucket }, log, run.runUid);
  while (!(await Items.removeRows(db, run.runUid))) if (Date.now() >= deadline) return said(false);

  const [result] = await Database.batch(db, [
    db.query
      .update(runTable)
      .set({
        state: "deleted",
        touchedAt: new Date(),
        lookAgainAt: new Date(Date.now() + lateWriterMs),
        webhookUrl: null,
        webhook: null,
        waitingFor: null,
        planning: null,
        finishing: null,
        errorCode: null,
        errorMessage: null,
        errorDetails: null,
        artifactRel: null,
      })
      .where(and(eq(runTable.runUid, run.runUid), eq(runTable.state, "deleting"))),
  ]);
  deleted.runs += result?.rowsAffected ?? 0;
  return said(true);
}

/** Removes the objects under the run's own prefixes. @returns false if the time was too short. */
async function removeObjects(
  bucket: Bucket.Bucket,
  log: Log,
  { run, deadline, deleted }: Removal,
): Promise<boolean> {
  const extracts = Place.itemPrefix(run.keyId, run.runId, run.createdAt);
  return (
    (await Inputs.removeBelow(bucket, log, extracts, {
      deadline,
      each: (rels) => {
        deleted.extracts += rels.filter((rel) => rel.endsWith(".json") && !rel.includes("~attempt-")).length;
      },
    })) &&
    (await removeFiles(bucket, log, run, deadline)) &&
    (await Inputs.removeBelow(bucket, log, keptPrefix(run), {
      deadline,
      each: (rels) => {
        deleted.inputs += rels.length;
      },
    }))
  );
}

/**
 * Removes what a late worker wrote after the run was deleted. It runs once, when no worker can be left.
 * @param deadline - as in `begin`; the next call continues.
 * @throws AppError `storage_unavailable`: repeat the call.
 */
export async function lookAgain(
  { db, bucket }: Pick<RunStores, "db" | "bucket">,
  log: Log,
  run: RunRow,
  deadline: number,
): Promise<void> {
  const found: Deleted = { extracts: 0, inputs: 0, evals: 0, runs: 0 };
  if (!(await removeObjects(bucket, log, { run, deadline, deleted: found }))) return;
  if (found.extracts + found.inputs > 0)
    log.warn("run_written_after_deletion", {
      run_id: run.runId,
      extracts: found.extracts,
      inputs: found.inputs,
    });
  await Database.batch(db, [
    db.query.update(runTable).set({ lookAgainAt: null }).where(eq(runTable.runUid, run.runUid)),
  ]);
}

/** The run's own artifact and the files beside it. */
async function removeFiles(bucket: Bucket.Bucket, log: Log, run: RunRow, deadline: number): Promise<boolean> {
  const { working, made } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
  await Inputs.removeAll(bucket, log, [
    Place.batchKey(run.keyId, run.runId, run.createdAt),
    ...Object.values(Files.places(run)),
  ]);
  return (
    (await Inputs.removeBelow(bucket, log, working, { deadline })) &&
    (await Inputs.removeBelow(bucket, log, made, { deadline }))
  );
}

/**
 * Removes the uploads that the run kept together with the rows that name them, so that a step never starts again at
 * the first one. A run that kept no inputs has none, because its uploads were removed at its end.
 */
async function removeUploads(
  services: RunStores,
  log: Log,
  { run, deadline, deleted }: Removal,
): Promise<boolean> {
  if (!run.persistInputs) return true;
  for (;;) {
    const { last, uploads } = await Inputs.removeNext(services, log, run, { after: -1, most: uploadsAtOnce });
    if (last === undefined) return true;
    deleted.inputs += uploads;
    while (!(await Items.removeRows(services.db, run.runUid, last))) if (Date.now() >= deadline) return false;
    if (Date.now() >= deadline) return false;
  }
}

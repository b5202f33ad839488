import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError, from } from "#core/error";
import type * as Evaluation from "#core/evaluation/evaluation";
import * as EvaluationRemove from "#core/evaluation/remove";
import { extractTable as extract } from "#core/extraction/extract.sql";
import * as ExtractionRemove from "#core/extraction/remove";
import * as Row from "#core/extraction/row";
import type * as GroundTruth from "#core/ground-truth/ground-truth";
import * as GroundTruthRemove from "#core/ground-truth/remove";
import { keyTable } from "#core/key/key.sql";
import type { Log } from "#core/log";
import * as Repair from "#core/repair";
import * as ControlRemove from "#core/run/control/remove";
import { type RunRow, runTable as run, runsBy } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";

/** Keys per step; the others follow in the next minutes. */
const keysAtOnce = 20;
/** Extracts and runs of a key, and runs with their own expiry, that are looked up together. */
const extractsAtOnce = 50;
const runsAtOnce = 5;
/** Ground truths of a key: a row and an object each. */
const groundTruthsAtOnce = 20;
/** Extracts that are removed in parallel; each needs half a dozen sequential round trips. */
const lanes = 10;
/** Rows of deleted work, which keep only the id. */
const tombstonesAtOnce = 500;

/** The id of `anonymous` (core/key/key.ts), repeated here so that this module need not be loaded each minute. */
const withoutKey = "anonymous";

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

interface Swept {
  extracts: number;
  runs: number;
  ground_truths: number;
  evals: number;
}

/**
 * Removes what is past its retention: extracts and runs that ended, and ground truths that were made, more days ago
 * than the key's number, or else the stage's, allows; and runs whose `expires_after` is over. Their artifacts, results
 * and kept pictures are removed with them. Afterwards their ids may be used again, also those that callers deleted.
 * Work that has not ended stays.
 *
 * A step takes a few keys in rotation, until the deadline; the next minutes do the rest. A row that cannot be removed
 * does not stop the others (core/repair.ts).
 * @param options.days - for keys without a number of their own; undefined: these keep everything.
 * @param options.deadline - epoch milliseconds after which no further removal begins.
 * @throws AppError `storage_unavailable`.
 */
export async function sweep(
  services: RunStores,
  log: Log,
  options: { days: number | undefined; deadline: number },
): Promise<Swept> {
  const swept: Swept = { extracts: 0, runs: 0, ground_truths: 0, evals: 0 };
  const removal: Removal = { services, log, deadline: options.deadline, swept, outages: [] };
  await removeRuns(removal, await expired(services.db));
  let keys = turn(await keysWithTime(services.db, options.days));
  while (keys.length > 0 && !isOver(removal)) {
    const more: typeof keys = [];
    for (const key of keys) {
      if (isOver(removal)) break;
      const removedBefore = allOf(swept);
      const isFull = await sweepKey(removal, key.keyId, Date.now() - key.days * dayMs);
      // If nothing was removed, another pass would find the same rows.
      if (isFull && allOf(swept) > removedBefore) more.push(key);
    }
    keys = more;
  }
  if (allOf(swept) > 0) log.info("retention_swept", { ...swept });
  const away = removal.outages.find((error) => error !== undefined);
  if (away !== undefined) throw away;
  return swept;
}

/** One step of the sweep: what it uses, and its results so far. */
interface Removal {
  readonly services: RunStores;
  readonly log: Log;
  readonly deadline: number;
  readonly swept: Swept;
  /** The faults that stopped some removals. */
  readonly outages: (Error | undefined)[];
}

const isOver = ({ deadline }: Removal) => Date.now() >= deadline;
const allOf = ({ extracts, runs, ground_truths, evals }: Swept) => extracts + runs + ground_truths + evals;

/**
 * Removes a chunk of each kind of a key's old work.
 * @param before - epoch milliseconds.
 * @returns true if one of the chunks was full, so that there may be more.
 */
async function sweepKey(removal: Removal, keyId: string, before: number): Promise<boolean> {
  const { db } = removal.services;
  const ids = await oldExtracts(db, keyId, before);
  await removeExtracts(removal, keyId, ids);
  const rows = await oldRuns(db, keyId, before);
  await removeRuns(removal, rows);
  const labels = await GroundTruthRemove.olderThan(db, keyId, new Date(before), groundTruthsAtOnce);
  await removeLabels(removal, labels);
  const evaluations = await EvaluationRemove.olderThan(db, keyId, new Date(before), groundTruthsAtOnce);
  await removeEvaluations(removal, evaluations);
  await forgetDeleted(db, keyId, before);
  return (
    ids.length === extractsAtOnce ||
    rows.length === runsAtOnce ||
    labels.length === groundTruthsAtOnce ||
    evaluations.length === groundTruthsAtOnce
  );
}

async function removeExtracts(removal: Removal, keyId: string, ids: readonly string[]): Promise<void> {
  const { services, log, swept, outages } = removal;
  const lists = Array.from({ length: lanes }, (_, lane) => ids.filter((_, i) => i % lanes === lane));
  const idsOf = (extract_id: string) => ({ key_id: keyId, extract_id });
  const remove = async (requestId: string) => {
    const whole = isOver(removal) ? undefined : await Row.find(services.db, keyId, requestId);
    if (whole !== undefined && (await ExtractionRemove.forget(services, log, whole))) swept.extracts += 1;
  };
  outages.push(...(await Promise.all(lists.map((mine) => Repair.each(mine, idsOf, log, remove)))));
}

async function removeRuns(removal: Removal, rows: readonly RunRow[]): Promise<void> {
  const ids = ({ runId, keyId }: RunRow) => ({ run_id: runId, key_id: keyId });
  const error = await Repair.each(rows, ids, removal.log, async (row) => {
    if (!isOver(removal)) await removeRun(removal, row);
  });
  removal.outages.push(error);
}

async function removeLabels(removal: Removal, rows: readonly GroundTruth.Row[]): Promise<void> {
  const { services, log, swept } = removal;
  const ids = ({ gtId, keyId }: GroundTruth.Row) => ({ gt_id: gtId, key_id: keyId });
  const error = await Repair.each(rows, ids, log, async (row) => {
    if (isOver(removal)) return;
    await GroundTruthRemove.remove(services, log, row);
    swept.ground_truths += 1;
  });
  removal.outages.push(error);
}

/** Also evaluations of runs that are kept. */
async function removeEvaluations(removal: Removal, rows: readonly Evaluation.Row[]): Promise<void> {
  const { services, log, swept } = removal;
  const ids = ({ evalId, keyId }: Evaluation.Row) => ({ eval_id: evalId, key_id: keyId });
  const error = await Repair.each(rows, ids, log, async (row) => {
    if (isOver(removal)) return;
    await EvaluationRemove.remove(services, log, row);
    swept.evals += 1;
  });
  removal.outages.push(error);
}

/** Keys with a retention. Revoked keys are included, and calls without a key. */
async function keysWithTime(
  db: Database.Db,
  days: number | undefined,
): Promise<{ keyId: string; days: number }[]> {
  const own = days === undefined ? sql`WHERE retention_days IS NOT NULL` : sql``;
  const query = sql`SELECT key_id, retention_days FROM ${keyTable} ${own} ORDER BY key_id`;
  const [found] = await Database.batch(db, [Database.statement(query)], "read");
  const keys = (found?.rows ?? []).map((row) => ({
    keyId: String(row.key_id),
    days: Number(row.retention_days ?? days),
  }));
  return days === undefined ? keys : [...keys, { keyId: withoutKey, days }];
}

/** The keys of this minute; over the minutes, each key is taken in turn. */
function turn<T>(keys: readonly T[]): T[] {
  const turns = Math.max(1, Math.ceil(keys.length / keysAtOnce));
  const at = (Math.floor(Date.now() / minuteMs) % turns) * keysAtOnce;
  return keys.slice(at, at + keysAtOnce);
}

async function oldExtracts(db: Database.Db, keyId: string, before: number): Promise<string[]> {
  const query = sql`SELECT request_id FROM ${extract} WHERE key_id = ${keyId} AND created_at < ${before}
    AND coalesce(ended_at, created_at) < ${before}
    AND status NOT IN ('deleting', 'deleted') AND +status IN ('succeeded', 'failed', 'retryable') ORDER BY created_at LIMIT ${extractsAtOnce}`;
  const [found] = await Database.batch(db, [Database.statement(query)], "read");
  return (found?.rows ?? []).map((row) => String(row.request_id));
}

/** A rerun that may still read the run's pictures. It keeps the run, but not the runs after it. */
const rerun = sql`SELECT 1 FROM ${run} AS made WHERE made.key_id = ${run.keyId} AND made.source_run_id = ${run.runId}
    AND +made.state IN ('planning', 'running', 'canceling')`;
const ended = sql`+state IN ('succeeded', 'failed', 'canceled')`;

async function oldRuns(db: Database.Db, keyId: string, before: number): Promise<RunRow[]> {
  const query = sql`SELECT run_uid FROM ${run} WHERE key_id = ${keyId} AND created_at < ${before}
    AND coalesce(finished_at, created_at) < ${before}
    AND state <> 'deleted' AND ${ended} AND NOT EXISTS (${rerun}) ORDER BY created_at LIMIT ${runsAtOnce}`;
  return whole(db, query);
}

async function expired(db: Database.Db): Promise<RunRow[]> {
  const query = sql`SELECT run_uid FROM ${runsBy("run_expires")} WHERE expires_after_s IS NOT NULL
    AND finished_at IS NOT NULL AND (finished_at + expires_after_s * 1000) < ${Date.now()}
    AND +state IN ('succeeded', 'failed', 'canceled', 'deleted') LIMIT ${runsAtOnce}`;
  return whole(db, query);
}

async function whole(db: Database.Db, uids: ReturnType<typeof sql>): Promise<RunRow[]> {
  const query = Database.statement(sql`SELECT * FROM ${run} WHERE run_uid IN (${uids})`);
  const [found] = await Database.batch(db, [query], "read");
  return Database.rows(run, found);
}

/** The planner continues the removal of a large run; its id is free when a later pass finds it deleted. */
async function removeRun({ services, log, deadline, swept }: Removal, row: RunRow): Promise<void> {
  if (row.state !== "deleted") {
    try {
      if ((await ControlRemove.begin(services, log, row, deadline)).kind === "deleting") return;
    } catch (thrown) {
      // A rerun still reads its pictures, or another step was faster.
      const { code } = from(thrown);
      if (!(thrown instanceof AppError) || (code !== "conflict" && code !== "not_found")) throw thrown;
      return;
    }
    swept.runs += 1;
  }
  await Database.batch(services.db, [
    Database.statement(sql`DELETE FROM ${run} WHERE run_uid = ${row.runUid} AND state = 'deleted'`),
  ]);
}

/** Removes old rows of deleted work, which only keep the id. */
async function forgetDeleted(db: Database.Db, keyId: string, before: number): Promise<void> {
  const old = sql`WHERE key_id = ${keyId} AND created_at < ${before}`;
  const first = sql`ORDER BY created_at LIMIT ${tombstonesAtOnce}`;
  await Database.batch(db, [
    Database.statement(sql`DELETE FROM ${run} WHERE run_uid IN
      (SELECT run_uid FROM ${run} ${old} AND state = 'deleted' ${first})`),
    Database.statement(sql`DELETE FROM ${extract} WHERE rowid IN
      (SELECT rowid FROM ${extract} ${old} AND status = 'deleted' ${first})`),
  ]);
}

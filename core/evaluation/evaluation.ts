import { createHash } from "node:crypto";
import { and, desc, eq, sql } from "drizzle-orm";
import * as Cursor from "#core/cursor";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Id from "#core/id";
import type { Principal } from "#core/key/key";
import * as Visible from "#core/key/visible";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import type { Times } from "#spec/limits";
import { type Labels, type Row, evaluationTable as table } from "./evaluation.sql.ts";
import * as Older from "./older.ts";
import type * as Wire from "./wire.ts";

export type { Row } from "./evaluation.sql.ts";

export interface Stores {
  db: Database.Db;
  queues: Queue.Queues;
  times: Pick<Times, "evaluationMessageMs">;
}

/** The message for a step in the `later` queue. */
export interface Message {
  kind: "evaluation";
  eval_id: string;
}

/** The run that is evaluated. */
interface Run {
  keyId: string;
  runUid: string;
  runId: string;
  taskId: string;
  total: number;
}

/** The labels and the mode of an evaluation. */
interface Wish {
  labels: Labels;
  /** Undefined if the labels are not a ground truth. */
  groundTruth: { name: string; sha256: string; fromRunId: string | null } | undefined;
  strMode: Row["strMode"];
}

/** The id of the evaluation that a run itself requests: the same each time the run's end is processed. */
export const ownId = (run: Pick<Run, "runUid">): string =>
  `eval_${createHash("sha256").update(run.runUid).digest("base64url").slice(0, 24)}`;

/** A new id. */
export const newId = (): string => `eval_${Id.secret(18)}`;

/**
 * Inserts an evaluation and orders its first step. If the id exists, nothing is inserted; an evaluation that has not
 * ended is ordered again, which is harmless.
 * @throws AppError `storage_unavailable`; if only the queue is unavailable, the row stays and reconcile orders it.
 */
export async function order(
  stores: Stores,
  log: Log,
  { evalId, run, wish }: { evalId: string; run: Run; wish: Wish },
): Promise<Row> {
  const now = new Date();
  const { groundTruth } = wish;
  const draft = groundTruth?.fromRunId == null ? {} : { from_run_id: groundTruth.fromRunId };
  const { results } = await Database.batch(stores.db, {
    added: stores.db.query
      .insert(table)
      .values({
        evalId,
        ...{ keyId: run.keyId, runUid: run.runUid, runId: run.runId, taskId: run.taskId },
        ...{ labels: { ...wish.labels, ...draft }, strMode: wish.strMode, state: "running" },
        ...{ gtName: groundTruth?.name ?? null, gtSha256: groundTruth?.sha256 ?? null },
        progress: { next: 0, total: run.total, parts: [], carry: null },
        // Free to be claimed. If no worker has taken it long after this time, its message counts as lost.
        leaseUntil: now,
        createdAt: now,
      })
      .onConflictDoNothing(),
    results: stores.db.query.select().from(table).where(eq(table.evalId, evalId)),
  });
  const row = Database.rows(table, results)[0];
  if (row === undefined) throw new AppError("internal", "an evaluation that was written is not there");
  if (row.state === "running") await send(stores, row);
  log.info("evaluation_ordered", { eval_id: evalId, run_id: run.runId });
  return row;
}

/** Sends the message of the next step. @throws AppError `storage_unavailable`. */
export async function send(stores: Pick<Stores, "queues">, row: Pick<Row, "evalId">): Promise<void> {
  const message: Message = { kind: "evaluation", eval_id: row.evalId };
  await Queue.send(stores.queues, "later", message);
}

const notFound = (param = "eval_id") =>
  new AppError("not_found", "there is no evaluation with this id", { param });

/** The requested evaluation and the caller; another key's needs the scope `admin:all_keys`. */
export interface Wanted {
  evalId: string;
  keyId: string | undefined;
  principal: Principal;
  log: Log;
  action?: Visible.Access["action"] | undefined;
  /** The parameter that names it; `eval_id` without. */
  param?: string | undefined;
}

/** @throws AppError `not_found`, the same for unknown ids and for other keys' ids; `storage_unavailable`. */
export async function find(db: Database.Db, wanted: Wanted): Promise<Row> {
  const { evalId, principal, log, action = "read" } = wanted;
  const keyId = Visible.visibleKey(principal, wanted.keyId, { log, action, what: "evaluation", id: evalId });
  const rows = await Database.read(db.query.select().from(table).where(eq(table.evalId, evalId)));
  const row = rows[0];
  if (row === undefined || row.keyId !== keyId) throw notFound(wanted.param);
  return row;
}

/** Whether it was not deleted. @throws AppError `storage_unavailable`. */
export async function isThere(db: Database.Db, evalId: string): Promise<boolean> {
  const query = db.query.select({ evalId: table.evalId }).from(table).where(eq(table.evalId, evalId));
  return (await Database.read(query)).length > 0;
}

/**
 * A page of evaluations, newest first: the caller's, or with the scope `admin:all_keys` those of all keys.
 * @param query.runUid - only those of this run.
 * @throws AppError `invalid_request` for an invalid cursor, `not_found` for another key, `storage_unavailable`.
 */
export async function list(
  db: Database.Db,
  query: {
    principal: Principal;
    log: Log;
    keyId: string | undefined;
    runUid: string | undefined;
    limit: number;
    cursor: string | undefined;
  },
): Promise<{ items: Wire.Entry[]; next_cursor: string | null }> {
  const { principal, log, runUid } = query;
  const access = { log, action: "read", what: "evaluations" } as const;
  const keyId = Visible.visibleKey(principal, query.keyId, access, { all: true });
  const after = Cursor.decode(Cursor.Place, query.cursor);
  const mine = runUid === undefined ? keyId && eq(table.keyId, keyId) : eq(table.runUid, runUid);
  const rows = await Database.read(
    db.query
      .select()
      .from(table)
      .where(
        and(
          mine || undefined,
          after === undefined
            ? undefined
            : sql`(${table.createdAt}, ${table.evalId}) < (${after[0]}, ${after[1]})`,
        ),
      )
      .orderBy(desc(table.createdAt), desc(table.evalId))
      .limit(query.limit + 1),
  );
  const { shown, next_cursor } = Cursor.page(rows, query.limit, (row) => [
    row.createdAt.getTime(),
    row.evalId,
  ]);
  return { items: shown.map(entry), next_cursor };
}

/**
 * The path of an evaluation. @param viewer - the caller's key id: for another key's evaluation the path names the
 * key.
 */
export const pathOf = ({ evalId, keyId }: Pick<Row, "evalId" | "keyId">, viewer: string): string =>
  `/v1/evals/${evalId}${viewer === keyId ? "" : `?key_id=${keyId}`}`;

/** The newest evaluation of a run. @throws AppError `storage_unavailable`. */
export async function latestOf(db: Database.Db, runUid: string): Promise<Row | undefined> {
  const newest = db.query
    .select()
    .from(table)
    .where(eq(table.runUid, runUid))
    .orderBy(desc(table.createdAt), desc(table.evalId))
    .limit(1);
  return (await Database.read(newest))[0];
}

/** A row as an entry of the list. */
export function entry(row: Row): Wire.Entry {
  const details = row.errorDetails === null ? {} : { details: { ...row.errorDetails } };
  return {
    eval_id: row.evalId,
    key_id: row.keyId,
    run_id: row.runId,
    task_id: row.taskId,
    gt_id: "gt_id" in row.labels ? row.labels.gt_id : null,
    gt_name: row.gtName,
    gt_sha256: row.gtSha256,
    gt_image_key: row.labels.image_key,
    gt_from_run_id: ("gt_id" in row.labels ? row.labels.from_run_id : undefined) ?? null,
    str_mode: row.strMode,
    created_at: row.createdAt.toISOString(),
    status: row.state,
    finished_at: row.finishedAt?.toISOString() ?? null,
    rules_version: row.rulesVersion,
    code_version: row.version,
    summary: row.summary && Older.summaryOf(row.summary),
    error:
      row.errorCode === null ? null : { code: row.errorCode, message: row.errorMessage ?? "", ...details },
    artifact_rel: row.artifactRel,
  };
}

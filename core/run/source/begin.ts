import { randomInt } from "node:crypto";
import { and, eq, getTableColumns, type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError, codes, from, invalidRequest } from "#core/error";
import * as Id from "#core/id";
import * as Idempotency from "#core/idempotency/idempotency";
import type { Principal } from "#core/key/key";
import { reachesAll } from "#core/key/visible";
import type { Log } from "#core/log";
import { hashOf } from "#core/payload-hash";
import * as Order from "#core/run/dispatch/order";
import * as Allowance from "#core/usage/allowance";
import * as Usage from "#core/usage/usage";
import { type RunRow, runTable as run } from "../run.sql.ts";
import type { RunStores } from "../services.ts";
import * as InFlight from "./in-flight.ts";

/* What all ways to make a run share: the id, and the row. */

/** The caller that makes a run. */
export interface Caller {
  principal: Principal;
  idempotencyKey: string | undefined;
  /** Epoch milliseconds by which the call must answer. */
  deadline: number;
}

export interface Created {
  run: RunRow;
  /** True if an earlier call made the run. */
  replayed: boolean;
}

/** What the id of a call refers to. */
export interface Identity {
  runId: string;
  payloadHash: string;
  /** The run that an earlier call with this payload made. */
  known: RunRow | undefined;
  /** A run of this id that never began, for a reason that may have passed; the new one replaces it. */
  replaces: RunRow | undefined;
}

/** @throws AppError `invalid_request` at `task_id`. */
export async function checkTask(taskId: string): Promise<void> {
  // Loaded on demand: schemas and prompts would be a third of this function's code, and most calls meet a cold start.
  const Task = await import("#core/task/task");
  if (Task.get(taskId) !== undefined) return;
  const { unknownTask } = await import("#core/task/unknown");
  throw invalidRequest([{ path: "task_id", message: unknownTask(taskId, Task.ids()) }]);
}

const runIdShape = "1 to 100 letters, digits, '_', '.' and '-', beginning with a letter or digit";

/**
 * Finds the id of a call's run: the one in the call, the one of its Idempotency-Key, or a new one.
 * @param payload - everything that determines the run, and nothing that differs in a repeat.
 * @throws AppError `invalid_request_id`; `conflict` if the id or the Idempotency-Key was used with another payload,
 *   or its run was deleted; `storage_unavailable`.
 */
export async function identify(
  services: Pick<RunStores, "db" | "times">,
  wish: { runId: string | undefined; payload: unknown },
  caller: Caller,
): Promise<Identity> {
  if (wish.runId !== undefined && !Id.isRunId(wish.runId))
    throw new AppError("invalid_request_id", `run_id: ${runIdShape}`, {
      details: { issues: [{ path: "run_id", message: runIdShape }] },
      param: "run_id",
    });
  const { keyId } = caller.principal;
  const payloadHash = hashOf(wish.payload);
  const proposedId = wish.runId ?? `run_${Id.secret(12)}`;
  const { idempotencyKey } = caller;
  const runId =
    idempotencyKey === undefined
      ? proposedId
      : await Idempotency.resolve(services.db, {
          keyId,
          idempotencyKey,
          proposedId,
          payloadHash: hashOf(["batch", wish.runId ?? null, payloadHash]),
          ttlMs: services.times.idempotencyMs,
        });
  const isNew = idempotencyKey === undefined && wish.runId === undefined;
  const row = isNew ? undefined : await find(services.db, keyId, runId);
  return { runId, payloadHash, ...judge(row, payloadHash) };
}

/** @throws AppError `conflict`. */
function judge(row: RunRow | undefined, payloadHash: string): Pick<Identity, "known" | "replaces"> {
  if (row === undefined) return { known: undefined, replaces: undefined };
  if (row.state === "deleted" || row.state === "deleting")
    throw new AppError("conflict", "a run of this id was deleted: its id stays taken", {
      details: { reason: "run_deleted" },
    });
  if (row.payloadHash !== payloadHash)
    throw new AppError(
      "conflict",
      "this run_id was used with another payload: take another id, or send the very same call again for the existing run",
      { details: { reason: "id_reused" } },
    );
  // An error that may pass is not replayed: the same call tries again.
  const mayPass =
    row.state === "failed" && row.total === 0 && row.errorCode !== null && codes[row.errorCode].retry;
  return mayPass ? { known: undefined, replaces: row } : { known: row, replaces: undefined };
}

/** The key's run with this id. @throws AppError `storage_unavailable`. */
export async function find(db: Database.Db, keyId: string, runId: string): Promise<RunRow | undefined> {
  const mine = and(eq(run.keyId, keyId), eq(run.runId, runId));
  return (await Database.read(db.query.select().from(run).where(mine)))[0];
}

type Wanted = Pick<
  RunRow,
  | "taskId"
  | "concurrency"
  | "slots"
  | "source"
  | "persistInputs"
  | "look"
  | "maxPages"
  | "split"
  | "sourceRunId"
  | "webhookUrl"
  | "expiresAfterS"
> &
  Partial<Pick<RunRow, "skipped" | "evaluateBy">>;

/**
 * The row for a new run; `commit` inserts it. With `total` the run starts at once, with `planning` its source is
 * checked first.
 */
export function draft(
  identity: Identity,
  caller: Caller,
  what: Wanted,
  how: { total: number } | { planning: NonNullable<RunRow["planning"]> },
): RunRow {
  const now = new Date();
  const starts = "total" in how;
  return {
    ...{ skipped: null, evaluateBy: null, slotsWhy: null, lookedAt: null },
    ...what,
    runUid: Id.create(),
    keyId: caller.principal.keyId,
    runId: identity.runId,
    payloadHash: identity.payloadHash,
    principalRole: caller.principal.role,
    allKeys: reachesAll(caller.principal),
    state: starts ? "running" : "planning",
    epoch: randomInt(1, 2 ** 31),
    planN: 0,
    webhook: null,
    waitingFor: null,
    total: starts ? how.total : 0,
    succeeded: 0,
    failed: 0,
    canceled: 0,
    schemaOk: 0,
    schemaFailed: 0,
    warned: 0,
    pages: 0,
    documents: 0,
    types: null,
    promptTokens: 0,
    completionTokens: 0,
    modelCalls: 0,
    modelMs: 0,
    createdAt: now,
    startedAt: starts ? now : null,
    finishedAt: null,
    touchedAt: now,
    planning: starts ? null : how.planning,
    finishing: null,
    errorCode: null,
    errorMessage: null,
    errorDetails: null,
    artifactRel: null,
    lookAgainAt: null,
  };
}

/** The row of a new run, and its call. */
export interface Draft {
  row: RunRow;
  identity: Identity;
  caller: Caller;
}

/** True while the run exists: the condition for inserting its items in the same batch. */
export const exists = (runUid: string): SQL =>
  sql`EXISTS (SELECT 1 FROM ${run} WHERE ${run.runUid} = ${runUid})`;

/**
 * Inserts the run with its items and counts them in the key's usage, all in one transaction. Of several calls with
 * one id, one makes the run and the others get it.
 * @param also.onlyIf - a further condition of the caller.
 * @param also.items - statements that depend on `exists`.
 * @returns undefined if the key's limits or `onlyIf` did not allow it.
 * @throws AppError `conflict` as `identify`; `forbidden` if the run is larger than the key allows; `rate_limited`
 *   while the key has as many open runs as its `max_in_flight`, because each needs at least one slot;
 *   `storage_unavailable`.
 */
export async function commit(
  services: Pick<RunStores, "db">,
  { row, identity, caller }: Draft,
  also: { onlyIf?: SQL; items?: Database.Statement[] } = {},
): Promise<Created | undefined> {
  const { db } = services;
  const user = caller.principal;
  const tooMany = Allowance.overRunSize(user, row.total);
  if (tooMany !== undefined) throw tooMany;
  const tooWide = Allowance.overConcurrency(user, row.concurrency);
  if (tooWide !== undefined) throw tooWide;
  // The number of items is unknown before the check, so there must be room for one.
  const allowed = Allowance.allows(user, Math.max(1, row.total), row.createdAt);
  const conditions = [also.onlyIf, allowed, InFlight.allowsRun(user)].filter(
    (condition) => condition !== undefined,
  );
  const mine = and(eq(run.keyId, row.keyId), eq(run.runId, row.runId));
  const statements: Database.Statement[] = [];
  if (identity.replaces !== undefined)
    statements.push(
      db.query
        .delete(run)
        .where(and(eq(run.runUid, identity.replaces.runUid), eq(run.state, "failed"), eq(run.total, 0))),
    );
  statements.push(insert(row, conditions.length === 0 ? sql`true` : sql.join(conditions, sql` AND `)));
  if (row.total > 0)
    statements.push(
      Usage.countItems(
        { keyId: row.keyId, taskId: row.taskId, items: row.total, now: row.createdAt },
        sql`changes() = 1`,
      ),
    );
  statements.push(...(also.items ?? []), db.query.select().from(run).where(mine));
  const results = await Database.batch(db, statements);
  const found = Database.rows(run, results.at(-1))[0];
  if (found === undefined) {
    const tooMany = await InFlight.tooManyRuns(db, user);
    if (tooMany !== undefined) throw tooMany;
    return undefined;
  }
  if (found.runUid === row.runUid) return { run: found, replayed: false };
  const { known } = judge(found, row.payloadHash);
  if (known === undefined) return undefined;
  return { run: known, replayed: true };
}

function insert(row: RunRow, onlyIf: SQL): Database.Statement {
  const columns = Object.entries(getTableColumns(run)).filter(
    ([property]) => row[property as keyof RunRow] !== null,
  );
  const names = columns.map(([, column]) => sql.identifier(column.name));
  const values = columns.map(
    ([property, column]) => sql`${sql.param(row[property as keyof RunRow], column)}`,
  );
  const comma = sql`, `;
  return Database.statement(
    sql`INSERT INTO ${run} (${sql.join(names, comma)}) SELECT ${sql.join(values, comma)} WHERE ${onlyIf} ON CONFLICT (key_id, run_id) DO NOTHING`,
  );
}

/** Orders the planner. If the order fails, the run exists anyway and reconcile orders again. */
export async function order(services: Pick<RunStores, "queues">, row: RunRow, log: Log): Promise<void> {
  try {
    await Order.order(services, row, row.state === "running" ? "refill" : "plan", log);
  } catch (thrown) {
    log.warn("order_failed", { run_id: row.runId, code: from(thrown).code });
  }
}

/** A name for an object of a run that has no id yet. */
export const newName = () => Id.create();

import { and, count, desc, eq, getTableColumns, sql } from "drizzle-orm";
import type * as z from "zod";
import * as Breaker from "#core/breaker/breaker";
import type { Hold } from "#core/breaker/breaker.sql";
import * as Cursor from "#core/cursor";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Evaluation from "#core/evaluation/evaluation";
import type { Principal } from "#core/key/key";
import * as Visible from "#core/key/visible";
import * as Known from "#core/known/known";
import type { Log } from "#core/log";
import * as Cost from "./cost.ts";
import {
  type ItemRow,
  isShown,
  itemTable as item,
  type RunRow,
  runTable as run,
  type State,
} from "./run.sql.ts";
import type { Run, RunStatus } from "./schema.ts";
import * as Serialize from "./serialize.ts";

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

const notFound = () => new AppError("not_found", "there is no run with this id");

/** The run, and its key; another key's runs need the scope `admin:all_keys`. */
export interface Wanted {
  runId: string;
  keyId: string | undefined;
  principal: Principal;
  log: Log;
  /** The intended action; "read" by default. */
  action?: Visible.Access["action"] | undefined;
}

/**
 * The row of a run, and how many of its items workers have.
 * @throws AppError `not_found`, the same for unknown, deleted and other keys' runs; `storage_unavailable`.
 */
export async function find(
  db: Database.Db,
  wanted: Wanted,
): Promise<{ row: RunRow; running: number; hold: Hold | undefined }> {
  const { runId, principal, log, action = "read" } = wanted;
  const keyId = Visible.visibleKey(principal, wanted.keyId, { log, action, what: "run", id: runId });
  const mine = and(eq(run.keyId, keyId), eq(run.runId, wanted.runId));
  const [rows, running, breaker] = await Database.batch(
    db,
    [
      db.query.select().from(run).where(mine),
      db.query
        .select({ n: count() })
        .from(item)
        .where(
          and(
            eq(
              item.runUid,
              sql`(SELECT run_uid FROM run WHERE key_id = ${keyId} AND run_id = ${wanted.runId})`,
            ),
            eq(item.status, "running"),
          ),
        ),
      Breaker.statement(db),
    ],
    "read",
  );
  const row = Database.rows(run, rows)[0];
  if (row === undefined || row.state === "deleted") throw notFound();
  return { row, running: Number(running?.rows[0]?.[0] ?? 0), hold: Breaker.holdIn(breaker) };
}

/** A run as the API returns it. @throws as `find`. */
export async function get(db: Database.Db, wanted: Wanted): Promise<Run> {
  const { row, running, hold } = await find(db, wanted);
  // Only an ended run can be evaluated.
  const latest = row.finishedAt === null ? undefined : await Evaluation.latestOf(db, row.runUid);
  return {
    ...waiting(Serialize.run(row, running, wanted.principal.keyId), hold),
    cost: await Cost.of(db, row, latest?.summary?.canonical.documents_right),
    eval: latest === undefined ? null : evalOf(latest, wanted.principal.keyId),
  };
}

/** A run that waits because of a ceiling of the pod's manager says so. */
function waiting(answer: Run, hold: Hold | undefined): Run {
  const isSpent = answer.waiting_for !== null && hold?.for === "budget";
  return isSpent ? { ...answer, waiting_for: "budget" } : answer;
}

/** A summary of the run's newest evaluation. */
function evalOf(row: Evaluation.Row, viewer: string): Run["eval"] {
  const { micro } = row.summary?.canonical ?? {};
  return {
    eval_id: row.evalId,
    status: row.state,
    gt_id: "gt_id" in row.labels ? row.labels.gt_id : null,
    gt_name: row.gtName,
    documents: row.summary?.documents ?? null,
    accuracy: micro?.accuracy ?? null,
    f1: micro?.f1 ?? null,
    poll_url: Evaluation.pathOf(row, viewer),
  };
}

/** The states that a status stands for. */
const statesOf: Record<RunStatus, State[]> = {
  planning: ["planning"],
  running: ["running"],
  finishing: ["canceling", "finishing"],
  succeeded: ["succeeded"],
  failed: ["failed"],
  canceled: ["canceled"],
};

/**
 * A page of runs, newest first. With `admin:all_keys` the runs of all keys, or of the named key.
 * @throws AppError `invalid_request` for an invalid cursor, `not_found` for another key, `storage_unavailable`.
 */
export async function list(
  db: Database.Db,
  query: {
    principal: Principal;
    log: Log;
    keyId: string | undefined;
    taskId: string | undefined;
    status: RunStatus | undefined;
    limit: number;
    cursor: string | undefined;
  },
): Promise<Page<Run>> {
  const keyId = Visible.visibleKey(
    query.principal,
    query.keyId,
    { log: query.log, action: "read", what: "runs" },
    { all: true },
  );
  const after = Cursor.decode(Cursor.Place, query.cursor);
  // One query for each state, because only then an index gives the order.
  const states = query.status === undefined ? [undefined] : statesOf[query.status];
  const pages = states.map((state) => pageOf(db, { ...query, keyId, after, state }));
  const [breaker, ...results] = await Database.batch(db, [Breaker.statement(db), ...pages], "read");
  const hold = Breaker.holdIn(breaker);
  const rows = results
    .flatMap((result) =>
      Database.rows(run, result).map((row, i) => ({ row, running: Number(result.rows[i]?.running) })),
    )
    .toSorted(
      ({ row: a }, { row: b }) =>
        b.createdAt.getTime() - a.createdAt.getTime() || (a.runUid < b.runUid ? 1 : -1),
    );
  const { shown, next_cursor } = Cursor.page(rows, query.limit, ({ row }) => [
    row.createdAt.getTime(),
    row.runUid,
  ]);
  if (shown.length === 0 && after === undefined) await Known.demand(db, query);
  return {
    items: shown.map(({ row, running }) => waiting(Serialize.run(row, running, query.principal.keyId), hold)),
    next_cursor,
  };
}

/** The statement for a page, which reads one run more. */
function pageOf(
  db: Database.Db,
  wanted: {
    state: State | undefined;
    keyId: string | undefined;
    taskId: string | undefined;
    after: z.output<typeof Cursor.Place> | undefined;
    limit: number;
  },
) {
  const { state, keyId, taskId, after, limit } = wanted;
  // Without the progress of planning and writing, which no answer shows: two hundred of these exceed what libSQL can
  // return.
  const { planning, finishing, ...shownColumns } = getTableColumns(run);
  const running = sql<number>`(SELECT count(*) FROM item WHERE item.run_uid = run.run_uid AND item.status = 'running')`;
  return db.query
    .select({ ...shownColumns, running: running.as("running") })
    .from(run)
    .where(
      and(
        // Written out as in the partial indexes that have the runs in this order.
        state === undefined ? sql.raw(isShown) : eq(run.state, state),
        keyId === undefined ? undefined : eq(run.keyId, keyId),
        taskId === undefined ? undefined : eq(run.taskId, taskId),
        after === undefined ? undefined : sql`(${run.createdAt}, ${run.runUid}) < (${after[0]}, ${after[1]})`,
      ),
    )
    .orderBy(desc(run.createdAt), desc(run.runUid))
    .limit(limit + 1);
}

/**
 * An item by its public id, `<run_id>~<index>`.
 * @throws AppError `not_found` as `find`, `storage_unavailable`.
 */
export async function itemBy(
  db: Database.Db,
  keyId: string,
  requestId: string,
): Promise<{ run: RunRow; item: ItemRow } | undefined> {
  const [runId, index] = requestId.split("~");
  if (runId === undefined || index === undefined) return undefined;
  const [found] = await Database.read(
    db.query
      .select()
      .from(run)
      .innerJoin(item, eq(item.runUid, run.runUid))
      .where(
        and(
          eq(run.keyId, keyId),
          eq(run.runId, runId),
          eq(item.index, Number(index)),
          sql`${run.state} NOT IN ('deleting', 'deleted')`,
        ),
      ),
  );
  return found;
}

import { and, eq, type SQL, sql } from "drizzle-orm";
import * as ModelTime from "#core/cost/model-time";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as Conclude from "#core/reading/conclude";
import * as Record from "#core/reading/record";
import { storedError } from "#core/reading/record";
import { type Artifact, askedNobody } from "#core/reading/schema";
import { pagesOf, usedOf } from "#core/reading/used";
import { pauseStatement } from "#core/run/dispatch/pause";
import * as Progress from "#core/run/dispatch/progress";
import { type Assessment, type ItemRow, itemTable as item, type RunRow, runTable } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import * as Recall from "#core/run/slots/recall";
import * as Usage from "#core/usage/usage";
import { sizes } from "#spec/limits";
import { artifactKey, isOf } from "./artifact.ts";

type Stores = Pick<RunServices, "db" | "bucket">;

/** Matches the item only with the token of this claim. */
export const ours = (row: ItemRow): SQL =>
  and(
    eq(item.runUid, row.runUid),
    eq(item.index, row.index),
    eq(item.token, row.token),
    eq(item.status, "running"),
  ) as SQL;

/**
 * Statements that directly follow the item's update and depend on its `changes()`: without the token they change
 * nothing.
 */
function follow(runRow: RunRow, set: SQL[], spent: Usage.Used | undefined): Database.Statement[] {
  const now = new Date();
  const counted =
    spent === undefined
      ? []
      : [
          sql`prompt_tokens = prompt_tokens + ${spent.promptTokens}`,
          sql`completion_tokens = completion_tokens + ${spent.completionTokens}`,
          sql`model_calls = model_calls + ${spent.modelCalls}`,
          sql`model_ms = model_ms + ${spent.modelMs}`,
          sql`pages = pages + ${spent.pages}`,
        ];
  const changes = [...set, ...counted, sql`touched_at = ${now.getTime()}`];
  const used = { keyId: runRow.keyId, taskId: runRow.taskId, now };
  return [
    Database.statement(
      sql`UPDATE ${runTable} SET ${sql.join(changes, sql`, `)} WHERE run_uid = ${runRow.runUid} AND changes() = 1`,
    ),
    ...(spent === undefined
      ? []
      : [
          Usage.record({ ...used, ...spent }, sql`changes() = 1`),
          ...ModelTime.record({ ...used, runUid: runRow.runUid }, spent.modelMs),
        ]),
  ];
}

/**
 * Ends an item: puts the artifact to the item's key unless one is there, then writes row, counters and usage in one
 * batch. An artifact that is already there decides; if it belongs to other work, the item fails.
 * @returns the run afterwards, also if another worker has ended the item.
 * @throws AppError `storage_unavailable`; the artifact is kept in the row if it is small enough.
 */
export async function conclude(
  stores: Stores,
  log: Log,
  { run, row }: { run: RunRow; row: ItemRow },
  artifact: Artifact,
): Promise<Progress.Outlook | undefined> {
  return (await Conclude.conclude(stores.bucket, log, claimedOf(stores.db, log, run, row), artifact)).outlook;
}

/**
 * Ends the item from the artifact that an earlier worker stored.
 * @returns undefined if there is none.
 * @throws AppError `storage_unavailable`.
 */
export async function storedBefore(
  stores: Stores,
  log: Log,
  run: RunRow,
  row: ItemRow,
): Promise<Progress.Outlook | undefined> {
  return (await Conclude.storedBefore(stores.bucket, log, claimedOf(stores.db, log, run, row)))?.outlook;
}

/** Each way to end an item returns the run afterwards. */
function claimedOf(
  db: Database.Db,
  log: Log,
  run: RunRow,
  row: ItemRow,
): Conclude.Claimed<{ outlook: Progress.Outlook | undefined }> {
  const { token, pendingArtifact } = row;
  const commitAs = async (ended: Ended) => ({ outlook: await commit(db, log, { run, row }, ended) });
  return {
    token,
    pendingArtifact,
    rel: artifactKey(run, row),
    isOurs: isOf(run, row),
    commit: commitAs,
    displace: (mine) => commitAs(displaced(mine ?? nothing)),
    keep: async (_, encoded) => {
      const waiting = encoded === undefined ? {} : { pendingArtifact: encoded };
      await Database.batch(db, [
        db.query
          .update(item)
          .set({ ...asBefore(row), ...waiting })
          .where(ours(row)),
      ]);
    },
  };
}

/** The fields of an artifact that the row needs. */
type Ended = Pick<
  Artifact,
  | "error"
  | "result"
  | "documents"
  | "complete"
  | "rows"
  | "quality"
  | "schema_ok"
  | "warnings"
  | "usage"
  | "timings_ms"
  | "input"
  | "sent"
  | "attempts"
> &
  Pick<Artifact, "kept" | "artifact_rel" | "calls">;

const nothing: Ended = {
  ...askedNobody,
  ...{
    timings_ms: { total: 0, image: 0, inference: 0, validate: 0 },
    input: null,
    sent: null,
    artifact_rel: null,
    attempts: [],
  },
};

/** The failure of an item at whose key another artifact is stored. It is final, and counts the calls to the model. */
const displaced = ({ usage, timings_ms, input, sent, calls, documents, attempts, kept }: Ended): Ended => ({
  ...nothing,
  ...{
    usage,
    timings_ms,
    input,
    sent,
    attempts,
    ...(calls === undefined ? {} : { calls }),
    ...(documents === undefined ? {} : { documents }),
    ...(kept === undefined ? {} : { kept }),
  },
  error: storedError(Record.taken()),
});

const figuresOf = ({ timings_ms: timings, usage }: Ended) => ({
  promptTokens: usage.prompt_tokens,
  completionTokens: usage.completion_tokens,
  modelCalls: usage.attempts,
  totalMs: timings.total,
  imageMs: timings.image,
  inferenceMs: timings.inference,
  validateMs: timings.validate,
});

/** Row, counters and usage as the artifact says. */
async function commit(
  db: Database.Db,
  log: Log,
  { run, row }: { run: RunRow; row: ItemRow },
  artifact: Ended,
): Promise<Progress.Outlook | undefined> {
  const { error } = artifact;
  const text = artifact.result === null ? null : JSON.stringify(artifact.result);
  const status = error === undefined ? "succeeded" : "failed";
  const results = await Database.batch(db, [
    db.query
      .update(item)
      .set({
        status,
        artifactRel: artifact.artifact_rel,
        result: text !== null && Buffer.byteLength(text) <= sizes.rowResultBytes ? text : null,
        pagesRead: pagesOf(artifact),
        schemaOk: artifact.schema_ok,
        warnings: artifact.warnings.length > 0 ? artifact.warnings : null,
        assessment: assessmentOf(artifact),
        errorCode: error?.code ?? null,
        errorMessage: error?.message ?? null,
        errorDetails: error?.details ?? null,
        pendingArtifact: null,
        leaseUntil: null,
        notBefore: null,
        // Together with earlier attempts the last one counts as one.
        attempts: row.attempts + 1,
        ...figuresOf(artifact),
        endedAt: new Date(),
        kept: run.persistInputs && artifact.kept === true,
      })
      .where(ours(row)),
    ...follow(
      run,
      [
        status === "succeeded" ? sql`succeeded = succeeded + 1` : sql`failed = failed + 1`,
        ...(artifact.schema_ok === null
          ? []
          : [artifact.schema_ok ? sql`schema_ok = schema_ok + 1` : sql`schema_failed = schema_failed + 1`]),
        ...(artifact.warnings.length > 0 ? [sql`warned = warned + 1`] : []),
        ...documentsCounted(artifact),
        ...typeCounted(artifact.input?.mime_type),
      ],
      usedOf(artifact, row.callsCounted),
    ),
    ...Progress.outlookStatements(db, run.runUid),
  ]);
  if (results[0]?.rowsAffected === 1) {
    log.info("item_end", {
      status,
      code: error?.code,
      duration_ms: artifact.timings_ms.total,
      attempts: row.attempts + 1,
    });
  }
  return Progress.outlookOf(results);
}

/** What lists of items show about the answer; null if nothing is known. */
function assessmentOf({ complete, rows, quality }: Ended): Assessment | null {
  const known = {
    ...(rows === undefined ? {} : { complete: complete ?? null, rows }),
    ...(quality === undefined ? {} : { quality }),
  };
  return Object.keys(known).length === 0 ? null : known;
}

/** The run's count of documents that have an answer; an item that was not split is one. */
function documentsCounted({ error, documents }: Ended): SQL[] {
  if (error !== undefined) return [];
  const read = documents?.filter(({ status }) => status === "succeeded").length ?? 1;
  return [sql`documents = documents + ${read}`];
}

/** The run's count of files of this type; a file that could not be read has none. */
function typeCounted(mimeType: string | undefined): SQL[] {
  if (mimeType === undefined) return [];
  const path = `$."${mimeType}"`;
  return [
    sql`types = json_set(coalesce(types, '{}'), ${path}, coalesce(json_extract(types, ${path}), 0) + 1)`,
  ];
}

/** Undoes the claim, so that the message fits when it comes back. The token stays raised. */
const asBefore = (row: ItemRow) => ({ status: "queued" as const, claims: row.claims - 1, leaseUntil: null });

/** Releases a claim after an outage of the storage; the message comes back. */
export async function unclaim(db: Database.Db, row: ItemRow): Promise<void> {
  await Database.batch(db, [db.query.update(item).set(asBefore(row)).where(ours(row))]);
}

/** Takes an item out of a slot that its run no longer has. */
export async function recall(
  db: Database.Db,
  runRow: Pick<RunRow, "runUid">,
  { index, seq }: { index: number; seq: number },
): Promise<void> {
  const which = and(eq(item.index, index), eq(item.sendSeq, seq)) as SQL;
  await Database.batch(db, [Recall.statement(runRow.runUid, which)]);
}

/** How an item is requeued. */
export interface Requeue {
  countAttempt: boolean;
  suspect: boolean;
  notBefore: Date | null;
  /** The usage of the model, if it was asked. */
  spent: Usage.Used | undefined;
  /** Pauses the run for an outage if it still has this epoch. */
  pauseEpoch?: number;
  /** How many calls about the document are stored and counted, if more than before. */
  callsCounted?: number | undefined;
  /** For a worker that died: its claim counts. */
  keepClaims?: boolean;
  /** For a message that came from the dead-letter queue. */
  buried?: boolean;
}

/**
 * Requeues a claimed item under a new number, without a message. If the run was canceled in the meantime, the item
 * ends as canceled.
 * @returns the run, and the item afterwards; the item is undefined if the claim was lost.
 */
export async function requeue(
  db: Database.Db,
  runRow: RunRow,
  row: ItemRow,
  how: Requeue,
): Promise<{ item: ItemRow | undefined; outlook: Progress.Outlook | undefined }> {
  const now = Date.now();
  const running = sql`(SELECT state FROM run WHERE run_uid = ${row.runUid}) = 'running'`;
  const results = await Database.batch(db, [
    db.query
      .update(item)
      .set({
        status: sql`CASE WHEN ${running} THEN 'queued' ELSE 'canceled' END`,
        endedAt: sql`CASE WHEN ${running} THEN NULL ELSE ${now} END`,
        leaseUntil: null,
        sendSeq: row.sendSeq + 1,
        sentEpoch: 0,
        claims: how.keepClaims ? row.claims : 0,
        attempts: row.attempts + (how.countAttempt ? 1 : 0),
        suspects: row.suspects + (how.suspect ? 1 : 0),
        callsCounted: how.callsCounted ?? row.callsCounted,
        buried: row.buried + (how.buried ? 1 : 0),
        notBefore: how.notBefore,
      })
      .where(ours(row))
      .returning(),
    ...follow(
      runRow,
      [sql`canceled = canceled + (CASE WHEN state = 'running' THEN 0 ELSE 1 END)`],
      how.spent,
    ),
    ...(how.pauseEpoch === undefined ? [] : [pauseStatement(db, runRow, how.pauseEpoch)]),
    ...Progress.outlookStatements(db, runRow.runUid),
  ]);
  return { item: Database.rows(item, results[0])[0], outlook: Progress.outlookOf(results) };
}

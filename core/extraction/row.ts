import { and, eq, type SQL, sql } from "drizzle-orm";
import * as ModelTime from "#core/cost/model-time";
import * as Database from "#core/db/database";
import { AppError, type Code, type Details } from "#core/error";
import type { StoredInput } from "#core/source/source";
import * as Upload from "#core/upload/upload";
import * as Usage from "#core/usage/usage";
import { extractTable } from "./extract.sql.ts";

/* Changes of an extract's row after its claim (claim.ts). Each change demands the token of that claim. */

export type Row = typeof extractTable.$inferSelect;

/** Matches the id. */
export const idOf = (row: Pick<Row, "keyId" | "requestId">) =>
  and(eq(extractTable.keyId, row.keyId), eq(extractTable.requestId, row.requestId));

/** Matches the row only with the token of this claim. */
const ours = (row: Pick<Row, "keyId" | "requestId" | "token">) =>
  and(idOf(row), eq(extractTable.token, row.token));

/** The statement that reads an id's row. */
export function byId(db: Database.Db, keyId: string, requestId: string) {
  return db.query.select().from(extractTable).where(idOf({ keyId, requestId }));
}

/** How an extract or an attempt ended. */
export type Ending =
  | { status: "succeeded"; artifactRel: string; schemaOk: boolean }
  | {
      status: "failed" | "retryable" | "queued";
      artifactRel: string | null;
      errorCode: Code;
      errorMessage: string;
      errorDetails?: Details | undefined;
      pendingArtifact?: string;
      /** How many calls about the document are stored and counted, if more than before. */
      callsCounted?: number | undefined;
    };

/**
 * Writes the ending if the token is still valid, together with the usage of the model.
 * @param used - undefined if there was none, or it was already counted.
 * @returns false if the work was taken over in the meantime; then nothing was changed or counted.
 */
export async function commit(
  db: Database.Db,
  row: Row,
  ending: Ending,
  used: Usage.Used | undefined,
): Promise<boolean> {
  const failed = ending.status === "succeeded" ? undefined : ending;
  const changes = {
    status: ending.status,
    endedAt: new Date(),
    artifactRel: ending.artifactRel,
    schemaOk: ending.status === "succeeded" ? ending.schemaOk : null,
    errorCode: failed?.errorCode ?? null,
    errorMessage: failed?.errorMessage ?? null,
    errorDetails: failed?.errorDetails ?? null,
    pendingArtifact: failed?.pendingArtifact ?? null,
    waitingFor: null,
    callsCounted: failed?.callsCounted ?? row.callsCounted,
    // An artifact that waits for the bucket is in line like other work, so its message may be used for another
    // extract (turn.ts).
    notBefore: ending.status === "queued" ? new Date() : null,
  };
  return update(db, row, changes, { used });
}

/** Ends an attempt whose failure may be retried; the next repeat takes the row up again. @returns as `commit`. */
export async function release(
  db: Database.Db,
  row: Row,
  error: AppError,
  attempt?: { artifactRel: string | null; used: Usage.Used; callsCounted: number },
): Promise<boolean> {
  const artifactRel = attempt?.artifactRel ?? null;
  const ending = { ...failureOf(error), status: "retryable", artifactRel } as const;
  return commit(db, row, { ...ending, callsCounted: attempt?.callsCounted }, attempt?.used);
}

/** An error as the row stores it. */
export function failureOf({
  code,
  message,
  details,
}: {
  code: Code;
  message: string;
  details?: Details | undefined;
}) {
  return { errorCode: code, errorMessage: message, errorDetails: details };
}

/** The error of work whose process died. */
export const interrupted = () =>
  new AppError("internal", "the work on this extract was interrupted: send the same call again");

/**
 * Queues the work: the input is in the bucket, the token is raised, and no lease is held.
 * @param how.upload - the upload that is the input. The same statement checks that it still exists, and keeps it for
 *   the extract.
 * @returns the row with its new token; undefined if the claim was lost or the upload is gone.
 */
export async function enqueue(
  db: Database.Db,
  row: Row,
  input: StoredInput,
  how: {
    cutOff: boolean;
    waitingFor: "model_server" | null;
    used: Usage.Used | undefined;
    callsCounted?: number | undefined;
    upload?: string | undefined;
  },
): Promise<Row | undefined> {
  const now = new Date();
  const changes = {
    status: "queued" as const,
    input,
    token: row.token + 1,
    leaseUntil: now,
    handedOverAt: how.cutOff ? now : row.handedOverAt,
    waitingFor: how.waitingFor,
    sentAt: null,
    notBefore: now,
    callsCounted: how.callsCounted ?? row.callsCounted,
  };
  const isThere = how.upload === undefined ? undefined : Upload.isThere(how.upload, row.keyId);
  return (await update(db, row, changes, { used: how.used, onlyIf: isThere }))
    ? { ...row, ...changes }
    : undefined;
}

/** Notes that a queued extract's message is under way, and that it waits for nothing else. */
export async function markSent(
  db: Database.Db,
  rows: Pick<Row, "keyId" | "requestId" | "token">[],
): Promise<void> {
  const now = new Date();
  await Database.batch(
    db,
    rows.map((row) => db.query.update(extractTable).set({ sentAt: now, waitingFor: null }).where(ours(row))),
  );
}

/**
 * Extends a worker's lease.
 * @returns false if the extract ended, was requeued, or was taken over.
 * @throws AppError `storage_unavailable`.
 */
export async function renew(db: Database.Db, row: Row, leaseUntil: Date): Promise<boolean> {
  const running = eq(extractTable.status, "running");
  const [result] = await Database.batch(db, [
    db.query
      .update(extractTable)
      .set({ leaseUntil })
      .where(and(ours(row), running)),
  ]);
  return result?.rowsAffected === 1;
}

/**
 * Undoes a worker's claim; its message comes back. The token stays raised.
 * @returns false if the claim was lost, or the answer waits in the row for the bucket.
 */
export async function unclaim(db: Database.Db, row: Row): Promise<boolean> {
  const [result] = await Database.batch(db, [
    db.query
      .update(extractTable)
      .set({ status: "queued", claims: row.claims - 1, leaseUntil: new Date() })
      .where(and(ours(row), eq(extractTable.status, "running"))),
  ]);
  return result?.rowsAffected === 1;
}

/** Requeues claimed work. The claim does not count, unless the worker died (`keepClaims`). */
export async function requeue(
  db: Database.Db,
  row: Row,
  how: {
    countAttempt: boolean;
    suspect: boolean;
    notBefore: Date | null;
    waitingFor: "model_server" | null;
    /** The use of the model since the claim. */
    used?: Usage.Used | undefined;
    /** How many calls about the document are stored and counted, if more than before. */
    callsCounted?: number | undefined;
    keepClaims?: boolean;
  },
): Promise<boolean> {
  const changes = {
    status: "queued" as const,
    leaseUntil: new Date(),
    claims: how.keepClaims ? row.claims : 0,
    attempts: row.attempts + (how.countAttempt ? 1 : 0),
    suspects: row.suspects + (how.suspect ? 1 : 0),
    notBefore: how.notBefore ?? new Date(),
    waitingFor: how.waitingFor,
    sentAt: null,
    callsCounted: how.callsCounted ?? row.callsCounted,
  };
  return update(db, row, changes, { used: how.used });
}

/**
 * Forgets the input of an ended extract.
 * @returns false if the extract was taken up again since, so that its input is in use.
 */
export async function forgetInput(db: Database.Db, row: Row): Promise<boolean> {
  const ended = sql`${extractTable.status} IN ('succeeded', 'failed', 'retryable')`;
  const [result] = await Database.batch(db, [
    db.query
      .update(extractTable)
      .set({ input: null })
      .where(and(ours(row), ended)),
  ]);
  return result?.rowsAffected === 1;
}

/** The row of this key's extract. */
export async function find(db: Database.Db, keyId: string, requestId: string): Promise<Row | undefined> {
  return (await Database.read(byId(db, keyId, requestId)))[0];
}

async function update(
  db: Database.Db,
  row: Row,
  changes: Partial<typeof extractTable.$inferInsert>,
  more: { used: Usage.Used | undefined; onlyIf?: SQL | undefined },
): Promise<boolean> {
  const { keyId, taskId } = row;
  const { used, onlyIf } = more;
  const now = new Date();
  const [result] = await Database.batch(db, [
    db.query
      .update(extractTable)
      .set(changes)
      .where(and(ours(row), onlyIf)),
    ...(used === undefined || used.modelCalls === 0
      ? []
      : [
          Usage.record({ keyId, taskId, ...used, now }, sql`changes() = 1`),
          ...ModelTime.record({ keyId, taskId, now }, used.modelMs),
        ]),
  ]);
  return result?.rowsAffected === 1;
}

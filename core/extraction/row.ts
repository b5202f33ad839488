import { and, eq, type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError, type Code, type Details } from "#core/error";
import type { StoredInput } from "#core/source/source";
import * as Upload from "#core/upload/upload";
import * as Usage from "#core/usage/usage";
import { extractTable } from "./extract.sql.ts";

/* What happens to the row of an extract once it was claimed (claim.ts). Each change demands the token of that claim. */

export type Row = typeof extractTable.$inferSelect;

/** Exactly this id. */
export const idOf = (row: Pick<Row, "keyId" | "requestId">) =>
  and(eq(extractTable.keyId, row.keyId), eq(extractTable.requestId, row.requestId));

/** Exactly the row that was claimed: with another token it is another worker's. */
const ours = (row: Pick<Row, "keyId" | "requestId" | "token">) =>
  and(idOf(row), eq(extractTable.token, row.token));

/** The statement that reads an id's row. */
export function byId(db: Database.Db, keyId: string, requestId: string) {
  return db.query.select().from(extractTable).where(idOf({ keyId, requestId }));
}

/** How an extract ended, or how an attempt did. */
export type Ending =
  | { status: "succeeded"; artifactRel: string; schemaOk: boolean }
  | {
      status: "failed" | "retryable" | "queued";
      artifactRel: string | null;
      errorCode: Code;
      errorMessage: string;
      errorDetails?: Details | undefined;
      pendingArtifact?: string;
    };

/**
 * Writes the ending, if the token is still ours, and with it what the model was asked for.
 * @param used - undefined: nothing, or it is on record already.
 * @returns false when the work was taken over meanwhile: nothing was changed or counted.
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
    // An artifact that waits for the bucket is in line like others: its message may go to one of those (turn.ts).
    notBefore: ending.status === "queued" ? new Date() : null,
  };
  return update(db, row, changes, { used });
}

/** Ends an attempt whose failure may be retried: the next repeat takes the row up again. @returns as `commit`. */
export async function release(
  db: Database.Db,
  row: Row,
  error: AppError,
  attempt?: { artifactRel: string | null; used: Usage.Used },
): Promise<boolean> {
  const artifactRel = attempt?.artifactRel ?? null;
  return commit(db, row, { ...failureOf(error), status: "retryable", artifactRel }, attempt?.used);
}

/** An error as the row has it. */
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

/** What is left to say of work whose process died. */
export const interrupted = () =>
  new AppError("internal", "the work on this extract was interrupted: send the same call again");

/**
 * Hands the work to the queue: the input lies in the bucket, the token goes up, and no lease is held.
 * @param how.upload - the upload that the input is: from now on it stays for the extract, if it is still there, which is
 *   decided together.
 * @returns the row with its new token, or undefined when it is not ours any more, or the upload is gone.
 */
export async function enqueue(
  db: Database.Db,
  row: Row,
  input: StoredInput,
  how: {
    cutOff: boolean;
    waitingFor: "model_server" | null;
    used: Usage.Used | undefined;
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
 * Holds a worker's claim for longer.
 * @returns false when it is not ours any more: it ended, was put back, or was taken over.
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
 * Lets go of a worker's claim as if it had not been made: its message comes back. The token stays raised.
 * @returns false when it is not ours any more, or waits with its answer for the bucket.
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

/** Puts claimed work back into the queue. In an orderly way the claim does not count (`keepClaims` for a worker that died). */
export async function requeue(
  db: Database.Db,
  row: Row,
  how: {
    countAttempt: boolean;
    suspect: boolean;
    notBefore: Date | null;
    waitingFor: "model_server" | null;
    /** What the model was asked for meanwhile. */
    used?: Usage.Used | undefined;
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
  };
  return update(db, row, changes, { used: how.used });
}

/**
 * Lets go of an ended extract's input.
 * @returns false when it has been taken up again since: its input is in use, and must stay.
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

/** The row of an id, if this key has one. */
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
  const [result] = await Database.batch(db, [
    db.query
      .update(extractTable)
      .set(changes)
      .where(and(ours(row), onlyIf)),
    ...(used === undefined || used.modelCalls === 0
      ? []
      : [Usage.record({ keyId, taskId, ...used, now: new Date() }, sql`changes() = 1`)]),
  ]);
  return result?.rowsAffected === 1;
}

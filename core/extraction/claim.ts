import { and, eq, getTableColumns, gt, isNotNull, type SQL, sql } from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import { breakerTable } from "#core/breaker/breaker.sql";
import * as Database from "#core/db/database";
import { AppError, type Code, type Details } from "#core/error";
import type { StoredInput } from "#core/source/source";
import * as Upload from "#core/upload/upload";
import * as Allowance from "#core/usage/allowance";
import * as Usage from "#core/usage/usage";
import type { KeyLimits } from "#spec/key-limits";
import { extractTable } from "./extract.sql.ts";
import * as Turn from "./turn.ts";

export type Row = typeof extractTable.$inferSelect;

export interface Wish {
  keyId: string;
  requestId: string;
  taskId: string;
  payloadHash: string;
  /** Until when nobody else takes it over. */
  leaseUntil: Date;
}

/** Who works on an id: us, or somebody else, or nobody any more. */
export type Claim = { kind: "ours"; row: Row } | { kind: "running"; row: Row } | { kind: "ended"; row: Row };

/** What is known of the model server, read in the claim's round trip. */
export interface Outlook {
  breaker: Breaker.State;
  /** Calls of this key that were cut off and handed over within the window: another key's pictures say nothing about it. */
  recentHandovers: number;
}

/** As many as matter; more are not counted. */
const handoversCounted = 10;

/**
 * Takes the id for us in one round trip: a new row; or an old one whose failure may be retried or whose lease ran
 * out, with the fencing token raised. Twenty racers on one new id: exactly one gets `ours`.
 *
 * A new row counts as one item of the key's day, and only comes about within its daily limits; what is taken over was
 * counted before, and only has to be within the model's time.
 * @param options.mustBeNew - take nothing over: no claim when the id exists in whatever state.
 * @param options.handoverWindowMs - how far back hand-overs are counted.
 * @throws AppError `conflict` when the id exists with another payload, `rate_limited`, `storage_unavailable`.
 */
export async function claim(
  db: Database.Db,
  wish: Wish,
  options: { mustBeNew: boolean; handoverWindowMs: number; limits: KeyLimits },
): Promise<{ claim: Claim | undefined; outlook: Outlook }> {
  const now = new Date();
  const user = { keyId: wish.keyId, limits: options.limits };
  const inFlight = allowsInFlight(user, now);
  const mayBegin = joined(Allowance.allows(user, 1, now), inFlight);
  // The id that exists already has to get as far as its conflict.
  const mayInsert =
    mayBegin && sql`(${mayBegin}) OR EXISTS (SELECT 1 FROM ${extractTable} WHERE ${idOf(wish)})`;
  const insert = db.query
    .insert(extractTable)
    .select(rowIf({ ...wish, status: "running", createdAt: now, token: 1 }, mayInsert ?? sql`true`));
  // Work that was queued belongs to its worker until reconcile says otherwise.
  const isOpen = sql`(${extractTable.status} = 'retryable' OR (${extractTable.status} = 'running' AND ${extractTable.input} IS NULL AND ${extractTable.leaseUntil} < ${now.getTime()}))`;
  const time = joined(Allowance.allowsTime(user, now), inFlight);
  // An artifact that waits in its row costs nothing any more.
  const mayAsk =
    time === undefined ? sql`true` : sql`(${extractTable.pendingArtifact} IS NOT NULL OR ${time})`;
  const take = options.mustBeNew
    ? insert.onConflictDoNothing().returning()
    : insert
        .onConflictDoUpdate({
          target: [extractTable.keyId, extractTable.requestId],
          set: {
            status: "running",
            token: sql`${extractTable.token} + 1`,
            leaseUntil: wish.leaseUntil,
            attempts: 0,
            claims: 0,
            suspects: 0,
          },
          setWhere: sql`${extractTable.payloadHash} = ${wish.payloadHash} AND ${isOpen} AND ${mayAsk}`,
        })
        .returning();
  const recent = db.query
    .select({ keyId: extractTable.keyId })
    .from(extractTable)
    .where(
      and(
        eq(extractTable.keyId, wish.keyId),
        isNotNull(extractTable.handedOverAt),
        gt(extractTable.handedOverAt, new Date(now.getTime() - options.handoverWindowMs)),
      ),
    )
    .limit(handoversCounted);
  const isNew = sql`changes() = 1 AND (SELECT token FROM ${extractTable} WHERE ${idOf(wish)}) = 1`;
  const [taken, , found, breaker, handovers] = await Database.batch(db, [
    take,
    Usage.countItems({ keyId: wish.keyId, taskId: wish.taskId, items: 1, now }, isNew),
    byId(db, wish.keyId, wish.requestId),
    Breaker.statement(db),
    recent,
  ]);
  const outlook: Outlook = {
    breaker: Breaker.stateOf(Database.rows(breakerTable, breaker)[0], now.getTime()),
    recentHandovers: handovers?.rows.length ?? 0,
  };
  const ours = Database.rows(extractTable, taken)[0];
  if (ours !== undefined) return { claim: { kind: "ours", row: ours }, outlook };
  const row = Database.rows(extractTable, found)[0];
  if (row === undefined) throw await Allowance.refusal(db, user, 1, now);
  if (options.mustBeNew) return { claim: undefined, outlook };
  if (row.status === "deleting" || row.status === "deleted")
    throw new AppError("conflict", "an extract of this id was deleted: its id stays taken", {
      details: { reason: "extract_deleted" },
    });
  if (row.payloadHash !== wish.payloadHash)
    throw new AppError(
      "conflict",
      "this id was used with another payload: take another id, or send the very same call again for its stored answer",
      { details: { reason: "id_reused" } },
    );
  const leftAlone = row.status === "running" && row.input === null && row.leaseUntil < now;
  if (row.status === "retryable" || leftAlone) throw await Allowance.refusal(db, user, 0, now);
  const running = row.status === "running" || row.status === "queued";
  return { claim: { kind: running ? "running" : "ended", row }, outlook };
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
 * @returns false when somebody took the work over meanwhile; nothing was changed or counted then.
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
  return update(db, row, changes, used);
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
 * Hands the work to the queue: the input lies in the bucket, the token goes up, nobody holds a lease.
 * @param how.upload - the upload that the input is: from now on it stays for the extract, if it is still there, which is
 *   decided together.
 * @returns the row with its new token, or undefined when it is not ours any more, or the upload is gone.
 */
export async function enqueue(
  db: Database.Db,
  row: Row,
  input: StoredInput,
  how: {
    handedOver: boolean;
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
    handedOverAt: how.handedOver ? now : row.handedOverAt,
    waitingFor: how.waitingFor,
    sentAt: null,
    notBefore: now,
  };
  const isThere = how.upload === undefined ? undefined : Upload.isThere(how.upload, row.keyId);
  return (await update(db, row, changes, how.used, isThere)) ? { ...row, ...changes } : undefined;
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
 * The worker's claim. A message is a permission to work on one extract, and not on which: whose turn it is (turn.ts) is
 * decided in the same statement that takes it.
 * @param id - of the message.
 * @returns undefined when nobody is in line: the message has done its duty then.
 */
export async function claimQueued(
  db: Database.Db,
  id: { keyId: string; requestId: string },
  leaseUntil: Date,
): Promise<{ row: Row | undefined; outlook: Outlook }> {
  const now = Date.now();
  const [taken, breaker] = await Database.batch(db, [
    db.query
      .update(extractTable)
      .set({
        status: "running",
        token: sql`${extractTable.token} + 1`,
        claims: sql`${extractTable.claims} + 1`,
        leaseUntil,
      })
      .where(sql`rowid = ${Turn.next(id, now)}`)
      .returning(),
    Breaker.statement(db),
  ]);
  return {
    row: Database.rows(extractTable, taken)[0],
    outlook: { breaker: Breaker.stateOf(Database.rows(breakerTable, breaker)[0], now), recentHandovers: 0 },
  };
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
  return update(db, row, changes, how.used);
}

/**
 * Lets go of an ended extract's input.
 * @returns false when it has been taken up again since: its input is somebody's, and must stay.
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

/**
 * Whether the key may have one more extract at work, as a condition; undefined when it has no such limit. What workers
 * have of its queued ones counts too.
 */
function allowsInFlight(user: Allowance.User, now: Date): SQL | undefined {
  const { maxInFlight } = user.limits;
  if (maxInFlight === null) return undefined;
  return sql`(SELECT count(*) FROM ${extractTable} WHERE status = 'running' AND lease_until > ${now.getTime()}
    AND +key_id = ${user.keyId}) < ${maxInFlight}`;
}

const idOf = (row: Pick<Row, "keyId" | "requestId">) =>
  and(eq(extractTable.keyId, row.keyId), eq(extractTable.requestId, row.requestId));

/** Both, as far as there are any. */
function joined(...conditions: (SQL | undefined)[]): SQL | undefined {
  const given = conditions.filter((each) => each !== undefined);
  return given.length === 0 ? undefined : sql.join(given, sql` AND `);
}

/** Exactly the row that was claimed: another token is somebody else's work. */
const ours = (row: Pick<Row, "keyId" | "requestId" | "token">) =>
  and(idOf(row), eq(extractTable.token, row.token));

/** A row as `INSERT … SELECT` wants it: every column of the table, in order; none if the condition does not hold. */
function rowIf(values: typeof extractTable.$inferInsert, condition: SQL): SQL {
  const given: Record<string, unknown> = values;
  const columns = Object.entries(getTableColumns(extractTable)).map(([property, column]) => {
    const value = given[property] ?? column.default;
    return value === undefined || value === null ? sql`NULL` : sql`${sql.param(value, column)}`;
  });
  return sql`SELECT ${sql.join(columns, sql`, `)} WHERE ${condition}`;
}

async function update(
  db: Database.Db,
  row: Row,
  changes: Partial<typeof extractTable.$inferInsert>,
  used: Usage.Used | undefined,
  onlyIf?: SQL,
): Promise<boolean> {
  const { keyId, taskId } = row;
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

function byId(db: Database.Db, keyId: string, requestId: string) {
  return db.query.select().from(extractTable).where(idOf({ keyId, requestId }));
}

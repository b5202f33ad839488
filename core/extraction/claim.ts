import { and, eq, lt, sql } from "drizzle-orm";
import * as Database from "#core/db/client";
import { AppError, type Code } from "#core/error";
import { extractTable, idempotencyTable } from "./extract.sql.ts";

export type Row = typeof extractTable.$inferSelect;

export interface Wish {
  keyId: string;
  requestId: string;
  taskId: string;
  payloadHash: string;
  /** Until when nobody else takes it over. */
  leaseUntil: Date;
}

/** Who works on an id: us (`fresh` when it is new), or somebody else, or nobody any more. */
export type Claim = { kind: "ours"; row: Row } | { kind: "running"; row: Row } | { kind: "ended"; row: Row };

/**
 * Takes the id for us in one round trip: a new row; or an old one whose failure may be retried or whose lease ran
 * out, with the fencing token raised. Twenty racers on one new id: exactly one gets `ours`.
 * @param options.mustBeNew - take nothing over: undefined when the id exists in whatever state.
 * @throws AppError `conflict` when the id exists with another payload, `storage_unavailable`.
 */
export async function claim(db: Database.Db, wish: Wish, options: { mustBeNew: boolean }): Promise<Claim | undefined> {
  const now = new Date();
  const insert = db.query.insert(extractTable).values({ ...wish, status: "running", createdAt: now, token: 1 });
  const isOpen = sql`(${extractTable.status} = 'retryable' OR (${extractTable.status} = 'running' AND ${extractTable.leaseUntil} < ${now.getTime()}))`;
  const take = options.mustBeNew
    ? insert.onConflictDoNothing().returning()
    : insert
        .onConflictDoUpdate({
          target: [extractTable.keyId, extractTable.requestId],
          set: { status: "running", token: sql`${extractTable.token} + 1`, leaseUntil: wish.leaseUntil },
          setWhere: sql`${extractTable.payloadHash} = ${wish.payloadHash} AND ${isOpen}`,
        })
        .returning();
  const [taken, found] = await Database.batch(db, [take, byId(db, wish.keyId, wish.requestId)]);
  const ours = Database.rows(extractTable, taken)[0];
  if (ours !== undefined) return { kind: "ours", row: ours };
  if (options.mustBeNew) return undefined;
  const row = Database.rows(extractTable, found)[0];
  if (row === undefined) throw new AppError("internal", "the row of this extract is gone");
  if (row.payloadHash !== wish.payloadHash) throw new AppError("conflict", "this id was used with another payload");
  return { kind: row.status === "running" ? "running" : "ended", row };
}

/** How an extract ended, or how an attempt did. */
export type Ending =
  | { status: "succeeded"; artifactRel: string; schemaOk: boolean }
  | { status: "failed" | "retryable"; artifactRel: string | null; errorCode: Code; errorMessage: string; pendingArtifact?: string };

/**
 * Writes the ending, if the token is still ours.
 * @returns false when somebody took the work over meanwhile; nothing was changed then.
 */
export async function commit(db: Database.Db, row: Row, ending: Ending): Promise<boolean> {
  const [result] = await Database.batch(db, [
    db.query
      .update(extractTable)
      .set({
        status: ending.status,
        endedAt: new Date(),
        artifactRel: ending.artifactRel,
        schemaOk: ending.status === "succeeded" ? ending.schemaOk : null,
        errorCode: ending.status === "succeeded" ? null : ending.errorCode,
        errorMessage: ending.status === "succeeded" ? null : ending.errorMessage,
        pendingArtifact: ending.status === "succeeded" ? null : (ending.pendingArtifact ?? null),
      })
      .where(
        and(eq(extractTable.keyId, row.keyId), eq(extractTable.requestId, row.requestId), eq(extractTable.token, row.token)),
      ),
  ]);
  return result?.rowsAffected === 1;
}

/** The row of an id, if this key has one. */
export async function find(db: Database.Db, keyId: string, requestId: string): Promise<Row | undefined> {
  return (await Database.guard(() => byId(db, keyId, requestId)))[0];
}

function byId(db: Database.Db, keyId: string, requestId: string) {
  return db.query
    .select()
    .from(extractTable)
    .where(and(eq(extractTable.keyId, keyId), eq(extractTable.requestId, requestId)));
}

/**
 * The id that an `Idempotency-Key` stands for: `proposedId` at its first use, the same one for 24 hours.
 * @throws AppError `conflict` when the key was used with another payload.
 */
export async function resolveIdempotency(
  db: Database.Db,
  input: { keyId: string; idempotencyKey: string; proposedId: string; payloadHash: string; ttlMs: number },
): Promise<string> {
  const now = new Date();
  const mine = and(eq(idempotencyTable.keyId, input.keyId), eq(idempotencyTable.idempotencyKey, input.idempotencyKey));
  const results = await Database.batch(db, [
    db.query.delete(idempotencyTable).where(and(mine, lt(idempotencyTable.expiresAt, now))),
    db.query
      .insert(idempotencyTable)
      .values({
        keyId: input.keyId,
        idempotencyKey: input.idempotencyKey,
        resourceId: input.proposedId,
        payloadHash: input.payloadHash,
        expiresAt: new Date(now.getTime() + input.ttlMs),
      })
      .onConflictDoNothing(),
    db.query.select().from(idempotencyTable).where(mine),
  ]);
  const row = Database.rows(idempotencyTable, results[2])[0];
  if (row === undefined || row.payloadHash !== input.payloadHash) {
    throw new AppError("conflict", "this Idempotency-Key was used with another payload");
  }
  return row.resourceId;
}

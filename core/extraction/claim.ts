import { and, eq, getTableColumns, gt, isNotNull, type SQL, sql } from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import { breakerTable } from "#core/breaker/breaker.sql";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Allowance from "#core/usage/allowance";
import * as Usage from "#core/usage/usage";
import type { KeyLimits } from "#spec/key-limits";
import { extractTable } from "./extract.sql.ts";
import { byId, idOf, type Row } from "./row.ts";
import * as Turn from "./turn.ts";

export interface Wish {
  keyId: string;
  requestId: string;
  taskId: string;
  payloadHash: string;
  /** Until when it cannot be taken over. */
  leaseUntil: Date;
}

/** Who works on an id: this call, another one, or none any more. */
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
  const isNew = sql`changes() = 1 AND (SELECT token FROM ${extractTable} WHERE ${idOf(wish)}) = 1`;
  const results = await Database.batch(db, {
    taken: take(db, wish, { user, now, mustBeNew: options.mustBeNew }),
    counted: Usage.countItems({ keyId: wish.keyId, taskId: wish.taskId, items: 1, now }, isNew),
    found: byId(db, wish.keyId, wish.requestId),
    breaker: Breaker.statement(db),
    handovers: handoversSince(db, wish.keyId, new Date(now.getTime() - options.handoverWindowMs)),
  });
  const outlook: Outlook = {
    breaker: Breaker.stateOf(Database.rows(breakerTable, results.breaker)[0], now.getTime()),
    recentHandovers: results.handovers.rows.length,
  };
  const ours = Database.rows(extractTable, results.taken)[0];
  if (ours !== undefined) return { claim: { kind: "ours", row: ours }, outlook };
  const row = Database.rows(extractTable, results.found)[0];
  if (row === undefined) throw await Allowance.refusal(db, user, 1, now);
  if (options.mustBeNew) return { claim: undefined, outlook };
  const refused = refusalOf(row, wish);
  if (refused !== undefined) throw refused;
  const leftAlone = row.status === "running" && row.input === null && row.leaseUntil < now;
  if (row.status === "retryable" || leftAlone) throw await Allowance.refusal(db, user, 0, now);
  const running = row.status === "running" || row.status === "queued";
  return { claim: { kind: running ? "running" : "ended", row }, outlook };
}

/** The statement that makes the row, or takes the one that is there, within the key's limits. */
function take(
  db: Database.Db,
  wish: Wish,
  { user, now, mustBeNew }: { user: Allowance.User; now: Date; mustBeNew: boolean },
) {
  const inFlight = allowsInFlight(user, now);
  const mayBegin = joined(Allowance.allows(user, 1, now), inFlight);
  // The id that exists already has to get as far as its conflict.
  const mayInsert =
    mayBegin && sql`(${mayBegin}) OR EXISTS (SELECT 1 FROM ${extractTable} WHERE ${idOf(wish)})`;
  const insert = db.query
    .insert(extractTable)
    .select(rowIf({ ...wish, status: "running", createdAt: now, token: 1 }, mayInsert ?? sql`true`));
  if (mustBeNew) return insert.onConflictDoNothing().returning();
  // Work that was queued belongs to its worker until reconcile says otherwise.
  const isOpen = sql`(${extractTable.status} = 'retryable' OR (${extractTable.status} = 'running' AND ${extractTable.input} IS NULL AND ${extractTable.leaseUntil} < ${now.getTime()}))`;
  const time = joined(Allowance.allowsTime(user, now), inFlight);
  // An artifact that waits in its row costs nothing any more.
  const mayAsk =
    time === undefined ? sql`true` : sql`(${extractTable.pendingArtifact} IS NOT NULL OR ${time})`;
  return insert
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
}

function handoversSince(db: Database.Db, keyId: string, since: Date) {
  return db.query
    .select({ keyId: extractTable.keyId })
    .from(extractTable)
    .where(
      and(
        eq(extractTable.keyId, keyId),
        isNotNull(extractTable.handedOverAt),
        gt(extractTable.handedOverAt, since),
      ),
    )
    .limit(handoversCounted);
}

/** Why an id is taken for good. */
function refusalOf(row: Row, wish: Wish): AppError | undefined {
  if (row.status === "deleting" || row.status === "deleted")
    return new AppError("conflict", "an extract of this id was deleted: its id stays taken", {
      details: { reason: "extract_deleted" },
    });
  if (row.payloadHash === wish.payloadHash) return undefined;
  return new AppError(
    "conflict",
    "this id was used with another payload: take another id, or send the very same call again for its stored answer",
    { details: { reason: "id_reused" } },
  );
}

/**
 * The worker's claim. A message is a permission to work on one extract, and not on which: whose turn it is (turn.ts) is
 * decided in the same statement that takes it.
 * @param id - of the message.
 * @returns undefined when none is in line: the message has done its duty then.
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
 * Whether the key may have one more extract at work, as a condition; undefined when it has no such limit. What workers
 * have of its queued ones counts too.
 */
function allowsInFlight(user: Allowance.User, now: Date): SQL | undefined {
  const { maxInFlight } = user.limits;
  if (maxInFlight === null) return undefined;
  return sql`(SELECT count(*) FROM ${extractTable} WHERE status = 'running' AND lease_until > ${now.getTime()}
    AND +key_id = ${user.keyId}) < ${maxInFlight}`;
}

/** Both, as far as there are any. */
function joined(...conditions: (SQL | undefined)[]): SQL | undefined {
  const given = conditions.filter((each) => each !== undefined);
  return given.length === 0 ? undefined : sql.join(given, sql` AND `);
}

/** A row as `INSERT … SELECT` wants it: every column of the table, in order; none if the condition does not hold. */
function rowIf(values: typeof extractTable.$inferInsert, condition: SQL): SQL {
  const given: Record<string, unknown> = values;
  const columns = Object.entries(getTableColumns(extractTable)).map(([property, column]) => {
    const value = given[property] ?? column.default;
    return value === undefined || value === null ? sql`NULL` : sql`${sql.param(value, column)}`;
  });
  return sql`SELECT ${sql.join(columns, sql`, `)} WHERE ${condition}`;
}

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

interface Wish {
  keyId: string;
  requestId: string;
  taskId: string;
  payloadHash: string;
  /** The end of the lease: until then no other call takes the work over. */
  leaseUntil: Date;
}

/** Who has an id: this call, another call or worker, or none. */
export type Claim = { kind: "ours"; row: Row } | { kind: "running"; row: Row } | { kind: "ended"; row: Row };

/** What is known about the model server, read in the same round trip. */
export interface Outlook {
  breaker: Breaker.State;
  /**
   * The key's calls within the window that were cut off and handed over. Other keys' pictures say nothing about this
   * key's.
   */
  recentHandovers: number;
}

/** Up to the number that matters; more are not counted. */
const handoversCounted = 10;

/**
 * Claims the id in one round trip: inserts a row, or takes over one whose failure may be retried or whose lease
 * ended, and raises the fencing token. Of twenty parallel calls with a new id, exactly one gets `ours`.
 * A new row counts as one item of the key's day and is inserted only within its daily limits. Work that is taken over
 * was counted before and only needs model time.
 * @param options.mustBeNew - no claim if the id exists, in whatever state.
 * @param options.handoverWindowMs - the window in which hand-overs are counted.
 * @throws AppError `conflict` if the id exists with another payload, `rate_limited`, `storage_unavailable`.
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

/** The statement that inserts the row, or takes over an existing one, within the key's limits. */
function take(
  db: Database.Db,
  wish: Wish,
  { user, now, mustBeNew }: { user: Allowance.User; now: Date; mustBeNew: boolean },
) {
  const inFlight = allowsInFlight(user, now);
  const mayBegin = joined(Allowance.allows(user, 1, now), inFlight);
  // An existing id must get as far as its conflict.
  const mayInsert =
    mayBegin && sql`(${mayBegin}) OR EXISTS (SELECT 1 FROM ${extractTable} WHERE ${idOf(wish)})`;
  const insert = db.query
    .insert(extractTable)
    .select(rowIf({ ...wish, status: "running", createdAt: now, token: 1 }, mayInsert ?? sql`true`));
  if (mustBeNew) return insert.onConflictDoNothing().returning();
  // Queued work belongs to its worker until reconcile decides otherwise.
  const isOpen = sql`(${extractTable.status} = 'retryable' OR (${extractTable.status} = 'running' AND ${extractTable.input} IS NULL AND ${extractTable.leaseUntil} < ${now.getTime()}))`;
  const time = joined(Allowance.allowsTime(user, now), inFlight);
  // An artifact that waits in its row needs no model time.
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

/** Why an id cannot be claimed again. */
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
 * The worker's claim. A message permits work on one extract, but not on a particular one: the statement that claims
 * also decides whose turn it is (turn.ts).
 * @param id - the id in the message.
 * @returns undefined if no extract is in line; then the message may be deleted.
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
 * The condition under which the key may have one more extract in flight; undefined without such a limit. Queued
 * extracts that workers have count, too.
 */
function allowsInFlight(user: Allowance.User, now: Date): SQL | undefined {
  const { maxInFlight } = user.limits;
  if (maxInFlight === null) return undefined;
  return sql`(SELECT count(*) FROM ${extractTable} WHERE status = 'running' AND lease_until > ${now.getTime()}
    AND +key_id = ${user.keyId}) < ${maxInFlight}`;
}

/** Both conditions, as far as they exist. */
function joined(...conditions: (SQL | undefined)[]): SQL | undefined {
  const given = conditions.filter((each) => each !== undefined);
  return given.length === 0 ? undefined : sql.join(given, sql` AND `);
}

/** A row for `INSERT … SELECT`: every column of the table, in order; no row if the condition does not hold. */
function rowIf(values: typeof extractTable.$inferInsert, condition: SQL): SQL {
  const given: Record<string, unknown> = values;
  const columns = Object.entries(getTableColumns(extractTable)).map(([property, column]) => {
    const value = given[property] ?? column.default;
    return value === undefined || value === null ? sql`NULL` : sql`${sql.param(value, column)}`;
  });
  return sql`SELECT ${sql.join(columns, sql`, `)} WHERE ${condition}`;
}

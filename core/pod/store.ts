import {
  and,
  desc,
  eq,
  exists,
  getTableColumns,
  gt,
  isNotNull,
  isNull,
  or,
  type SQL,
  sql,
} from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import { type PodSessionRow, podSessionTable as session } from "#core/cost/pod-session.sql";
import * as Database from "#core/db/database";
import * as OpenExtracts from "#core/extraction/open-extracts";
import * as Id from "#core/id";
import * as OpenItems from "#core/run/dispatch/open-items";
import * as Usage from "#core/usage/usage";
import { initial } from "./machine.ts";
import { type PodRow, podTable as pod } from "./pod.sql.ts";
import { dayOf } from "./spent.ts";
import type { Step, Work } from "./step.ts";

/* The manager's row and its sessions. Only the holder of the lease writes the manager's memory. */

const name = "gpu";
/** The condition of the one row. */
export const row = eq(pod.name, name);

/** The number of past starts from which the usual duration is computed. */
const startsCounted = 5;
/** The manager checks each minute. After a longer pause it is not known what happened in between. */
const mostBetweenLooksMs = 120_000;
const lastLook = sql`(SELECT coalesce(${pod.lookedAt}, ${Number.MAX_SAFE_INTEGER}) FROM ${pod} WHERE ${row})`;

/** What a step needs from the database. */
interface Survey {
  pod: PodRow;
  work: Work;
  /** Sessions that were up at some time of this UTC day. */
  today: PodSessionRow[];
  /** Milliseconds that the last starts took. */
  starts: number[];
}

/** Makes the row if there is none. */
export function made(db: Database.Db, now: number) {
  return db.query
    .insert(pod)
    .values({ name, ...initial(now) })
    .onConflictDoNothing();
}

/** Reads the sessions that were up at some time of this UTC day. */
export function today(db: Database.Db, now: number) {
  const since = new Date(dayOf(now));
  return db.query
    .select()
    .from(session)
    .where(or(isNull(session.endedAt), gt(session.endedAt, since)));
}

/**
 * Takes the lease, or extends it, and reads everything in one round trip.
 * @returns undefined if another manager has it. @throws AppError `storage_unavailable`.
 */
export async function take(
  db: Database.Db,
  holder: string,
  { now, leaseMs }: { now: number; leaseMs: number },
): Promise<Survey | undefined> {
  const free = or(isNull(pod.holder), eq(pod.holder, holder), sql`coalesce(${pod.leaseUntil}, 0) < ${now}`);
  const found = await Database.batch(db, {
    made: made(db, now),
    // Read before the current check is recorded.
    busy: db.query
      .update(session)
      .set({ busyMs: sql`${session.busyMs} + min(${mostBetweenLooksMs}, max(0, ${now} - ${lastLook}))` })
      .where(
        and(
          isNull(session.endedAt),
          inFlight(now),
          exists(db.query.select().from(pod).where(and(row, free))),
        ),
      ),
    taken: db.query
      .update(pod)
      .set({ holder, leaseUntil: new Date(now + leaseMs), lookedAt: new Date(now) })
      .where(and(row, free))
      .returning(),
    work: Database.statement(workOf(now)),
    today: today(db, now),
    starts: db.query
      .select()
      .from(session)
      .where(isNotNull(session.readyAt))
      .orderBy(desc(session.startedAt))
      .limit(startsCounted),
  });
  const [mine] = Database.rows(pod, found.taken);
  const seen = found.work.rows[0];
  if (mine === undefined || seen === undefined) return undefined;
  return {
    pod: mine,
    work: {
      inFlight: Number(seen.in_flight) === 1,
      waiting: Number(seen.waiting) === 1,
      calls: Number(seen.calls),
    },
    today: Database.rows(session, found.today),
    starts: Database.rows(session, found.starts).map(
      ({ startedAt, readyAt }) => (readyAt?.getTime() ?? 0) - startedAt.getTime(),
    ),
  };
}

const inFlight = (now: number) => sql`(${OpenExtracts.inFlight(now)} OR ${OpenItems.inFlight(now)})`;
const waiting = () => sql`(${OpenExtracts.waiting()} OR ${OpenItems.waiting()})`;

const workOf = (now: number) =>
  sql`SELECT ${inFlight(now)} AS in_flight, ${waiting()} AS waiting, (${Usage.callsOfDay(new Date(now))}) AS calls`;

/**
 * Stores a step if the lease is still held and what it excludes does not exist, decided in one transaction: a claim that
 * comes later sees the breaker that the step opened.
 * @returns false if it was not stored. @throws AppError `storage_unavailable`.
 */
export async function commit(
  db: Database.Db,
  holder: string,
  step: Step,
  { now, provider }: { now: number; provider: string },
): Promise<{ stored: boolean; sessionId: string | null }> {
  const { memory, begins, ends, hold, unless } = step;
  const stamp = Id.create();
  const sessionId = begins === undefined ? (ends === undefined ? memory.sessionId : null) : Id.create();
  const excluded: SQL[] = [
    ...(unless === undefined ? [] : [sql`NOT ${inFlight(now)}`]),
    ...(unless === "any_work" ? [sql`NOT ${waiting()}`] : []),
  ];
  const stored = sql`(SELECT ${pod.stamp} FROM ${pod} WHERE ${row}) = ${stamp}`;
  // While the pod may not be used, functions do not get its address.
  const address = hold === undefined ? memory.address : null;
  // Orders of the operator are taken over from the row, where they may have changed meanwhile.
  const { chosenId: _chosen, wanted: _wanted, startAskedAt: _asked, ...known } = memory;
  const taken = sql`CASE WHEN ${pod.startAskedAt} < ${now} THEN NULL ELSE ${pod.startAskedAt} END`;
  const { update } = await Database.batch(db, {
    update: db.query
      .update(pod)
      .set({ ...known, sessionId, stamp, ...(memory.startAskedAt === null ? { startAskedAt: taken } : {}) })
      .where(and(row, eq(pod.holder, holder), ...excluded)),
    ...sessionsOf(db, step, { sessionId, provider, now, stored }),
    ...Object.fromEntries(
      Breaker.manage(db, { hold, address }, stored).map((statement, i) => [`breaker${i}`, statement]),
    ),
  });
  return { stored: update.rowsAffected === 1, sessionId };
}

/** What a step changes about sessions, each statement only if the step was stored. */
function sessionsOf(
  db: Database.Db,
  { memory, begins, ends }: Step,
  {
    sessionId,
    provider,
    now,
    stored,
  }: { sessionId: string | null; provider: string; now: number; stored: SQL },
) {
  const isPriced = memory.ratePerHour !== null && sessionId !== null && begins === undefined;
  const update = db.query.update(session);
  return {
    ended:
      ends === undefined && begins === undefined
        ? undefined
        : update
            .set({ endedAt: new Date(now), endedBy: ends ?? "replaced" })
            .where(and(isNull(session.endedAt), stored)),
    begun:
      begins === undefined
        ? undefined
        : db.query.insert(session).select(
            rowIf(
              {
                ...{ id: sessionId ?? "", provider, podId: memory.podId ?? "", busyMs: 0 },
                ...{ startedAt: begins.startedAt, ratePerHour: begins.ratePerHour ?? null },
              },
              stored,
            ),
          ),
    priced: isPriced
      ? update
          .set({ ratePerHour: memory.ratePerHour })
          .where(and(eq(session.id, sessionId), isNull(session.ratePerHour), stored))
      : undefined,
    ready:
      memory.state === "ready" && sessionId !== null
        ? update
            .set({ readyAt: new Date(now) })
            .where(and(eq(session.id, sessionId), isNull(session.readyAt), stored))
        : undefined,
  };
}

/** A row for `INSERT … SELECT`: every column of the table, in order; no row if the condition does not hold. */
function rowIf(values: typeof session.$inferInsert, condition: SQL): SQL {
  const given: Record<string, unknown> = values;
  const columns = Object.entries(getTableColumns(session)).map(([property, column]) => {
    const value = given[property];
    return value === undefined || value === null ? sql`NULL` : sql`${sql.param(value, column)}`;
  });
  return sql`SELECT ${sql.join(columns, sql`, `)} WHERE ${condition}`;
}

/** Gives the lease up. @throws AppError `storage_unavailable`. */
export async function release(db: Database.Db, holder: string): Promise<void> {
  await Database.batch(db, [
    db.query
      .update(pod)
      .set({ holder: null, leaseUntil: null })
      .where(and(row, eq(pod.holder, holder))),
  ]);
}

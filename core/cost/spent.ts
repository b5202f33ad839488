import { eq, inArray, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import * as Allocation from "./allocation.ts";
import { runModelTimeTable as ofRun, modelTimeTable as time } from "./model-time.sql.ts";
import { podSessionTable as session } from "./pod-session.sql.ts";

const sumMs = sql<number>`sum(${time.ms})`.as("ms");

/** Which model time counts, and by which column it is summed. */
interface Wanted {
  /** Days in UTC, both included. */
  from: string;
  to: string;
  /** Undefined: of all keys. */
  keyId: string | undefined;
  by: "day" | "key_id" | "task_id";
}

/** What the usage of some days cost, by day, key or task, and together; no entry and undefined where there was no model time. */
export async function ofUsage(
  db: Database.Db,
  { from, to, keyId, by }: Wanted,
  now: Date,
): Promise<{ by: Map<string, Allocation.Share>; total: Allocation.Share | undefined }> {
  const own = keyId === undefined ? sql`` : sql` AND key_id = ${keyId}`;
  const spent = await Database.read(
    db.query
      .select({ name: sql<string>`${sql.identifier(by)}`.as("name"), sessionId: time.sessionId, ms: sumMs })
      .from(time)
      .where(sql`day BETWEEN ${from} AND ${to}${own}`)
      .groupBy(sql`1`, time.sessionId),
  );
  const ledger = await ledgerOf(db, [...new Set(spent.map(({ sessionId }) => sessionId))], now);
  const names = Map.groupBy(spent, ({ name }) => name);
  return {
    by: new Map([...names].map(([name, some]) => [name, Allocation.shareOf(ledger, some)])),
    total: spent.length === 0 ? undefined : Allocation.shareOf(ledger, spent),
  };
}

/** What a run cost so far; undefined if none of its model time is in a session. */
export async function ofRunSoFar(
  db: Database.Db,
  runUid: string,
  now: Date,
): Promise<Allocation.Share | undefined> {
  const spent = await Database.read(db.query.select().from(ofRun).where(eq(ofRun.runUid, runUid)));
  if (spent.length === 0) return undefined;
  return Allocation.shareOf(
    await ledgerOf(
      db,
      spent.map(({ sessionId }) => sessionId),
      now,
    ),
    spent,
  );
}

const chunk = 500;

/** The sessions with these ids, with all model time in each. */
async function ledgerOf(db: Database.Db, ids: readonly string[], now: Date): Promise<Allocation.Ledger> {
  const sessions: Allocation.Session[] = [];
  const totals: Allocation.Spent[] = [];
  for (let at = 0; at < ids.length; at += chunk) {
    const some = ids.slice(at, at + chunk);
    const { found, all } = await Database.batch(
      db,
      {
        found: db.query.select().from(session).where(inArray(session.id, some)),
        all: db.query
          .select({ sessionId: time.sessionId, ms: sumMs })
          .from(time)
          .where(inArray(time.sessionId, some))
          .groupBy(time.sessionId),
      },
      "read",
    );
    sessions.push(...Database.rows(session, found));
    totals.push(...all.rows.map((row) => ({ sessionId: String(row.session_id), ms: Number(row.ms) })));
  }
  return Allocation.ledgerOf(sessions, totals, now);
}

/**
 * Dollars of the sessions that began in this time and in which nothing was read.
 * @param from - included; @param to - not included.
 */
export async function unallocated(
  db: Database.Db,
  { from, to, now }: { from: Date; to: Date; now: Date },
): Promise<Allocation.Share> {
  const rows = await Database.read(
    db.query
      .select()
      .from(session)
      .where(
        sql`${session.startedAt} >= ${from.getTime()} AND ${session.startedAt} < ${to.getTime()} AND NOT EXISTS (SELECT 1 FROM ${time} WHERE ${time.sessionId} = ${session.id})`,
      ),
  );
  return Allocation.unallocated(Allocation.ledgerOf(rows, [], now));
}

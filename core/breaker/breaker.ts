import { randomUUID } from "node:crypto";
import { and, eq, gt, isNotNull, isNull, lt, or, type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import * as Address from "./address.ts";
import { breakerTable, type Hold } from "./breaker.sql.ts";

/*
 * The circuit breaker of the model server, one row for all instances. It opens when a probe has confirmed an outage.
 * While it is open the model is not asked, so a night without a GPU costs nothing. After a while it is half open: one
 * caller, or the probe message, probes again and closes it or keeps it open.
 */

const name = "model_server";

type Row = typeof breakerTable.$inferSelect;

/**
 * The breaker's answer: go on; wait at least `retryAfterMs`; or a caller may probe now. `hold`: it is not a probe that closes
 * it, but the manager of the pod.
 */
export type State =
  | { kind: "closed" }
  | { kind: "open"; retryAfterMs: number; hold?: Hold["for"] }
  | { kind: "due" };

/** The statement to read the row within another batch. */
export function statement(db: Database.Db) {
  return db.query.select().from(breakerTable).where(eq(breakerTable.name, name));
}

/** The same with the row of the isolated suspect, for `stateIn` and `aloneUntil`. */
export function statementOfBoth(db: Database.Db) {
  return db.query
    .select()
    .from(breakerTable)
    .where(or(eq(breakerTable.name, name), eq(breakerTable.name, alone)));
}

/** Evaluates rows that were read with `statementOfBoth`. */
export function stateIn(rows: readonly Row[], now: number): State {
  return stateOf(
    rows.find((row) => row.name === name),
    now,
  );
}

/** Until when, at most, a suspect has the model server for itself; undefined if none has. */
export function aloneUntil(rows: readonly Row[], now: number): number | undefined {
  const until = rows.find((row) => row.name === alone)?.probeUntil?.getTime() ?? 0;
  return until > now ? until : undefined;
}

/** Evaluates a row that was read with `statement`, and notes the model server's address in it. */
export function stateOf(row: Row | undefined, now: number): State {
  Address.note(row?.address);
  if (row?.hold)
    return { kind: "open", retryAfterMs: Math.max(1, row.hold.readyAt - now), hold: row.hold.for };
  if (row === undefined || row.openedAt === null) return { kind: "closed" };
  const retryAfterMs = (row.retryAt?.getTime() ?? now) - now;
  return retryAfterMs > 0 ? { kind: "open", retryAfterMs } : { kind: "due" };
}

/** Why the model server is not asked although it may answer, in the result of `statement`. */
export function holdIn(result: Parameters<typeof Database.rows>[1]): Hold | undefined {
  return Database.rows(breakerTable, result)[0]?.hold ?? undefined;
}

/** Reads that, and notes the address of the model server. */
export async function hold(db: Database.Db): Promise<Hold | undefined> {
  const [result] = await Database.batch(db, [statement(db)], "read");
  stateOf(Database.rows(breakerTable, result)[0], Date.now());
  return holdIn(result);
}

/** Opens it, or keeps it open, until `retryAfterMs` from now. */
export async function trip(db: Database.Db, retryAfterMs: number): Promise<void> {
  const now = Date.now();
  await Database.batch(db, [
    db.query
      .insert(breakerTable)
      .values({ name, openedAt: new Date(now), retryAt: new Date(now + retryAfterMs) })
      .onConflictDoUpdate({
        target: breakerTable.name,
        set: {
          openedAt: sql`coalesce(${breakerTable.openedAt}, ${now})`,
          retryAt: new Date(now + retryAfterMs),
          probeUntil: null,
        },
      }),
  ]);
}

/** Closes it. @returns false if it was already closed, or is held. */
export async function close(db: Database.Db): Promise<boolean> {
  const [result] = await Database.batch(db, [
    db.query
      .update(breakerTable)
      .set({ openedAt: null, retryAt: null, probeUntil: null })
      .where(and(eq(breakerTable.name, name), isNotNull(breakerTable.openedAt), isNull(breakerTable.hold))),
  ]);
  return result?.rowsAffected === 1;
}

/** Takes the right to probe for `forMs`; of several callers exactly one gets it. */
export async function mayProbe(db: Database.Db, forMs: number): Promise<boolean> {
  const now = new Date();
  const [result] = await Database.batch(db, [
    db.query
      .update(breakerTable)
      .set({ probeUntil: new Date(now.getTime() + forMs) })
      .where(
        and(
          eq(breakerTable.name, name),
          isNotNull(breakerTable.openedAt),
          lt(breakerTable.retryAt, now),
          or(isNull(breakerTable.probeUntil), lt(breakerTable.probeUntil, now)),
        ),
      ),
  ]);
  return result?.rowsAffected === 1;
}

/**
 * Takes the right to have the one probe message under way for `forMs`.
 * @returns the name of the new chain; undefined if another message is under way.
 */
export async function mayMessage(db: Database.Db, forMs: number): Promise<string | undefined> {
  const now = new Date();
  const chain = randomUUID();
  const free = or(isNull(breakerTable.messageUntil), lt(breakerTable.messageUntil, now));
  const [result] = await Database.batch(db, [
    db.query
      .update(breakerTable)
      .set({ messageUntil: new Date(now.getTime() + forMs), messageChain: chain })
      .where(and(eq(breakerTable.name, name), free)),
  ]);
  return result?.rowsAffected === 1 ? chain : undefined;
}

/** Extends that right. @returns false if another chain has it, or no chain may continue. */
export async function stillMessage(db: Database.Db, chain: string, forMs: number): Promise<boolean> {
  const [result] = await Database.batch(db, [
    db.query
      .update(breakerTable)
      .set({ messageUntil: new Date(Date.now() + forMs) })
      .where(and(eq(breakerTable.name, name), eq(breakerTable.messageChain, chain))),
  ]);
  return result?.rowsAffected === 1;
}

/** Ends the chain: no probe message is under way. */
export async function messageDone(db: Database.Db): Promise<void> {
  await Database.batch(db, [
    db.query
      .update(breakerTable)
      .set({ messageUntil: null, messageChain: null })
      .where(eq(breakerTable.name, name)),
  ]);
}

/** Reads the state alone. */
export async function state(db: Database.Db): Promise<State> {
  const [result] = await Database.batch(db, [statement(db)], "read");
  return stateOf(Database.rows(breakerTable, result)[0], Date.now());
}

/**
 * The statements with which the manager of the pod (core/pod) opens the breaker and keeps it open, or lets it close at the
 * next probe that succeeds, and says where the model server is. Done only if `condition` holds.
 * @param managed.address - null: no call may be made, because the address may be another tenant's by now.
 */
export function manage(
  db: Database.Db,
  managed: { hold: Hold | undefined; address: string | null },
  condition: SQL,
): Database.Statement[] {
  const now = new Date();
  const { hold = null, address } = managed;
  const mine = sql`${breakerTable.name} = ${name} AND ${condition}`;
  const held = sql`${mine} AND ${breakerTable.hold} IS NOT NULL`;
  const insert = db.query.insert(breakerTable).values({ name }).onConflictDoNothing();
  if (hold !== null)
    return [
      insert,
      db.query
        .update(breakerTable)
        .set({ hold, address, openedAt: sql`coalesce(${breakerTable.openedAt}, ${now.getTime()})` })
        .where(mine),
    ];
  // Without a chain of probes, so that a new one begins at once.
  const released = { retryAt: now, probeUntil: null, messageUntil: null, messageChain: null };
  return [
    insert,
    db.query.update(breakerTable).set(released).where(held),
    db.query.update(breakerTable).set({ hold: null, address }).where(mine),
  ];
}

/** Undoes what a manager left that is no longer in use. @returns true if there was something. */
export async function unmanage(db: Database.Db): Promise<boolean> {
  const [result] = await Database.batch(db, [
    db.query
      .update(breakerTable)
      .set({ hold: null, address: null })
      .where(and(eq(breakerTable.name, name), isNotNull(breakerTable.hold))),
  ]);
  return result?.rowsAffected === 1;
}

/** A row of its own: the suspect that is isolated. */
const alone = "lone_call";

/**
 * Takes the right to ask the model server as a suspect for `forMs`. Of all runs one suspect has it at a time: with
 * two of them, a lost connection would count against both. While it is taken, no other item is started.
 */
export async function mayBeAlone(db: Database.Db, forMs: number): Promise<boolean> {
  const now = new Date();
  const [, result] = await Database.batch(db, [
    db.query.insert(breakerTable).values({ name: alone }).onConflictDoNothing(),
    db.query
      .update(breakerTable)
      .set({ probeUntil: new Date(now.getTime() + forMs) })
      .where(
        and(
          eq(breakerTable.name, alone),
          or(isNull(breakerTable.probeUntil), lt(breakerTable.probeUntil, now)),
        ),
      ),
  ]);
  return result?.rowsAffected === 1;
}

/** The statement that extends that right if it has not expired and `condition` holds, within its holder's batch. */
export function stillAlone(db: Database.Db, until: Date, condition: SQL): Database.Statement {
  return db.query
    .update(breakerTable)
    .set({ probeUntil: until })
    .where(and(eq(breakerTable.name, alone), gt(breakerTable.probeUntil, new Date()), condition));
}

/** Gives up that right. */
export async function aloneNoMore(db: Database.Db): Promise<void> {
  await Database.batch(db, [
    db.query.update(breakerTable).set({ probeUntil: null }).where(eq(breakerTable.name, alone)),
  ]);
}

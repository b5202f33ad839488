import { eq, sql } from "drizzle-orm";
import * as z from "zod";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import type { RunRow } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import { webhookDueTable as due, webhookHostTable as host } from "./due.sql.ts";

/*
 * When a receiver is called. The due times are in rows, because a message can wait for at most 15 minutes in a queue,
 * and thousands of messages for a silent receiver would delay all others.
 * order(…)     makes the first call of an ended run due
 * next(…)      sends the message of a key's next call, if none is under way
 * all(…)       does the same for every key, each minute
 * settle(…)    sets the next due time after a call
 * postpone(…)  sets it when no call was made because the host does not answer
 * heard(…)     notes whether a host answered
 */

type Stores = Pick<RunStores, "db" | "queues" | "times">;
type Due = typeof due.$inferSelect;

/** The body of a message in the `later` queue: one attempt to tell that a run has ended. */
export const Message = z.object({
  kind: z.literal("webhook"),
  run_uid: z.string(),
  /** Counts from 1. */
  attempt: z.int().min(1),
});
export type Message = z.output<typeof Message>;

/** Keys that one minute handles; the next minute continues. */
const keysAtOnce = 200;
/** Rows of a key that one pass postpones because their host does not answer. */
const rowsAtOnce = 200;
/** A host is paused after this many unanswered calls in a row; a single one may be chance. */
const failuresMost = 3;
/** The pause of the first repeat is short enough for a message, so it need not wait for the next minute. */
const inQueueMostMs = 60_000;

/**
 * `<key id> <host, with its port>`. Silence of a host counts only for the key whose calls were not answered:
 * otherwise a key could delay the webhooks of other keys at a shared webhook service.
 */
const hostOf = (keyId: string, url: string): string =>
  `${keyId} ${URL.canParse(url) ? new URL(url).host : ""}`;

/**
 * Orders the first call of a run's webhook, if it has one. May be repeated: what was called or ordered before is not
 * called twice.
 * @throws AppError `storage_unavailable`.
 */
export async function order(
  services: Stores,
  run: Pick<RunRow, "runUid" | "keyId" | "webhookUrl">,
  log: Log,
): Promise<void> {
  const { runUid, keyId, webhookUrl } = run;
  if (webhookUrl === null) return;
  await add(services.db, { runUid, keyId, webhookUrl });
  log.info("webhook_ordered", { run_uid: runUid });
  await next(services, keyId);
}

/** Inserts a row that is due now, unless there is one for the run. @throws AppError `storage_unavailable`. */
export async function add(
  db: Database.Db,
  run: { runUid: string; keyId: string; webhookUrl: string },
): Promise<void> {
  const now = new Date();
  const { runUid, keyId, webhookUrl } = run;
  await Database.batch(db, [
    db.query
      .insert(due)
      .values({ runUid, keyId, host: hostOf(keyId, webhookUrl), attempt: 1, dueAt: now, createdAt: now })
      .onConflictDoNothing(),
  ]);
}

/**
 * Sends the message of the key's call that has been due longest and whose host answers. A key has one call under way
 * at a time, so its backlog delays another key by at most one call.
 * @returns true if one was sent.
 * @throws AppError `storage_unavailable`.
 */
export async function next({ db, queues, times }: Stores, keyId: string): Promise<boolean> {
  const now = Date.now();
  const retryAt = sql`(SELECT ${host.retryAt} FROM ${host} WHERE ${host.host} = ${due.host})`;
  const results = await Database.batch(db, [
    // Rows of a paused host move behind those of other hosts.
    Database.statement(sql`UPDATE ${due} SET due_at = ${retryAt} WHERE run_uid IN (
        SELECT waits.run_uid FROM (SELECT * FROM ${due} WHERE key_id = ${keyId} AND due_at <= ${now} ORDER BY due_at
          LIMIT ${rowsAtOnce}) AS waits)
      AND ${retryAt} > ${now}`),
    Database.statement(sql`UPDATE ${due} SET sent_until = ${now + times.webhookMessageMs} WHERE run_uid = (
        SELECT waits.run_uid FROM ${due} AS waits WHERE waits.key_id = ${keyId} AND waits.due_at <= ${now}
          AND coalesce(waits.sent_until, 0) < ${now} ORDER BY waits.due_at LIMIT 1)
      AND NOT EXISTS (SELECT 1 FROM ${due} AS sent WHERE sent.key_id = ${keyId} AND sent.sent_until >= ${now}
        AND sent.due_at <= ${now})
      RETURNING *`),
  ]);
  const [row] = Database.rows(due, results[1]);
  if (row === undefined) return false;
  await send({ db, queues }, row);
  return true;
}

/** Marks the row before the message is sent, and removes the mark if the queue did not take it. */
async function send(
  { db, queues }: Pick<Stores, "db" | "queues">,
  { runUid, attempt }: Pick<Due, "runUid" | "attempt">,
  delayMs = 0,
): Promise<void> {
  const message: Message = { kind: "webhook", run_uid: runUid, attempt };
  try {
    await Queue.send(queues, "later", message, { delayMs });
  } catch (thrown) {
    await Database.batch(db, [db.query.update(due).set({ sentUntil: null }).where(eq(due.runUid, runUid))]);
    throw thrown;
  }
}

/**
 * Sends what is due and has no message: repeats, and messages that could not be sent before. @returns how many were
 * sent.
 */
export async function all(stores: Stores): Promise<number> {
  // Steps from key to key by the index and skips each key's backlog.
  const query = sql`WITH RECURSIVE keys (id) AS (
      SELECT (SELECT min(key_id) FROM ${due}) UNION ALL
      SELECT (SELECT min(key_id) FROM ${due} WHERE key_id > keys.id) FROM keys WHERE keys.id IS NOT NULL)
    SELECT id FROM keys WHERE id IS NOT NULL LIMIT ${keysAtOnce}`;
  const [found] = await Database.batch(stores.db, [Database.statement(query)], "read");
  let sent = 0;
  for (const { id } of found?.rows ?? []) sent += (await next(stores, String(id))) ? 1 : 0;
  return sent;
}

/**
 * Removes the run's row, so that its receiver is not called again. @returns the key, if there was a row. @throws
 * AppError `storage_unavailable`.
 */
export async function remove(db: Database.Db, runUid: string): Promise<string | undefined> {
  const [result] = await Database.batch(db, [db.query.delete(due).where(eq(due.runUid, runUid)).returning()]);
  return Database.rows(due, result)[0]?.keyId;
}

/**
 * Sets the next attempt after a call: due after a pause with some randomness; none after the last attempt, or if
 * `over`.
 * @param called.at - epoch milliseconds of the call.
 * @throws AppError `storage_unavailable`.
 */
export async function settle(
  { db, queues, times }: Stores,
  run: { runUid: string; keyId: string; webhookUrl: string },
  called: { attempt: number; at: number; over: boolean },
  log: Log,
): Promise<void> {
  const { runUid, keyId, webhookUrl } = run;
  const pauseMs = times.webhookDelaysMs[called.attempt - 1];
  if (called.over || pauseMs === undefined) {
    if (!called.over) log.warn("webhook_given_up", { run_uid: runUid, attempts: called.attempt });
    await remove(db, runUid);
    return;
  }
  const jittered = pauseMs * (1 + Math.random() / 10);
  const dueAt = new Date(called.at + jittered);
  const inQueue = pauseMs <= inQueueMostMs;
  const attempt = called.attempt + 1;
  const sentUntil = inQueue ? new Date(dueAt.getTime() + times.webhookMessageMs) : null;
  const [changed] = await Database.batch(db, [
    db.query
      .insert(due)
      .values({
        runUid,
        keyId,
        host: hostOf(keyId, webhookUrl),
        attempt,
        dueAt,
        sentUntil,
        createdAt: new Date(called.at),
      })
      // Another copy of the message was settled before.
      .onConflictDoUpdate({
        target: due.runUid,
        set: { attempt, dueAt, sentUntil },
        setWhere: eq(due.attempt, called.attempt),
      }),
  ]);
  if (inQueue && changed?.rowsAffected === 1)
    await send({ db, queues }, { runUid, attempt }, Math.max(0, dueAt.getTime() - Date.now()));
}

/**
 * Postpones a call that was not made because its host does not answer, until the host may be called again. No attempt
 * counts. A host that has been silent for longer than all attempts take is given up.
 * @throws AppError `storage_unavailable`.
 */
export async function postpone(
  { db, times }: Pick<Stores, "db" | "times">,
  runUid: string,
  until: Date,
  log: Log,
): Promise<void> {
  const [gone] = await Database.batch(db, [
    db.query
      .delete(due)
      .where(sql`${due.runUid} = ${runUid} AND ${due.createdAt} < ${Date.now() - times.webhookGiveUpMs}`),
    db.query.update(due).set({ dueAt: until, sentUntil: null }).where(eq(due.runUid, runUid)),
  ]);
  if (gone?.rowsAffected === 1) log.warn("webhook_given_up", { run_uid: runUid });
}

/** A run's key, and the address of its webhook. */
type Receiver = { keyId: string; webhookUrl: string };

/** The statement that reads the row of a key's host. */
export const hostStatement = (db: Database.Db, { keyId, webhookUrl }: Receiver) =>
  db.query
    .select()
    .from(host)
    .where(eq(host.host, hostOf(keyId, webhookUrl)));

/** The statement that removes the rows of a key's hosts. */
export const forgetHosts = (keyId: string): Database.Statement =>
  // `!` follows the space in ASCII, and no id contains either.
  Database.statement(sql`DELETE FROM ${host} WHERE host >= ${`${keyId} `} AND host < ${`${keyId}!`}`);

/** Until when a host is not called; undefined if it may be called. */
export const silentUntil = (row: typeof host.$inferSelect | undefined): Date | undefined =>
  row !== undefined && row.retryAt.getTime() > Date.now() ? row.retryAt : undefined;

/**
 * Notes whether a key's host answered, with any status. From the third unanswered call in a row on, the host is
 * paused: for a minute at first, then for twice as long each time, up to an hour.
 * @throws AppError `storage_unavailable`.
 */
export async function heard(
  { db, times }: Pick<Stores, "db" | "times">,
  { keyId, webhookUrl }: Receiver,
  answered: boolean,
): Promise<void> {
  const name = hostOf(keyId, webhookUrl);
  const now = Date.now();
  const pause = sql`min(${times.webhookSilentMostMs}, ${times.webhookSilentMs} * (1 << min(10, max(0, ${host.failures} + 1 - ${failuresMost}))))`;
  await Database.batch(db, [
    answered
      ? db.query.delete(host).where(eq(host.host, name))
      : db.query
          .insert(host)
          .values({ host: name, failures: 1, retryAt: new Date(now) })
          .onConflictDoUpdate({
            target: host.host,
            set: {
              failures: sql`${host.failures} + 1`,
              retryAt: sql`CASE WHEN ${host.failures} + 1 < ${failuresMost} THEN ${now} ELSE ${now} + ${pause} END`,
            },
          }),
  ]);
}

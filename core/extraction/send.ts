import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import type { Services } from "#core/reading/services";
import { extractTable } from "./extract.sql.ts";
import * as Row from "./row.ts";

/** The body of a message in the `single` queue: the extract for which it was sent. */
export const Message = z.object({ key_id: z.string(), request_id: z.string() });
export type Message = z.output<typeof Message>;

type Stores = Pick<Services, "db" | "queues">;

/** Rows per query; the next query continues. */
const chunk = 200;

/** Sends the row's message and notes it. @throws AppError `storage_unavailable`. */
export async function send(services: Stores, row: Row.Row, delayMs?: number): Promise<void> {
  const body: Message = { key_id: row.keyId, request_id: row.requestId };
  await Queue.send(services.queues, "single", body, delayMs === undefined ? {} : { delayMs });
  await Row.markSent(services.db, [row]);
}

/*
 * Literals, as in the partial indexes (extract.sql.ts): with parameters SQLite would not use them and would read all
 * extracts ever made.
 */
export const queued = sql`status = 'queued'`;
export const waiting = sql`${queued} AND waiting_for = 'model_server'`;

/** Only the ids: two hundred whole rows, with answers that wait in them, exceed what a server can return. */
export type Seen = Pick<Row.Row, "keyId" | "requestId" | "status" | "token">;
const { keyId, requestId, status, token } = extractTable;

/** The next rows that match. @throws AppError `storage_unavailable`. */
export function seen(db: Database.Db, where: SQL | undefined): Promise<Seen[]> {
  return Database.read(
    db.query.select({ keyId, requestId, status, token }).from(extractTable).where(where).limit(chunk),
  );
}

/** Sends a message for every extract that waits for the model server. @returns how many. */
export async function resumeWaiting(services: Stores, log: Log): Promise<number> {
  let resumed = 0;
  for (;;) {
    const rows = await seen(services.db, waiting);
    if (rows.length === 0) return resumed;
    const sent = await sendRows(services, rows, log);
    if (sent === 0) return resumed;
    resumed += sent;
  }
}

/** Sends a message for every queued extract that has none and waits for nothing. @returns how many. */
export async function sendQueued(services: Stores, log: Log): Promise<number> {
  let sent = 0;
  for (;;) {
    const unsent = sql`${queued} AND waiting_for IS NULL AND sent_at IS NULL AND input IS NOT NULL`;
    const rows = await seen(services.db, unsent);
    const taken = rows.length === 0 ? 0 : await sendRows(services, rows, log);
    if (taken === 0) return sent;
    sent += taken;
  }
}

/** Sends the rows' messages and marks those that the queue accepted. */
export async function sendRows(services: Stores, rows: Seen[], log: Log): Promise<number> {
  const bodies: Message[] = rows.map((row) => ({ key_id: row.keyId, request_id: row.requestId }));
  const taken = await Queue.sendAll(services.queues, "single", bodies, log);
  const sent = rows.filter((_, i) => taken.has(i));
  if (sent.length > 0) await Row.markSent(services.db, sent);
  return sent.length;
}

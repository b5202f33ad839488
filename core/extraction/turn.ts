import { type SQL, sql } from "drizzle-orm";
import { extractTable as extract } from "./extract.sql.ts";

/**
 * The extract is in line even if its time is up to a second ahead, because clocks differ by less and its message is
 * here.
 */
const earlyMs = 1_000;

/** Written out as in the partial indexes `extract_in_line` and `extract_in_flight`. */
const inLine = sql`status = 'queued' AND waiting_for IS NULL AND input IS NOT NULL`;
/** The index is named, because SQLite would otherwise read all queued rows for each key. */
const line = sql`${extract} INDEXED BY extract_in_line`;
const inFlight = sql`status = 'running' AND input IS NOT NULL`;

/**
 * The rowid of the extract whose turn it is, as a subquery; NULL if none is in line. In this order:
 * 1. an extract whose worker died, because its lease ended;
 * 2. of the key with the fewest extracts in flight, the one longest in line; among such keys the longest of all. So a
 * key with a thousand extracts delays another key's first extract only until one worker is free, and has all workers
 * while no other key waits;
 * 3. the message's own extract, if it waits for the model server (the message is sent before the row says so), or was
 * queued by an older version, which did not note the time.
 * It reads one row for each key in line and the rows in flight: the index is searched from key to key.
 * @param message - the extract for which the message was sent.
 * @param now - epoch milliseconds.
 */
export function next(message: { keyId: string; requestId: string }, now: number): SQL {
  const keys = sql`WITH RECURSIVE keys(key_id) AS (
    SELECT min(key_id) FROM ${line} WHERE ${inLine}
    UNION ALL
    SELECT (SELECT min(key_id) FROM ${line} WHERE ${inLine} AND key_id > keys.key_id) FROM keys WHERE keys.key_id IS NOT NULL
  )`;
  const oldest = sql`SELECT rowid FROM ${extract} WHERE ${inLine} AND key_id = keys.key_id AND not_before <= ${now + earlyMs} ORDER BY not_before LIMIT 1`;
  const busy = sql`SELECT count(*) FROM ${extract} WHERE ${inFlight} AND key_id = keys.key_id`;
  const abandoned = sql`SELECT 1 AS turn, 0 AS busy, lease_until AS since, rowid AS id FROM ${extract} WHERE ${inFlight} AND lease_until < ${now}`;
  const fair = sql`SELECT 2, (${busy}), first.not_before, first.rowid FROM keys JOIN ${extract} AS first ON first.rowid = (${oldest})`;
  const own = sql`SELECT 3, 0, 0, rowid FROM ${extract} WHERE key_id = ${message.keyId} AND request_id = ${message.requestId} AND status = 'queued' AND input IS NOT NULL AND coalesce(not_before, 0) <= ${now + earlyMs}`;
  return sql`(${keys} SELECT id FROM (${abandoned} UNION ALL ${fair} UNION ALL ${own}) ORDER BY turn, busy, since LIMIT 1)`;
}

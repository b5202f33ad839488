import { type SQL, sql } from "drizzle-orm";
import { extractTable as extract } from "./extract.sql.ts";

/** An extract is in line; its time may be up to a second away, for clocks differ by less and its message is here. */
const earlyMs = 1_000;

/** Literal, as in the partial indexes that find them: `extract_in_line`, `extract_in_flight`. */
const inLine = sql`status = 'queued' AND waiting_for IS NULL AND input IS NOT NULL`;
/** Named: without that SQLite takes the index of all that is queued, and goes through it for each key. */
const line = sql`${extract} INDEXED BY extract_in_line`;
const inFlight = sql`status = 'running' AND input IS NOT NULL`;

/**
 * The rowid of the extract whose turn it is, as a subquery; NULL when none is in line. In this order:
 *
 * 1. one whose worker died: its lease ran out;
 * 2. of the key that has the fewest in flight the one that is longest in line, among keys with equally few the longest
 *    of all. So a key with a thousand extracts delays another key's first by no more than the time that one worker
 *    needs to become free, and while no other key waits it has all workers;
 * 3. the message's own, if it waits for the model server (the message is on its way before the row says so), or was
 *    queued by an older version, which did not write since when.
 *
 * It looks at one row of each key in line and at those in flight, whatever else there is: keys are found by jumps from
 * one to the next in the index.
 * @param message - which extract the message was sent for.
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

import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { itemTable as item } from "#core/run/run.sql";

/**
 * Recalls messages: their items wait for new ones in another slot, and the old messages have no effect, because the
 * item's number is raised. Reads only items that have a message.
 */
export function statement(runUid: string, which: SQL): Database.Statement {
  return Database.statement(
    sql`UPDATE ${item} SET send_seq = send_seq + 1, sent_epoch = 0, slot = NULL
      WHERE run_uid = ${runUid} AND status = 'queued' AND sent_epoch > 0 AND ${which}`,
  );
}

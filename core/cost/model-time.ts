import { sql } from "drizzle-orm";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import { dayOf } from "#core/usage/day";
import { runModelTimeTable as ofRun, modelTimeTable as time } from "./model-time.sql.ts";
import { podSessionTable as session } from "./pod-session.sql.ts";

/** Whose model time it is. */
export interface Whose {
  keyId: string;
  taskId: string;
  /** Undefined for a single extract. */
  runUid?: string;
  now: Date;
}

/** The session that is open now: a pod is never stopped while an answer is under way, so it is the answer's, too. */
const open = sql`SELECT ${session.id} AS id FROM ${session} WHERE ended_at IS NULL ORDER BY ${session.startedAt} DESC LIMIT 1`;

/**
 * Adds model milliseconds to the open session if the statement before changed a row: after the one that counts the usage.
 * Without an open session it adds nothing.
 * @returns no statement where no pod is managed: then no session has a price.
 */
export function record({ keyId, taskId, runUid, now }: Whose, spentMs: number): Database.Statement[] {
  if (!Config.app().podManaged || spentMs <= 0) return [];
  const ms = Math.round(spentMs);
  const added = sql`ON CONFLICT DO UPDATE SET ms = ms + excluded.ms`;
  const own = sql`SELECT id, ${keyId}, ${dayOf(now)}, ${taskId}, ${ms} FROM (${open}) WHERE changes() = 1`;
  const statements = [
    sql`INSERT INTO ${time} (session_id, key_id, day, task_id, ms) ${own} ${added}`,
    ...(runUid === undefined
      ? []
      : [
          sql`INSERT INTO ${ofRun} (run_uid, session_id, ms) SELECT ${runUid}, id, ${ms} FROM (${open}) WHERE changes() = 1 ${added}`,
        ]),
  ];
  return statements.map((statement) => Database.statement(statement));
}

/** Takes a removed key's name from its model time. The time stays: else other receipts of those sessions would cost more. */
export function forget(keyId: string): Database.Statement[] {
  const own = sql`SELECT session_id, '', day, task_id, ms FROM ${time} WHERE key_id = ${keyId}`;
  return [
    sql`INSERT INTO ${time} (session_id, key_id, day, task_id, ms) ${own} ON CONFLICT DO UPDATE SET ms = ms + excluded.ms`,
    sql`DELETE FROM ${time} WHERE key_id = ${keyId}`,
  ].map((statement) => Database.statement(statement));
}

/** Removes what a run's part was. */
export const forgetRun = (runUid: string): Database.Statement =>
  Database.statement(sql`DELETE FROM ${ofRun} WHERE run_uid = ${runUid}`);

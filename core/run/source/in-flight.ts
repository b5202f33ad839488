import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { AppError } from "#core/error";
import * as Allowance from "#core/usage/allowance";
import { runTable } from "../run.sql.ts";

/* How many runs of a key go on at once: each has at least one picture in flight, so `max_in_flight` bounds them. */

/** Runs of a key that are planned or running, as far as they matter. */
const runsOf = ({ keyId, limits }: Allowance.User): SQL =>
  sql`(SELECT count(*) FROM (SELECT 1 FROM ${runTable} WHERE key_id = ${keyId} AND state IN ('planning', 'running')
    LIMIT ${limits.maxInFlight}))`;

/** Whether the key may have one more run going, as a condition; undefined when it has no `max_in_flight`. */
export function allowsRun(user: Allowance.User): SQL | undefined {
  const { maxInFlight } = user.limits;
  return maxInFlight === null ? undefined : sql`${runsOf(user)} < ${maxInFlight}`;
}

/** How soon one of them may have ended. */
const runEndsS = 30;

/** Why `allowsRun` said no, if it did. @throws AppError `storage_unavailable`. */
export async function tooManyRuns(db: Database.Db, user: Allowance.User): Promise<AppError | undefined> {
  const { maxInFlight } = user.limits;
  if (maxInFlight === null) return undefined;
  const query = Database.statement(sql`SELECT ${runsOf(user)} AS runs`);
  const [result] = await Database.batch(db, [query], "read");
  const used = Number(result?.rows[0]?.runs ?? 0);
  return used < maxInFlight
    ? undefined
    : Allowance.limited("max_in_flight", { allowed: maxInFlight, used, requested: 1 }, runEndsS);
}

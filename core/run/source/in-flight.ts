import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { AppError } from "#core/error";
import * as Allowance from "#core/usage/allowance";
import { runTable } from "../run.sql.ts";

/*
 * Bounds how many runs of a key are open at once by `max_in_flight`, because each has at least one picture in flight.
 */

/** The fields of a key's open runs that matter here. */
const runsOf = ({ keyId, limits }: Allowance.User): SQL =>
  sql`(SELECT count(*) FROM (SELECT 1 FROM ${runTable} WHERE key_id = ${keyId} AND state IN ('planning', 'running')
    LIMIT ${limits.maxInFlight}))`;

/** The condition under which the key may have one more run; undefined if it has no `max_in_flight`. */
export function allowsRun(user: Allowance.User): SQL | undefined {
  const { maxInFlight } = user.limits;
  return maxInFlight === null ? undefined : sql`${runsOf(user)} < ${maxInFlight}`;
}

/** When one of them may have ended. */
const runEndsS = 30;

/** Throws if `allowsRun` refused. @throws AppError `storage_unavailable`. */
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

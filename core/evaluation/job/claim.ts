import { and, eq, lte, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { AppError } from "#core/error";
import { type Row, evaluationTable as table } from "../evaluation.sql.ts";

/** True only for the last worker that claimed it, and only while it runs. */
const ours = (row: Pick<Row, "evalId" | "token">) =>
  and(eq(table.evalId, row.evalId), eq(table.token, row.token), eq(table.state, "running"));

/**
 * Claims a running evaluation that no worker holds.
 * @returns undefined if it has ended, is gone, or is held by another worker.
 */
export async function claim(db: Database.Db, evalId: string, leaseUntil: Date): Promise<Row | undefined> {
  const free = and(eq(table.evalId, evalId), eq(table.state, "running"), lte(table.leaseUntil, new Date()));
  const [taken] = await Database.batch(db, [
    db.query
      .update(table)
      .set({ token: sql`${table.token} + 1`, leaseUntil })
      .where(free)
      .returning(),
  ]);
  return Database.rows(table, taken)[0];
}

/** Another worker has claimed the evaluation: this worker's results are dropped. */
export class Overtaken extends Error {}

/** @throws Overtaken if another worker holds it by now, or it was deleted. */
export async function update(db: Database.Db, row: Row, changes: Partial<Row>): Promise<Row> {
  const [updated] = await Database.batch(db, [
    db.query.update(table).set(changes).where(ours(row)).returning(),
  ]);
  const now = Database.rows(table, updated)[0];
  if (now === undefined) throw new Overtaken("the evaluation is another worker's, or is gone");
  return now;
}

/** Ends the lease. @throws Overtaken. */
export const release = (db: Database.Db, row: Row): Promise<Row> =>
  update(db, row, { leaseUntil: new Date() });

/** Ends it without figures. @throws Overtaken. */
export const fail = (db: Database.Db, row: Row, { code, message, details }: AppError): Promise<Row> =>
  update(db, row, {
    ...{ state: "failed", finishedAt: new Date(), leaseUntil: new Date() },
    ...{ errorCode: code, errorMessage: message, errorDetails: details ?? null },
  });

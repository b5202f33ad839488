import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { itemTable as item, type RunRow, runTable as run } from "#core/run/run.sql";
import { endedOf } from "#core/run/serialize";
import type { RunStores } from "#core/run/services";
import { windowOf } from "#spec/limits";
import * as Order from "./order.ts";

/** What a run looks like after a change, read in the same round trip. */
export interface Outlook {
  run: RunRow;
  /** Items that are with a worker, or have a message of the run's epoch in the queue. */
  inFlight: number;
  /** Those of them that are with a worker. */
  running: number;
  /** There are queued items without such a message. */
  unsent: boolean;
}

/** The statements to read it at the end of a batch; `outlookOf` takes their results. Both look at a window's rows only. */
export function outlookStatements(db: Database.Db, runUid: string): Database.Statement[] {
  const epoch = sql`(SELECT ${run.epoch} FROM ${run} WHERE ${run.runUid} = ${runUid})`;
  const queued = sql`FROM ${item} WHERE ${item.runUid} = ${runUid} AND ${item.status} = 'queued'`;
  return [
    db.query.select().from(run).where(sql`${run.runUid} = ${runUid}`),
    Database.statement(
      sql`SELECT (SELECT count(*) ${queued} AND ${item.sentEpoch} = ${epoch}) AS sent,
        (SELECT count(*) FROM ${item} WHERE ${item.runUid} = ${runUid} AND ${item.status} = 'running') AS running,
        EXISTS (SELECT 1 ${queued} AND ${item.sentEpoch} < ${epoch}) AS unsent`,
    ),
  ];
}

/** The last two results of a batch that ended with `outlookStatements`. Undefined when there is no such run. */
export function outlookOf(results: Awaited<ReturnType<typeof Database.batch>>): Outlook | undefined {
  const [row] = Database.rows(run, results.at(-2));
  const seen = results.at(-1)?.rows[0];
  if (row === undefined || seen === undefined) return undefined;
  const running = Number(seen.running);
  return { run: row, inFlight: Number(seen.sent) + running, running, unsent: Number(seen.unsent) === 1 };
}

/** The same by itself. @throws AppError `storage_unavailable`. */
export async function read(db: Database.Db, runUid: string): Promise<Outlook | undefined> {
  return outlookOf(await Database.batch(db, outlookStatements(db, runUid), "read"));
}

/**
 * What follows from an ending: the finish of the run, or the next part of its window. Both may be
 * ordered more than once; the planner looks for itself.
 * @param options.again - the ending is an old one (a redelivery): what its worker may have left undone is done.
 * @throws AppError `storage_unavailable`: deliver the message again, which brings it here again.
 */
export async function duties(
  services: Pick<RunStores, "queues">,
  outlook: Outlook,
  log: Log,
  options: { again: boolean } = { again: false },
): Promise<void> {
  const { run: row, inFlight, unsent } = outlook;
  const open = row.state === "running" || row.state === "canceling";
  if (open && row.planning === null && endedOf(row) >= row.total) {
    await Order.order(services, row, "finish", log);
    return;
  }
  if (row.state !== "running" || row.waitingFor !== null || !unsent) return;
  const { refillAt } = windowOf(row.concurrency);
  // Each worker sees another number, so the first mark orders once; two more in case a worker died before it ordered.
  const marks = [refillAt, Math.floor(refillAt / 2), 0];
  if (marks.includes(inFlight) || (options.again && inFlight <= refillAt))
    await Order.order(services, row, "refill", log);
}

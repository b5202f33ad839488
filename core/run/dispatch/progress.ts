import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { itemTable as item, type RunRow, runTable as run } from "#core/run/run.sql";
import { endedOf } from "#core/run/serialize";
import type { RunStores } from "#core/run/services";
import { windowOf } from "#core/run/slots/width";
import * as Order from "./order.ts";

/** The state of a run after a change, read in the same round trip. */
export interface Outlook {
  run: RunRow;
  /** Items that a worker has, or that have a message of the run's epoch in the queue. */
  inFlight: number;
  /** Those of them that a worker has. */
  running: number;
  /** True if there are queued items without such a message. */
  unsent: boolean;
}

/**
 * The statements that read the state at the end of a batch; `outlookOf` takes their results. Both read only the rows
 * of a window.
 */
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

/** Takes the last two results of a batch that ended with `outlookStatements`. Undefined if the run does not exist. */
export function outlookOf(results: Awaited<ReturnType<typeof Database.batch>>): Outlook | undefined {
  const [row] = Database.rows(run, results.at(-2));
  const seen = results.at(-1)?.rows[0];
  if (row === undefined || seen === undefined) return undefined;
  const running = Number(seen.running);
  return { run: row, inFlight: Number(seen.sent) + running, running, unsent: Number(seen.unsent) === 1 };
}

/** Reads the same in a batch of its own. @throws AppError `storage_unavailable`. */
export async function read(db: Database.Db, runUid: string): Promise<Outlook | undefined> {
  return outlookOf(await Database.batch(db, outlookStatements(db, runUid), "read"));
}

/**
 * Orders what follows from an ended item: the end of the run, or the next part of its window. Both may be ordered
 * more than once, because the planner checks the state.
 * @param options.again - the message was delivered again, so its first worker may not have come this far.
 * @throws AppError `storage_unavailable`: the message must be delivered again.
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
  const { refillAt } = windowOf(row);
  // Each worker sees another count, so one of them orders at the mark. Two further marks cover a worker that died
  // before it ordered.
  const marks = [refillAt, Math.floor(refillAt / 2), 0];
  if (marks.includes(inFlight) || (options.again && inFlight <= refillAt))
    await Order.order(services, row, "refill", log);
}

import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { isOpen, type RunRow, runTable as run, runsBy } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Order from "./order.ts";

const most = 100;

/**
 * Orders the planners of runs on auto whose slots were not checked for a while, because their items take long: perhaps
 * there are too many slots.
 * @throws AppError `storage_unavailable`.
 */
export async function order(services: Pick<RunStores, "db" | "queues" | "times">, log: Log): Promise<void> {
  const before = Date.now() - services.times.slotsLookMs;
  const query = sql`SELECT run_uid, epoch, plan_n FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)}
    AND state = 'running' AND waiting_for IS NULL AND ${run.slots} IS NOT NULL
    AND coalesce(${run.lookedAt}, ${run.createdAt}) < ${before} LIMIT ${most}`;
  const [found] = await Database.batch(services.db, [Database.statement(query)], "read");
  for (const { run_uid, epoch, plan_n } of found?.rows ?? []) {
    const row = { runUid: String(run_uid), epoch: Number(epoch), planN: Number(plan_n) };
    await Order.order(services, row satisfies Pick<RunRow, "runUid" | "epoch" | "planN">, "refill", log);
  }
}

import { and, eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Order from "#core/run/dispatch/order";
import * as Progress from "#core/run/dispatch/progress";
import { nextNumber } from "#core/run/dispatch/raise";
import type { ItemMessage } from "#core/run/dispatch/window";
import { itemTable as item, runTable as run } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import { failure } from "./artifact.ts";
import * as Claim from "./claim.ts";
import * as Ending from "./ending.ts";

/**
 * Handles an item's message that the queue gave up after too many receives. A long storage outage causes this without
 * a fault of the item, so the first time the item gets a new message. The second time it fails, so that the run ends.
 * Acts only if the row could be read.
 * @returns `again` while a worker may still have the item.
 * @throws AppError `storage_unavailable`.
 */
export async function buryItem(
  services: RunStores,
  message: ItemMessage,
  leaseUntil: Date,
  log: Log,
): Promise<"done" | "again"> {
  const { db } = services;
  const now = Date.now();
  const [runs, items] = await Database.batch(
    db,
    [
      db.query.select().from(run).where(eq(run.runUid, message.run_uid)),
      db.query
        .select()
        .from(item)
        .where(and(eq(item.runUid, message.run_uid), eq(item.index, message.index))),
    ],
    "read",
  );
  const runRow = Database.rows(run, runs)[0];
  const found = Database.rows(item, items)[0];
  if (runRow === undefined || found === undefined) return "done";
  const current = runRow.epoch === message.epoch && found.sendSeq === message.seq;
  if (current && found.status === "running" && (found.leaseUntil?.getTime() ?? 0) > now) return "again";
  if (current && (found.status === "queued" || found.status === "running")) {
    const row = await Claim.takeOver(db, found, leaseUntil);
    if (row === undefined) return "again";
    const before = await Ending.storedBefore(services, log, runRow, row);
    if (before === undefined && found.buried === 0) {
      log.warn("item_buried", { run_id: runRow.runId, index: row.index, resent: true });
      await Ending.requeue(db, runRow, row, {
        countAttempt: false,
        suspect: false,
        notBefore: null,
        spent: undefined,
        keepClaims: true,
        // Counts together with the new message: a receive during an outage of the bucket changes nothing.
        buried: true,
      });
      await Order.order(services, runRow, "refill", log);
    } else if (before === undefined) {
      log.error("item_buried", { run_id: runRow.runId, index: row.index, resent: false });
      const error = new AppError("internal", "the work on this item failed again and again");
      const artifact = failure(runRow, row, error, { startedAt: now, version: services.version });
      await Ending.conclude(services, log, { run: runRow, row }, artifact);
    }
  }
  const outlook = await Progress.read(db, message.run_uid);
  if (outlook !== undefined) await Progress.duties(services, outlook, log, { again: true });
  return "done";
}

/**
 * Handles a planner's order that the queue gave up: orders the planner again under a new number. @throws AppError
 * `storage_unavailable`.
 */
export async function buryOrder(services: RunStores, message: Order.PlanMessage, log: Log): Promise<void> {
  const [result] = await Database.batch(services.db, [
    services.db.query
      .update(run)
      .set({ planN: nextNumber })
      .where(
        and(
          eq(run.runUid, message.run_uid),
          sql`${run.state} IN ('planning', 'running', 'canceling', 'finishing', 'deleting')`,
        ),
      )
      .returning(),
  ]);
  const row = Database.rows(run, result)[0];
  if (row === undefined) return;
  log.error("order_buried", { run_id: row.runId, kind: message.kind });
  await Order.order(services, row, message.kind, log);
}

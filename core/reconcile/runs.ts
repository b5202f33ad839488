import { and, eq, isNotNull, isNull, lt, sql } from "drizzle-orm";
import * as Probe from "#core/breaker/probe";
import * as Database from "#core/db/database";
import { AppError, from } from "#core/error";
import type { Log } from "#core/log";
import * as Looks from "#core/queue/looks";
import * as Repair from "#core/repair";
import * as Remove from "#core/run/control/remove";
import * as Stalled from "#core/run/control/stalled";
import type * as Order from "#core/run/dispatch/order";
import * as Overdue from "#core/run/dispatch/overdue";
import * as Pause from "#core/run/dispatch/pause";
import * as Progress from "#core/run/dispatch/progress";
import * as Claim from "#core/run/item/claim";
import * as Ending from "#core/run/item/ending";
import * as Due from "#core/run/notify/due";
import { webhookDueTable as due } from "#core/run/notify/due.sql";
import * as Finish from "#core/run/results/finish";
import {
  type ItemRow,
  isOpen,
  itemTable as item,
  type RunRow,
  runTable as run,
  runsBy,
} from "#core/run/run.sql";
import { endedOf } from "#core/run/serialize";
import type { RunStores } from "#core/run/services";
import { windowOf } from "#core/run/slots/width";
import * as Allowance from "#core/usage/allowance";

/** Rows that one step handles; the next minute continues. */
const chunk = 200;
const dayMs = 86_400_000;
/** The time for second searches of deleted runs. */
const lookAgainMs = 5_000;

/** What reconcile found and repaired; all zero in a healthy system. */
interface Repairs {
  items_requeued: number;
  items_stored: number;
  runs_ordered: number;
  runs_failed: number;
  runs_renumbered: number;
  items_sent_again: number;
  run_probes: number;
  webhooks_ordered: number;
}

/**
 * Repairs what crashes left of runs: items whose worker died, items without a message, answers that wait for the
 * bucket, runs whose next step was not ordered, interrupted uploads. Each call is bounded.
 * @throws AppError `storage_unavailable`.
 */
export async function reconcile(services: RunStores, log: Log): Promise<Repairs> {
  const repairs: Repairs = {
    items_requeued: 0,
    items_stored: 0,
    runs_ordered: 0,
    runs_failed: 0,
    runs_renumbered: 0,
    items_sent_again: 0,
    run_probes: 0,
    webhooks_ordered: 0,
  };
  // A failed repair does not prevent the others; an outage of the storage is reported at the end.
  const outages = [await leases(services, repairs, log)];
  const looks = Looks.open(services);
  const quiet = await silent(services.db, Date.now() - services.times.stepLostMs);
  const ids = (run_uid: string) => ({ run_uid });
  const whole = async (uid: string) => {
    const row = await rowOf(services.db, uid);
    if (row !== undefined) await mend(services, row, { looks, repairs }, log);
  };
  outages.push(await Repair.each(quiet, ids, log, whole));
  if (await Pause.anyWaits(services.db)) repairs.run_probes += (await Probe.ensure(services, log)) ? 1 : 0;
  repairs.webhooks_ordered += await webhooks(services, log);
  outages.push(await deletedRuns(services, log));
  // Webhook calls that are due; no repair.
  const due = await Due.all(services);
  if (due > 0) log.info("webhooks_due", { sent: due });
  await Overdue.order(services, log);
  await Allowance.sweep(services.db, new Date());
  log.info("reconciled_runs", { ...repairs });
  const away = outages.find((error) => error !== undefined);
  if (away !== undefined) throw away;
  return repairs;
}

/** Only the ids: whole items, with answers that wait in them, are read one by one (`Claim.takeOver`). */
type Place = Pick<ItemRow, "runUid" | "index" | "token" | "status">;
const { runUid, index, token, status } = item;
const places = { runUid, index, token, status };

/** @throws AppError `storage_unavailable`. */
async function rowOf(db: Database.Db, uid: string): Promise<RunRow | undefined> {
  return (await Database.read(db.query.select().from(run).where(eq(run.runUid, uid))))[0];
}

/** Items whose worker's lease ended: requeued, but the claim counts. */
async function leases(services: RunStores, repairs: Repairs, log: Log): Promise<Error | undefined> {
  const { db, times } = services;
  // Written out as in the partial index that finds them.
  const lost = and(sql`status = 'running'`, lt(item.leaseUntil, new Date(Date.now() - times.leaseGraceMs)));
  const found = await Database.read(db.query.select(places).from(item).where(lost).limit(chunk));
  const touched = new Set<string>();
  const ids = ({ runUid, index }: Place) => ({ run_uid: runUid, index });
  const outage = await Repair.each(found, ids, log, async (row) => {
    const taken = await Claim.takeOver(db, row, new Date(Date.now() + times.leaseGraceMs));
    const runRow = taken && (await rowOf(db, row.runUid));
    if (taken === undefined || runRow === undefined) return;
    if ((await Ending.storedBefore(services, log, runRow, taken)) !== undefined) repairs.items_stored += 1;
    else {
      const { item: now } = await Ending.requeue(db, runRow, taken, {
        countAttempt: false,
        suspect: false,
        notBefore: null,
        spent: undefined,
        keepClaims: true,
      });
      if (now === undefined) return;
      repairs.items_requeued += 1;
    }
    touched.add(runRow.runUid);
  });
  const uids = [...touched];
  const later = await Repair.each(
    uids,
    (run_uid) => ({ run_uid }),
    log,
    (uid) => follow(services, uid, log),
  );
  return outage ?? later;
}

/** Deleted runs that no worker can write to anymore. */
async function deletedRuns(services: RunStores, log: Log): Promise<Error | undefined> {
  const { db } = services;
  const deadline = Date.now() + lookAgainMs;
  const query = sql`SELECT run_uid FROM ${runsBy("run_look_again")} WHERE look_again_at IS NOT NULL
    AND look_again_at < ${Date.now()} LIMIT ${chunk}`;
  const [found] = await Database.batch(db, [Database.statement(query)], "read");
  const uids = (found?.rows ?? []).map((row) => String(row.run_uid));
  return Repair.each(
    uids,
    (run_uid) => ({ run_uid }),
    log,
    async (uid) => {
      const row = Date.now() < deadline ? await rowOf(db, uid) : undefined;
      if (row?.state === "deleted") await Remove.lookAgain(services, log, row, deadline);
    },
  );
}

/** Orders what follows from a repair, as from an ended item. */
async function follow(services: RunStores, runUid: string, log: Log): Promise<void> {
  const outlook = await Progress.read(services.db, runUid);
  if (outlook !== undefined) await Progress.duties(services, outlook, log, { again: true });
}

/** Runs that have not ended and were not touched for a long time. */
async function silent(db: Database.Db, before: number): Promise<string[]> {
  // A run that waits for the model server is silent for a known reason.
  const query = sql`SELECT run_uid FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)} AND ${isNull(run.waitingFor)}
    AND ${run.touchedAt} < ${before} ORDER BY ${run.touchedAt} LIMIT ${chunk}`;
  const [found] = await Database.batch(db, [Database.statement(query)], "read");
  return (found?.rows ?? []).map((row) => String(row.run_uid));
}

async function mend(
  services: RunStores,
  row: RunRow,
  { looks, repairs }: { looks: Looks.Looks; repairs: Repairs },
  log: Log,
): Promise<void> {
  const orderAgain = async (kind: Order.Kind) => {
    repairs.runs_ordered += (await Stalled.step(services, row, { kind, looks }, log)) ? 1 : 0;
  };
  if (row.state === "planning") {
    if (row.planning?.phase !== "receiving") return orderAgain("plan");
    // Its caller got no answer or an error, and no item has begun.
    await Finish.fail(services, row, new AppError("internal", "the upload of this run was interrupted"), log);
    repairs.runs_failed += 1;
    return;
  }
  if (row.state === "finishing") return orderAgain("finish");
  if (row.state === "deleting") return orderAgain("delete");
  if (row.state === "canceling") {
    await storePending(services, row, repairs, log);
    // Items in flight end by themselves, and the next call continues.
    const running = await Progress.read(services.db, row.runUid);
    if (running !== undefined && running.running === 0) await orderAgain("sweep");
    return;
  }
  const outlook = await Progress.read(services.db, row.runUid);
  if (outlook === undefined) return;
  const { inFlight, unsent, running } = outlook;
  if (endedOf(row) >= row.total) return orderAgain("finish");
  if (unsent && inFlight <= windowOf(row).refillAt) return orderAgain("refill");
  if (running > 0) return;
  const outcome = await Stalled.messages(services, row, looks, log);
  repairs.runs_renumbered += outcome === "anew" ? 1 : 0;
  repairs.items_sent_again += outcome === "again" ? 1 : 0;
}

/** Answers of a canceled run that wait in their rows; they have no message anymore. */
async function storePending(services: RunStores, row: RunRow, repairs: Repairs, log: Log): Promise<void> {
  const rows = await Database.read(
    services.db.query
      .select(places)
      .from(item)
      .where(and(eq(item.runUid, row.runUid), eq(item.status, "queued"), isNotNull(item.pendingArtifact)))
      .limit(chunk),
  );
  for (const found of rows) {
    const taken = await Claim.takeOver(
      services.db,
      found,
      new Date(Date.now() + services.times.leaseGraceMs),
    );
    if (taken === undefined) continue;
    try {
      if ((await Ending.storedBefore(services, log, row, taken)) !== undefined) repairs.items_stored += 1;
    } catch (thrown) {
      log.warn("pending_artifact_waits", { code: from(thrown).code });
      await Ending.unclaim(services.db, { ...taken, claims: taken.claims + 1 });
    }
  }
}

/** Webhooks of ended runs that were never ordered, because the worker died before it did. */
async function webhooks(services: RunStores, log: Log): Promise<number> {
  const { db, times } = services;
  const now = Date.now();
  // Older ones would be read again every minute.
  const query = sql`SELECT run_uid, key_id, webhook_url FROM ${runsBy("run_untold")} WHERE webhook_url IS NOT NULL AND webhook IS NULL
    AND state IN ('succeeded', 'failed', 'canceled') AND ${run.finishedAt} > ${now - dayMs}
    AND ${run.touchedAt} < ${now - times.stepLostMs}
    AND NOT EXISTS (SELECT 1 FROM ${due} WHERE ${due.runUid} = ${run.runUid}) LIMIT ${chunk}`;
  const [found] = await Database.batch(db, [Database.statement(query)], "read");
  const rows = (found?.rows ?? []).map(({ run_uid, key_id, webhook_url }) => ({
    runUid: String(run_uid),
    keyId: String(key_id),
    webhookUrl: String(webhook_url),
  }));
  for (const row of rows) await Due.order(services, row, log);
  return rows.length;
}

import { isNull, sql } from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import { podSessionTable as session } from "#core/cost/pod-session.sql";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import { type PodRow, podTable as pod } from "./pod.sql.ts";
import type { Pod } from "./schema.ts";
import { spentOf } from "./spent.ts";
import * as Store from "./store.ts";

/* The pod as the operator sees it, and the operator's orders, which the manager carries out within a minute. */

export interface Asked {
  db: Database.Db;
  /** Whether a manager is on. */
  podManaged: boolean;
  /** USD an hour where the provider names none. */
  costPerHour: number | undefined;
  log: Log;
  /** Epoch milliseconds; for tests. */
  now?: () => number;
}

const timeNow = ({ now = Date.now }: Pick<Asked, "now">) => now();

/** @throws AppError `conflict` (`pod_manager_off`), `storage_unavailable`. */
export async function get(asked: Asked): Promise<Pod> {
  return await after(asked, undefined);
}

/**
 * Chooses the pod that is used from the next start on; null takes the choice back.
 * @throws AppError as `get`.
 */
export async function choose(asked: Asked, podId: string | null): Promise<Pod> {
  asked.log.info("pod_chosen", { pod_id: podId });
  // What is known about the other pod does not hold for this one.
  const isDown = sql`${pod.state} IN ('failed', 'no_capacity')`;
  const anew = {
    state: sql`CASE WHEN ${isDown} THEN 'stopped' ELSE ${pod.state} END`,
    reason: sql`CASE WHEN ${isDown} THEN NULL ELSE ${pod.reason} END`,
    ...{ retryAt: null, failures: 0, refusals: 0 },
  };
  return await after(asked, { chosenId: podId, ...anew });
}

/** Orders a start, also after a stop by hand, whether or not work waits. @throws AppError as `get`. */
export async function start(asked: Asked): Promise<Pod> {
  asked.log.info("pod_start_asked");
  return await after(asked, { wanted: "auto", startAskedAt: new Date(timeNow(asked)) });
}

/**
 * Orders a stop as soon as nothing is in flight; work waits until the next `start`.
 * @throws AppError as `get`.
 */
export async function stop(asked: Asked): Promise<Pod> {
  asked.log.info("pod_stop_asked");
  return await after(asked, { wanted: "off", startAskedAt: null });
}

type Change = Parameters<ReturnType<Database.Db["query"]["update"]>["set"]>[0];

/** The pod after a change. */
async function after(asked: Asked, change: Change | undefined): Promise<Pod> {
  const { db, podManaged, costPerHour } = asked;
  if (!podManaged)
    throw new AppError("conflict", "no pod is managed here: POD_MANAGER is off", {
      details: { reason: "pod_manager_off" },
    });
  const now = timeNow(asked);
  const found = await Database.batch(db, {
    made: Store.made(db, now),
    changed: change === undefined ? undefined : db.query.update(pod).set(change).where(Store.row),
    pod: db.query.select().from(pod).where(Store.row),
    open: db.query.select().from(session).where(isNull(session.endedAt)).limit(1),
    today: Store.today(db, now),
    breaker: Breaker.statement(db),
  });
  const [row] = Database.rows(pod, found.pod);
  if (row === undefined) throw new AppError("storage_unavailable", "the pod's row is not there");
  const hold = Breaker.holdIn(found.breaker);
  const [open] = Database.rows(session, found.open);
  return {
    ...shownOf(row),
    waiting_for: row.state === "ready" ? (hold?.for ?? null) : (hold?.for ?? "pod"),
    ready_at: timeOf(hold === undefined ? null : new Date(hold.readyAt)),
    session:
      open === undefined
        ? null
        : {
            ...{ provider: open.provider, started_at: open.startedAt.toISOString() },
            ...{ ready_at: timeOf(open.readyAt), busy_ms: open.busyMs },
          },
    today: spentOf(Database.rows(session, found.today), now, row.ratePerHour ?? costPerHour),
  };
}

const timeOf = (time: Date | null) => time?.toISOString() ?? null;

function shownOf(row: PodRow) {
  return {
    ...{ state: row.state, since: row.since.toISOString(), reason: row.reason, wanted: row.wanted },
    ...{ pod_id: row.podId, chosen_pod_id: row.chosenId, rate_per_hour: row.ratePerHour },
    ...{ retry_at: timeOf(row.retryAt), start_asked_at: timeOf(row.startAskedAt) },
    ...{ idle_since: timeOf(row.idleSince), looked_at: timeOf(row.lookedAt) },
  };
}

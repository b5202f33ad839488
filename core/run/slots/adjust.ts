import { and, eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { keyTable } from "#core/key/key.sql";
import type { Log } from "#core/log";
import { hashOf } from "#core/payload-hash";
import type { Why } from "#core/run/auto";
import { isOpen, itemTable as item, type RunRow, runTable as run, runsBy } from "#core/run/run.sql";
import type { RunServices, RunStores } from "#core/run/services";
import type { Load } from "#core/vision/load";
import { batches } from "#spec/limits";
import * as Controller from "./controller.ts";
import * as Division from "./division.ts";
import * as Recall from "./recall.ts";
import { slotsTable as slots } from "./slots.sql.ts";

/*
 * A run on auto gets its slots here, at each step of its planner. The controller decides how many all of them together
 * have; each run gets its share. A check that changes nothing writes nothing.
 */

const name = "model_server";
/** Runs that are read; there are rarely so many at once. */
const runsMost = 200;

/** The planner's stores, and the model server if its function is linked to it. */
export type Stores = Pick<RunStores, "db" | "queues" | "times" | "itemConcurrency"> &
  Partial<Pick<RunServices, "model">>;

/** The statements of a check, for the batch of the window; they read nothing for a run with a fixed number of slots. */
export function statements(db: Database.Db, runUid: string) {
  const isAuto = sql`EXISTS (SELECT 1 FROM ${run} WHERE ${run.runUid} = ${runUid} AND ${run.slots} IS NOT NULL)`;
  return {
    control: db.query.select().from(slots).where(sql`${slots.name} = ${name} AND ${isAuto}`),
    auto: Database.statement(sql`SELECT run_uid, epoch, min(concurrency, coalesce((SELECT max_in_flight FROM ${keyTable}
        WHERE ${keyTable.keyId} = ${run.keyId}), concurrency)) AS most, total - succeeded - failed - canceled AS left,
        model_calls, model_ms, (SELECT count(*) FROM ${item} WHERE ${item.runUid} = ${run.runUid}
          AND ${item.status} = 'running') AS running
      FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)} AND state = 'running' AND waiting_for IS NULL
        AND ${run.slots} IS NOT NULL AND ${isAuto} ORDER BY created_at, run_uid LIMIT ${runsMost}`),
  };
}

export type Results = Record<
  keyof ReturnType<typeof statements>,
  Awaited<ReturnType<typeof Database.batch>>[number]
>;

interface Going {
  runUid: string;
  epoch: number;
  most: number;
  left: number;
  calls: number;
  callMs: number;
  running: number;
}

const goingOf = (row: Record<string, unknown>): Going => ({
  runUid: String(row.run_uid),
  epoch: Number(row.epoch),
  most: Number(row.most),
  left: Number(row.left),
  calls: Number(row.model_calls),
  callMs: Number(row.model_ms),
  running: Number(row.running),
});

/**
 * Sets the slots of a run on auto. Messages in slots that are taken away are recalled in the same transaction, and a
 * worker that receives one nevertheless starts nothing (item/claim.ts), so there are never more items at work than the
 * most slots since the oldest of them began. @param most - this run's share of the key's `max_in_flight`.
 * @returns the run with the slots in force.
 * @throws AppError `storage_unavailable`.
 */
export async function adjust(
  services: Stores,
  row: RunRow,
  { results, most }: { results: Results; most: number },
  log: Log,
): Promise<RunRow> {
  const going = results.auto.rows.map((each) => goingOf(each));
  const [known] = Database.rows(slots, results.control);
  const load = await loadOf(services);
  const seen = seenOf(services, going, load);
  const state = Controller.next(known?.state, seen, services.times.slots);
  const part = Division.partOf(row.runUid, going, state.slots);
  const now = Math.min(part, most, row.concurrency, services.itemConcurrency);
  const isKnown = known !== undefined && JSON.stringify(known.state) === JSON.stringify(state);
  const isRecent = seen.at - (row.lookedAt?.getTime() ?? 0) < services.times.slotsLookMs;
  if (isKnown && isRecent && now === row.slots) return row;
  return write(services.db, row, { known, state, now, seen }, log);
}

async function loadOf({ model, times }: Stores): Promise<Load | undefined> {
  if (model === undefined) return undefined;
  // Loaded on demand: the planner's long steps, which share this code, do not ask the model server.
  const { read } = await import("#core/vision/load");
  return read(model, times.loadTimeoutMs);
}

function seenOf(
  { itemConcurrency }: Stores,
  going: readonly Going[],
  load: Load | undefined,
): Controller.Seen {
  const sum = (of: (run: Going) => number) => going.reduce((total, each) => total + of(each), 0);
  const most = Math.min(
    itemConcurrency,
    batches.maxConcurrency,
    sum(({ most }) => most),
  );
  return {
    at: Date.now(),
    calls: sum(({ calls }) => calls),
    callMs: sum(({ callMs }) => callMs),
    runs: hashOf(going.map(({ runUid, epoch }) => [runUid, epoch])),
    most: Math.max(1, most),
    left: sum(({ left }) => left),
    ours: sum(({ running }) => running),
    server: load,
  };
}

interface Decided {
  known: typeof slots.$inferSelect | undefined;
  state: Controller.State;
  /** The run's slots. */
  now: number;
  seen: Controller.Seen;
}

async function write(
  db: Database.Db,
  row: RunRow,
  { known, state, now, seen }: Decided,
  log: Log,
): Promise<RunRow> {
  const before = row.slots ?? now;
  const why = whyOf(row, { state, now, seen });
  const results = await Database.batch(db, [
    known === undefined ? inserted(db, state) : updated(db, known.version, state),
    // The slots count only for this step, because another planner of the run has set other ones since.
    db.query
      .update(run)
      .set({ slots: now, slotsWhy: why, lookedAt: new Date(seen.at) })
      .where(and(eq(run.runUid, row.runUid), eq(run.planN, row.planN), eq(run.state, "running")))
      .returning(),
    ...(now < before ? [Recall.statement(row.runUid, sql`slot >= ${now}`)] : []),
  ]);
  const set = Database.rows(run, results[1])[0];
  if (set === undefined) return row;
  if (now !== before || why.reason !== row.slotsWhy?.reason)
    log.info("run_slots", {
      run_id: row.runId,
      ...{ from: before, to: now, of: state.slots, reason: state.reason },
      ...{ calls_per_minute: why.calls_per_minute, others: why.others },
      ...(seen.server === undefined ? {} : { waiting: seen.server.waiting, kv_used: seen.server.kvUsed }),
    });
  return set;
}

const inserted = (db: Database.Db, state: Controller.State) =>
  db.query.insert(slots).values({ name, version: 1, state }).onConflictDoNothing();

const updated = (db: Database.Db, version: number, state: Controller.State) =>
  db.query
    .update(slots)
    .set({ version: version + 1, state })
    .where(and(eq(slots.name, name), eq(slots.version, version)));

function whyOf(row: RunRow, { state, now, seen }: Omit<Decided, "known">): Why {
  const level = state.held ?? state.base;
  const last = row.slots === now && row.slotsWhy?.reason === state.reason ? row.slotsWhy.since : undefined;
  return {
    reason: state.reason,
    since: last ?? new Date(seen.at).toISOString(),
    calls_per_minute: level === null ? null : Math.round(level.rate * 60),
    others: seen.server === undefined || level === null ? null : Math.round(level.others),
  };
}

import { sql } from "drizzle-orm";
import * as z from "zod";
import * as Breaker from "#core/breaker/breaker";
import { breakerTable } from "#core/breaker/breaker.sql";
import * as Database from "#core/db/database";
import { keyTable } from "#core/key/key.sql";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import { isolateFrom } from "#core/reading/suspicion";
import * as Cancel from "#core/run/dispatch/cancel";
import { itemTable as item, type RunRow, runTable as run } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Adjust from "#core/run/slots/adjust";
import { windowOf } from "#core/run/slots/width";
import { batches } from "#spec/limits";
import * as Pause from "./pause.ts";
import { nextNumber } from "./raise.ts";
import * as Share from "./share.ts";

/** The body of a message in the `item` queue. A message of an older epoch or `seq` has no effect. */
export const ItemMessage = z.object({
  run_uid: z.string(),
  epoch: z.int(),
  index: z.int(),
  seq: z.int(),
  /** The message group is `<run_uid>:<slot>`. */
  slot: z.int(),
  /**
   * Where the picture is in the bucket. The worker reads it in parallel with the claim, which decides whether it may
   * be used.
   */
  picture: z.object({ key: z.string(), etag: z.string().nullable() }).optional(),
  /**
   * True for a copy that was sent because the first message was not received for a long time. Both are in the same
   * group, so the copy comes later.
   */
  again: z.literal(true).optional(),
});
export type ItemMessage = z.output<typeof ItemMessage>;

/** Runs of a key that are read; there are rarely so many at once (begin.ts). */
const runsMost = 200;

/** How often entries that SQS refused are sent again; after that the next refill sends them. */
const sendAttempts = 3;

interface Waiting {
  index: number;
  seq: number;
  slot: number | null;
  picture: ItemMessage["picture"];
}

/** The message as the queue takes it. */
export const fifo = (body: ItemMessage): Queue.FifoMessage => ({
  body,
  group: `${body.run_uid}:${body.slot}`,
  deduplicationId: `${body.run_uid}.${body.epoch}.${body.index}.${body.seq}`,
});

/**
 * Fills the run's window: queued items without a message get one, as many as fit, each in the run's emptiest slot. A
 * slot is a message group, so the run never occupies more than `concurrency` workers, or fewer if the key's runs
 * share its `max_in_flight` (share.ts). A suspect is sent alone. Messages are sent before they are noted: after a
 * crash in between the same messages are sent again, and the queue or the claim drops them.
 * @returns the run as it was read, with the planner's number raised; undefined if it does not exist.
 * @throws AppError `storage_unavailable`.
 */
export async function fill(services: Adjust.Stores, runUid: string, log: Log): Promise<RunRow | undefined> {
  const seen = await look(services.db, runUid);
  if (seen === undefined) return undefined;
  const { row, breaker } = seen;
  if (seen.revoked && (row.state === "planning" || row.state === "running")) {
    log.info("run_of_revoked_key", { run_id: row.runId, key_id: row.keyId });
    return Cancel.cancel(services, row, log);
  }
  if (row.state !== "running" || row.waitingFor !== null) return row;
  if (breaker.kind !== "closed" && (seen.unsent.length > 0 || seen.lone.length > 0)) {
    await Pause.pause(services, row, log);
    return row;
  }
  // A suspect is sent alone, so the throughput at that time does not show whether there are too many slots.
  const isAlone = seen.lone.length > 0 || seen.loneOut;
  const now =
    row.slots === null || isAlone
      ? row
      : await Adjust.adjust(services, row, { results: seen.auto, most: seen.slots }, log);
  const left = withoutRecalled(seen, now);
  const chosen = choose(now, left);
  if (chosen.length === 0) return row;
  const startedAt = Date.now();
  const sent = await send(services, chosen, log);
  await note(services.db, row, sent);
  log.info("run_planned", {
    run_id: row.runId,
    items: sent.length,
    in_flight: left.inFlight + sent.length,
    duration_ms: Date.now() - startedAt,
  });
  return row;
}

interface Seen {
  row: RunRow;
  /**
   * How many of the run's slots get messages now: fewer than `concurrency` if the key's runs share its
   * `max_in_flight`.
   */
  slots: number;
  breaker: Breaker.State;
  /** The run's key was revoked. */
  revoked: boolean;
  inFlight: number;
  bySlot: Map<number, number>;
  /** Items by slot that have a message and no worker. */
  sentBySlot: Map<number, number>;
  /** What the slots of a run on auto are computed from. */
  auto: Adjust.Results;
  unsent: Waiting[];
  /** Suspects that have not ended and have no message. */
  lone: Waiting[];
  /** True if a suspect has a message or a worker. */
  loneOut: boolean;
}

async function look(db: Database.Db, runUid: string): Promise<Seen | undefined> {
  const now = Date.now();
  const results = await Database.batch(db, statementsOf(db, runUid, now));
  const row = Database.rows(run, results.run)[0];
  if (row === undefined) return undefined;
  const bySlot = new Map<number, number>();
  const sentBySlot = new Map(results.sent.rows.map(({ slot, n }) => [Number(slot), Number(n)]));
  let inFlight = 0;
  for (const { slot, n } of [...results.sent.rows, ...results.running.rows]) {
    inFlight += Number(n);
    if (slot !== null) bySlot.set(Number(slot), (bySlot.get(Number(slot)) ?? 0) + Number(n));
  }
  const suspects = results.suspects.rows;
  const key = results.key.rows[0];
  return {
    row,
    slots: key === undefined ? row.concurrency : shareOf(row, key),
    breaker: Breaker.stateOf(Database.rows(breakerTable, results.breaker)[0], now),
    revoked: (key?.revoked_at ?? null) !== null,
    inFlight,
    ...{ bySlot, sentBySlot, auto: results },
    unsent: [...results.sentBefore.rows, ...results.neverSent.rows].map(waitingOf),
    lone: suspects.filter(({ is_out }) => Number(is_out) === 0).map(waitingOf),
    loneOut: suspects.some(({ is_out }) => Number(is_out) === 1),
  };
}

/** The state that was read, without the messages in slots that were taken away since. */
function withoutRecalled(seen: Seen, { slots }: RunRow): Seen {
  if (slots === null) return seen;
  const recalled = [...seen.sentBySlot].filter(([slot]) => slot >= slots);
  return { ...seen, slots, inFlight: recalled.reduce((left, [, n]) => left - n, seen.inFlight) };
}

function statementsOf(db: Database.Db, runUid: string, now: number) {
  const mine = sql`FROM ${item} WHERE ${item.runUid} = ${runUid}`;
  const epoch = sql`(SELECT ${run.epoch} FROM ${run} WHERE ${run.runUid} = ${runUid})`;
  const columns = sql`SELECT ${item.index} AS idx, ${item.sendSeq} AS seq, ${item.slot} AS slot,
    ${item.objectKey} AS object_key, ${item.etag} AS etag`;
  const usual = sql`${item.status} = 'queued' AND ${item.suspects} < ${isolateFrom}`;
  const { most } = windowOf({ concurrency: batches.maxConcurrency, slots: null });
  return {
    // Comes first, so that orders under the old number are visible to the reads that follow.
    run: db.query
      .update(run)
      .set({ planN: nextNumber, touchedAt: new Date(now) })
      .where(sql`${run.runUid} = ${runUid}`)
      .returning(),
    breaker: Breaker.statement(db),
    sent: Database.statement(sql`SELECT ${item.slot} AS slot, count(*) AS n ${mine}
      AND ${item.status} = 'queued' AND ${item.sentEpoch} = ${epoch} GROUP BY ${item.slot}`),
    running: Database.statement(sql`SELECT ${item.slot} AS slot, count(*) AS n ${mine}
      AND ${item.status} = 'running' GROUP BY ${item.slot}`),
    // Items whose messages were sent before a pause come first.
    sentBefore: Database.statement(sql`${columns} ${mine} AND ${usual} AND ${item.sentEpoch} > 0
      AND ${item.sentEpoch} < ${epoch} ORDER BY ${item.index} LIMIT ${most}`),
    neverSent: Database.statement(sql`${columns} ${mine} AND ${usual} AND ${item.sentEpoch} = 0
      ORDER BY ${item.index} LIMIT ${most}`),
    // Written out as in the partial index that finds them. The plus signs keep SQLite from reading the whole run by
    // another index.
    suspects:
      Database.statement(sql`${columns}, (${item.status} = 'running' OR ${item.sentEpoch} = ${epoch}) AS is_out ${mine}
      AND suspects >= 2 AND +${item.status} IN ('queued', 'running') ORDER BY +${item.index} LIMIT ${most}`),
    // The key: whether it was revoked, and which of its runs share `max_in_flight`.
    key: Database.statement(sql`SELECT revoked_at, max_in_flight, CASE WHEN max_in_flight IS NOT NULL THEN (
        SELECT json_group_array(json_array(run_uid, concurrency, total - succeeded - failed - canceled)) FROM (
          SELECT * FROM ${run} AS going WHERE going.key_id = ${keyTable.keyId} AND going.state = 'running'
            AND going.waiting_for IS NULL ORDER BY going.created_at, going.run_uid LIMIT ${runsMost})) END AS runs
      FROM ${keyTable} WHERE ${keyTable.keyId} = (SELECT ${run.keyId} FROM ${run} WHERE ${run.runUid} = ${runUid})`),
    ...Adjust.statements(db, runUid),
  };
}

function waitingOf({ idx, seq, slot, object_key: key, etag }: Record<string, unknown>): Waiting {
  return {
    index: Number(idx),
    seq: Number(seq),
    slot: slot === null ? null : Number(slot),
    picture: typeof key === "string" ? { key, etag: typeof etag === "string" ? etag : null } : undefined,
  };
}

function shareOf(row: RunRow, { max_in_flight: most, runs }: Record<string, unknown>): number {
  if (most === null || typeof runs !== "string") return row.concurrency;
  const going = (JSON.parse(runs) as [string, number, number][]).map(([runUid, concurrency, left]) => ({
    ...{ runUid, concurrency, left },
  }));
  return Share.slotsOf(row, going, Number(most));
}

/** Chooses the items that are sent now, and a slot for each. */
function choose(row: RunRow, seen: Seen): ItemMessage[] {
  // The number of messages stays the same on fewer slots: it tells others that the window is filled (progress.ts,
  // reconcile.ts).
  const { most } = windowOf(row);
  const alone = seen.lone.length > 0 || seen.loneOut;
  // While there is a suspect, no other item is sent. The suspect is sent when all others have ended.
  const next = alone
    ? seen.inFlight === 0
      ? seen.lone.slice(0, 1)
      : []
    : seen.unsent.slice(0, Math.max(0, most - seen.inFlight));
  const load = Array.from({ length: seen.slots }, (_, slot) => seen.bySlot.get(slot) ?? 0);
  return next.map(({ index, seq, slot: known, picture }) => {
    // An item keeps its slot, so that a message that was sent but not noted is sent again as the same message.
    // Unless that slot was taken away: the old message has no effect then.
    const isThere = known !== null && known < (row.slots ?? Number.POSITIVE_INFINITY);
    const slot = isThere ? known : load.indexOf(Math.min(...load));
    // A slot from a time when the run had more of them empties by itself.
    if (slot < load.length) load[slot] = (load[slot] ?? 0) + 1;
    return { run_uid: row.runUid, epoch: row.epoch, index, seq, slot, picture };
  });
}

/** @returns the messages that the queue has accepted. */
export async function send(
  services: Pick<RunStores, "queues">,
  messages: ItemMessage[],
  log: Log,
): Promise<ItemMessage[]> {
  const sent: ItemMessage[] = [];
  let left = messages;
  for (let attempt = 0; attempt < sendAttempts && left.length > 0; attempt += 1) {
    const taken = await Queue.sendFifo(services.queues, "item", left.map(fifo), log);
    sent.push(...left.filter((_, i) => taken.has(i)));
    left = left.filter((_, i) => !taken.has(i));
  }
  return sent;
}

/** Notes which messages were sent, unless the item has changed since. */
export async function note(
  db: Database.Db,
  row: Pick<RunRow, "runUid" | "epoch">,
  sent: ItemMessage[],
): Promise<void> {
  const list = JSON.stringify(sent.map(({ index, seq, slot }) => [index, seq, slot]));
  await Database.batch(db, [
    // By the primary key: with a join SQLite would read all queued items of the run for each message, which takes
    // seconds for a large run. The plus signs exclude the other index.
    Database.statement(sql`UPDATE ${item} SET sent_epoch = ${row.epoch},
        slot = (SELECT json_extract(value, '$[2]') FROM json_each(${list}) WHERE json_extract(value, '$[0]') = idx)
      WHERE run_uid = ${row.runUid} AND (idx, send_seq) IN
        (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(${list}))
        AND +sent_epoch < ${row.epoch} AND +status IN ('queued', 'running')`),
  ]);
}

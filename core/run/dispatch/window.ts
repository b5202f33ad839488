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
import { windowOf } from "#spec/limits";
import * as Pause from "./pause.ts";
import { nextNumber } from "./raise.ts";
import * as Share from "./share.ts";

/** The body of a message in the `item` queue. One of an older epoch or `seq` has no effect. */
export const ItemMessage = z.object({
  run_uid: z.string(),
  epoch: z.int(),
  index: z.int(),
  seq: z.int(),
  /** The message group is `<run_uid>:<slot>`. */
  slot: z.int(),
  /** Where the picture lies, if it is in the bucket: the worker reads it beside its claim, which says whether it may. */
  picture: z.object({ key: z.string(), etag: z.string().nullable() }).optional(),
  /** A copy, sent because the first one has not been taken for long. In its group it comes up behind that one. */
  again: z.literal(true).optional(),
});
export type ItemMessage = z.output<typeof ItemMessage>;

/** Runs of a key that are looked at; it may hardly ever have so many at once (begin.ts). */
const runsMost = 200;

/** Entries that SQS refused are sent again this often; then the next refill does. */
const sendAttempts = 3;

interface Waiting {
  index: number;
  seq: number;
  slot: number | null;
  picture: ItemMessage["picture"];
}

/** The queue's form of a message. */
export const fifo = (body: ItemMessage): Queue.FifoMessage => ({
  body,
  group: `${body.run_uid}:${body.slot}`,
  deduplicationId: `${body.run_uid}.${body.epoch}.${body.index}.${body.seq}`,
});

/**
 * Fills the run's window: messages for queued items that have none, as many as fit, each for the emptiest of the
 * run's slots; a slot is a message group, so the run never has more than `concurrency` items with workers, and fewer
 * where the key's runs share what it may have in flight (share.ts). An item
 * under suspicion goes out alone. Sent first and noted afterwards: a crash in between sends the same messages
 * again, which the queue or the claim drops.
 * @returns the run as it was read, with the planner's number raised; undefined when it is not known.
 * @throws AppError `storage_unavailable`.
 */
export async function fill(
  services: Pick<RunStores, "db" | "queues" | "times">,
  runUid: string,
  log: Log,
): Promise<RunRow | undefined> {
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
  const chosen = choose(row, seen);
  if (chosen.length === 0) return row;
  const startedAt = Date.now();
  const sent = await send(services, chosen, log);
  await note(services.db, row, sent);
  log.info("run_planned", {
    run_id: row.runId,
    items: sent.length,
    in_flight: seen.inFlight + sent.length,
    duration_ms: Date.now() - startedAt,
  });
  return row;
}

interface Seen {
  row: RunRow;
  /** How many of its slots get messages now: fewer than `concurrency` where the key's runs share what it may have in flight. */
  slots: number;
  breaker: Breaker.State;
  /** The key of the run was revoked. */
  revoked: boolean;
  inFlight: number;
  bySlot: Map<number, number>;
  unsent: Waiting[];
  /** Suspects that have not ended and have no message. */
  lone: Waiting[];
  /** A suspect is out already. */
  loneOut: boolean;
}

async function look(db: Database.Db, runUid: string): Promise<Seen | undefined> {
  const now = Date.now();
  const results = await Database.batch(db, statementsOf(db, runUid, now));
  const row = Database.rows(run, results.run)[0];
  if (row === undefined) return undefined;
  const bySlot = new Map<number, number>();
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
    bySlot,
    unsent: [...results.sentBefore.rows, ...results.neverSent.rows].map(waitingOf),
    lone: suspects.filter(({ is_out }) => Number(is_out) === 0).map(waitingOf),
    loneOut: suspects.some(({ is_out }) => Number(is_out) === 1),
  };
}

function statementsOf(db: Database.Db, runUid: string, now: number) {
  const mine = sql`FROM ${item} WHERE ${item.runUid} = ${runUid}`;
  const epoch = sql`(SELECT ${run.epoch} FROM ${run} WHERE ${run.runUid} = ${runUid})`;
  const columns = sql`SELECT ${item.index} AS idx, ${item.sendSeq} AS seq, ${item.slot} AS slot,
    ${item.objectKey} AS object_key, ${item.etag} AS etag`;
  const usual = sql`${item.status} = 'queued' AND ${item.suspects} < ${isolateFrom}`;
  const most = windowOf(64).most;
  return {
    // First, so that orders made with the old number are visible to what is read behind it.
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
    // What was sent before a pause comes before what was never sent.
    sentBefore: Database.statement(sql`${columns} ${mine} AND ${usual} AND ${item.sentEpoch} > 0
      AND ${item.sentEpoch} < ${epoch} ORDER BY ${item.index} LIMIT ${most}`),
    neverSent: Database.statement(sql`${columns} ${mine} AND ${usual} AND ${item.sentEpoch} = 0
      ORDER BY ${item.index} LIMIT ${most}`),
    // Literal, as in the partial index that finds them; the plus signs keep SQLite from going through the whole run
    // by another one instead.
    suspects:
      Database.statement(sql`${columns}, (${item.status} = 'running' OR ${item.sentEpoch} = ${epoch}) AS is_out ${mine}
      AND suspects >= 2 AND +${item.status} IN ('queued', 'running') ORDER BY +${item.index} LIMIT ${most}`),
    // The key: whether it was revoked, and which runs share what it may have in flight.
    key: Database.statement(sql`SELECT revoked_at, max_in_flight, CASE WHEN max_in_flight IS NOT NULL THEN (
        SELECT json_group_array(json_array(run_uid, concurrency, total - succeeded - failed - canceled)) FROM (
          SELECT * FROM ${run} AS going WHERE going.key_id = ${keyTable.keyId} AND going.state = 'running'
            AND going.waiting_for IS NULL ORDER BY going.created_at, going.run_uid LIMIT ${runsMost})) END AS runs
      FROM ${keyTable} WHERE ${keyTable.keyId} = (SELECT ${run.keyId} FROM ${run} WHERE ${run.runUid} = ${runUid})`),
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

/** Which items go out now, and to which slot each. */
function choose(row: RunRow, seen: Seen): ItemMessage[] {
  // As many as ever, on fewer slots: by their number others see that the window is filled (progress.ts, reconcile.ts).
  const { most } = windowOf(row.concurrency);
  const alone = seen.lone.length > 0 || seen.loneOut;
  // While a suspect waits or is out, nothing else is sent; it goes when all others have ended.
  const next = alone
    ? seen.inFlight === 0
      ? seen.lone.slice(0, 1)
      : []
    : seen.unsent.slice(0, Math.max(0, most - seen.inFlight));
  const load = Array.from({ length: seen.slots }, (_, slot) => seen.bySlot.get(slot) ?? 0);
  return next.map(({ index, seq, slot: known, picture }) => {
    // A slot once given stays: a message that was sent but not noted is then the same message.
    const slot = known ?? load.indexOf(Math.min(...load));
    // One of a time when the run had more of them empties by itself.
    if (slot < load.length) load[slot] = (load[slot] ?? 0) + 1;
    return { run_uid: row.runUid, epoch: row.epoch, index, seq, slot, picture };
  });
}

/** @returns what the queue has taken. */
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

/** Notes what was sent, unless the item has gone on since. */
export async function note(
  db: Database.Db,
  row: Pick<RunRow, "runUid" | "epoch">,
  sent: ItemMessage[],
): Promise<void> {
  const list = JSON.stringify(sent.map(({ index, seq, slot }) => [index, seq, slot]));
  await Database.batch(db, [
    // By the primary key: joined with the list, SQLite goes through all the run's queued items for each message,
    // which is seconds for a large run. The plus signs keep the other index out of it.
    Database.statement(sql`UPDATE ${item} SET sent_epoch = ${row.epoch},
        slot = (SELECT json_extract(value, '$[2]') FROM json_each(${list}) WHERE json_extract(value, '$[0]') = idx)
      WHERE run_uid = ${row.runUid} AND (idx, send_seq) IN
        (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(${list}))
        AND +sent_epoch < ${row.epoch} AND +status IN ('queued', 'running')`),
  ]);
}

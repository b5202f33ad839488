import * as z from "zod";
import * as Breaker from "#core/breaker/breaker";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import type { Services } from "#core/reading/services";
import { refOf } from "#core/upload/upload";
import type { Used } from "#core/usage/usage";
import * as Claim from "./claim.ts";
import type { StoredInput } from "./extract.sql.ts";

/** The body of a message in the `single` queue: which row to work on. */
export interface SingleMessage {
  key_id: string;
  request_id: string;
}

/**
 * A copy of an inline picture, for the worker; deleted when the extract ends, by lifecycle after a day. The key's
 * id comes after `tmp`, a reserved id, because a lifecycle rule knows only a fixed prefix; the token makes every
 * hand-over's copy its own, so that clearing up after an earlier one cannot take it away.
 */
export function temporaryKey(row: Pick<Claim.Row, "keyId" | "requestId" | "token">): string {
  return `inputs/tmp/${row.keyId}/${row.requestId}~${row.token}`;
}

/**
 * Turns a call into work for the queue: input → bucket, row queued, message (in this order, so that a crash between
 * any two is repaired by reconcile and never leaves a message without its picture).
 * @param how.used - what the model was asked for before.
 * @param how.waitingFor - the model server is away: no message is sent, the probe's success sends it.
 * @throws AppError `storage_unavailable` when bucket, database or queue is away; the row is as it was before then,
 *   or queued and found by reconcile.
 */
export async function handOver(
  services: Pick<Services, "db" | "bucket" | "queues" | "times">,
  log: Log,
  row: Claim.Row,
  picture: {
    bytes: Uint8Array;
    mimeType: string;
    input: Omit<StoredInput, "objectKey" | "temporary"> & { objectKey: string | null };
  },
  how: { handedOver: boolean; waitingFor: "model_server" | null; used: Used | undefined },
): Promise<void> {
  const { objectKey: existing, ...rest } = picture.input;
  const named =
    existing === null
      ? undefined
      : await Claim.enqueue(
          services.db,
          row,
          { ...rest, objectKey: existing, temporary: false },
          { ...how, upload: refOf(existing) },
        );
  // An upload may have gone while the model was asked: a run that read it too has ended, or its week is over.
  const queued = named ?? (await enqueueCopy(services, log, row, picture, how));
  if (queued === undefined) throw new AppError("conflict", "somebody else took this extract over");
  if (how.waitingFor === null) await sendSingle(services, queued);
  else await ensureProbe(services, log);
}

/** With a copy of the picture for this extract alone. */
async function enqueueCopy(
  services: Pick<Services, "db" | "bucket">,
  log: Log,
  row: Claim.Row,
  picture: Parameters<typeof handOver>[3],
  how: Parameters<typeof handOver>[4],
): Promise<Claim.Row | undefined> {
  const objectKey = temporaryKey(row);
  // "taken": our own earlier try put the same bytes there.
  await Bucket.put(services.bucket, log, objectKey, picture.bytes, picture.mimeType);
  return Claim.enqueue(services.db, row, { ...picture.input, objectKey, etag: null, temporary: true }, how);
}

/** Sends the row's message and notes it. */
export async function sendSingle(
  services: Pick<Services, "db" | "queues">,
  row: Claim.Row,
  delayMs?: number,
): Promise<void> {
  const body: SingleMessage = { key_id: row.keyId, request_id: row.requestId };
  await Queue.send(services.queues, "single", body, delayMs === undefined ? {} : { delayMs });
  await Claim.markSent(services.db, [row]);
}

/**
 * The body of a probe message in the `urgent` queue: the nth look of a chain of them. FIFO queues take no delay, so its
 * worker holds it until it is due, in epoch milliseconds.
 */
export const ProbeMessage = z.object({
  kind: z.literal("probe"),
  n: z.int(),
  chain: z.string().default(""),
  due: z.int().default(0),
});
export type ProbeMessage = z.output<typeof ProbeMessage>;

/** Sends the next look. All of them are one group: none begins while another is at it. @throws AppError `storage_unavailable`. */
export async function sendProbe(
  queues: Queue.Queues,
  look: Pick<ProbeMessage, "n" | "chain">,
  delayMs: number,
  log: Log,
): Promise<void> {
  const body: ProbeMessage = { kind: "probe", ...look, due: Date.now() + delayMs };
  const message = { body, group: "probe", deduplicationId: `probe.${look.chain}.${look.n}` };
  if ((await Queue.sendFifo(queues, "urgent", [message], log)).size === 0)
    throw new AppError("storage_unavailable", "the queue did not take the look", { retryAfterS: 2 });
}

/** Makes sure that one probe message is under way while the model server is away. @returns whether one had to be sent. */
export async function ensureProbe(
  services: Pick<Services, "db" | "queues" | "times">,
  log: Log,
): Promise<boolean> {
  const { probeFirstDelayMs, probeMessageMs } = services.times;
  const chain = await Breaker.mayMessage(services.db, probeFirstDelayMs + probeMessageMs);
  if (chain === undefined) return false;
  await sendProbe(services.queues, { n: 1, chain }, probeFirstDelayMs, log);
  log.info("probe_scheduled", { n: 1 });
  return true;
}

import * as Probe from "#core/breaker/probe";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import type { Services } from "#core/reading/services";
import type { StoredInput } from "#core/source/source";
import { refOf } from "#core/upload/upload";
import type { Used } from "#core/usage/usage";
import * as Row from "./row.ts";
import * as Send from "./send.ts";

/**
 * The key of a copy of an inline picture, for the worker. It is deleted when the extract ends, or by lifecycle after
 * a day. The key's id comes after the reserved id `tmp`, because a lifecycle rule knows only a fixed prefix. The
 * token makes each copy unique, so that the cleanup of an earlier hand-over cannot delete it.
 */
function temporaryKey(row: Pick<Row.Row, "keyId" | "requestId" | "token">): string {
  return `inputs/tmp/${row.keyId}/${row.requestId}~${row.token}`;
}

interface Work {
  picture: {
    bytes: Uint8Array;
    mimeType: string;
    input: Omit<StoredInput, "objectKey" | "temporary"> & { objectKey: string | null };
  };
  cutOff: boolean;
  waitingFor: "model_server" | null;
  /** The use of the model before the hand-over. */
  used: Used | undefined;
  /** How many calls about the document are stored, for the worker to go on behind them. */
  callsCounted?: number | undefined;
}

/**
 * Hands a call over to the queue: input → bucket, row queued, message. In this order reconcile can repair a crash
 * between any two steps, and no message is without its picture.
 * @param work.waitingFor - during an outage of the model server no message is sent; the successful probe sends it.
 * @throws AppError `storage_unavailable` if the bucket, the database or the queue is unavailable; the row is
 *   unchanged then, or queued and found by reconcile.
 */
export async function handOver(
  services: Pick<Services, "db" | "bucket" | "queues" | "times">,
  log: Log,
  row: Row.Row,
  work: Work,
): Promise<void> {
  const { picture, ...how } = work;
  const { objectKey: existing, ...rest } = picture.input;
  const named =
    existing === null
      ? undefined
      : await Row.enqueue(
          services.db,
          row,
          { ...rest, objectKey: existing, temporary: false },
          { ...how, upload: refOf(existing) },
        );
  // The upload may have been removed while the model was asked: a run that also read it ended, or it expired.
  const queued = named ?? (await enqueueCopy(services, log, row, work));
  if (queued === undefined)
    throw new AppError("conflict", "another call has taken this extract over: ask for its answer by its id", {
      details: { reason: "extract_taken_over" },
    });
  if (how.waitingFor === null) await Send.send(services, queued);
  else await Probe.ensure(services, log);
}

/** Enqueues with a copy of the picture for this extract alone. */
async function enqueueCopy(
  services: Pick<Services, "db" | "bucket">,
  log: Log,
  row: Row.Row,
  { picture, ...how }: Work,
): Promise<Row.Row | undefined> {
  const objectKey = temporaryKey(row);
  // "taken": an earlier try of this call put the same bytes there.
  await Bucket.put(services.bucket, log, objectKey, { body: picture.bytes, contentType: picture.mimeType });
  return Row.enqueue(services.db, row, { ...picture.input, objectKey, etag: null, temporary: true }, how);
}

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
 * A copy of an inline picture, for the worker; deleted when the extract ends, by lifecycle after a day. The key's
 * id comes after `tmp`, a reserved id, because a lifecycle rule knows only a fixed prefix; the token makes every
 * hand-over's copy its own, so that clearing up after an earlier one cannot take it away.
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
  /** What the model was asked for before. */
  used: Used | undefined;
}

/**
 * Turns a call into work for the queue: input → bucket, row queued, message (in this order, so that a crash between
 * any two is repaired by reconcile and never leaves a message without its picture).
 * @param work.waitingFor - the model server is away: no message is sent, the probe's success sends it.
 * @throws AppError `storage_unavailable` when bucket, database or queue is away; the row is as it was before then,
 *   or queued and found by reconcile.
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
  // An upload may have gone while the model was asked: a run that read it too has ended, or its week is over.
  const queued = named ?? (await enqueueCopy(services, log, row, work));
  if (queued === undefined)
    throw new AppError("conflict", "another call has taken this extract over: ask for its answer by its id", {
      details: { reason: "extract_taken_over" },
    });
  if (how.waitingFor === null) await Send.send(services, queued);
  else await Probe.ensure(services, log);
}

/** With a copy of the picture for this extract alone. */
async function enqueueCopy(
  services: Pick<Services, "db" | "bucket">,
  log: Log,
  row: Row.Row,
  { picture, ...how }: Work,
): Promise<Row.Row | undefined> {
  const objectKey = temporaryKey(row);
  // "taken": our own earlier try put the same bytes there.
  await Bucket.put(services.bucket, log, objectKey, { body: picture.bytes, contentType: picture.mimeType });
  return Row.enqueue(services.db, row, { ...picture.input, objectKey, etag: null, temporary: true }, how);
}

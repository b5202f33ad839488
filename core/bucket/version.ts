import type { Readable } from "node:stream";
import type { Log } from "#core/log";
import * as SdkError from "#core/sdk-error";
import { attemptUnless, unavailable } from "./attempt.ts";
import type * as Bucket from "./bucket.ts";
import { absolute } from "./bucket.ts";
import { pieces } from "./limited.ts";

/*
 * Reads exactly the version of an object that an ETag names: inputs must stay the same while a run uses them.
 */

/**
 * The first bytes of exactly this version, fewer where it has fewer.
 * @returns undefined when this version is no longer there.
 * @throws AppError `storage_unavailable`.
 */
export async function beginning(
  bucket: Bucket.Bucket,
  log: Log,
  object: { rel: string; etag: string; bytes: number },
): Promise<Uint8Array | undefined> {
  const source = await open(bucket, log, object, `bytes=0-${object.bytes - 1}`);
  if (source === undefined) return undefined;
  const found: Uint8Array[] = [];
  for await (const piece of source) found.push(piece);
  return Buffer.concat(found);
}

/**
 * The bytes of exactly this version from `offset` on, piece by piece; empty if `offset` is its end. The time limit of a
 * call applies to the wait for each piece. A reader that stops early ends the transfer.
 * @returns undefined if this version is no longer there.
 * @throws AppError `storage_unavailable`, also while reading.
 */
export function from(
  bucket: Bucket.Bucket,
  log: Log,
  object: { rel: string; etag: string; offset: number },
): Promise<AsyncIterable<Uint8Array> | undefined> {
  return open(bucket, log, object, object.offset === 0 ? undefined : `bytes=${object.offset}-`);
}

async function open(
  bucket: Bucket.Bucket,
  log: Log,
  { rel, etag }: { rel: string; etag: string },
  range: string | undefined,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const answer = await attemptUnless([404, 412], { bucket, log, operation: "get" }, async (abortSignal) => {
    try {
      return await bucket.client.send(
        "GetObject",
        {
          Bucket: bucket.settings.bucket,
          Key: absolute(bucket, rel),
          IfMatch: etag,
          ...(range === undefined ? {} : { Range: range }),
        },
        { abortSignal },
      );
    } catch (thrown) {
      // 416: the version is the right one, and the range begins at its end.
      if (SdkError.statusOf(thrown) === 416) return { Body: undefined, $metadata: {} };
      throw thrown;
    }
  });
  if (answer === undefined) return undefined;
  const source = answer.Body as Readable | undefined;
  return source === undefined ? nothing() : logged(log, pieces(source, bucket.timeoutMs));
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* logged(log: Log, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const startedAt = Date.now();
  try {
    yield* source;
  } catch (thrown) {
    throw unavailable(log, "get", thrown, startedAt);
  }
}

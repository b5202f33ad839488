import type { Readable } from "node:stream";
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { Log } from "#core/log";
import * as Bucket from "./bucket.ts";
import { limited, pieces } from "./limited.ts";

/* Verbs for objects that others made and that must stay the same while a run refers to them: all know ETags. */

/** Which version of an object lies there, or undefined when there is none. @throws AppError `storage_unavailable`. */
export async function version(
  bucket: Bucket.Bucket,
  log: Log,
  rel: string,
): Promise<{ bytes: number; etag: string } | undefined> {
  const answer = await attempt(
    bucket,
    log,
    "head",
    (abortSignal) =>
      bucket.client.send(
        new HeadObjectCommand({ Bucket: bucket.settings.bucket, Key: Bucket.absolute(bucket, rel) }),
        { abortSignal },
      ),
    [404],
  );
  return answer === undefined ? undefined : { bytes: answer.ContentLength ?? 0, etag: answer.ETag ?? "" };
}

/** An object as a listing shows it, with its version. */
export interface Listed {
  /** Its key without the prefix. */
  rel: string;
  bytes: number;
  etag: string;
  modified: Date;
}

/**
 * One page of at most 1,000 objects below a relative prefix, in the order of their keys' bytes. `next` continues
 * the same list; undefined at its end.
 * @throws AppError `storage_unavailable`.
 */
export async function list(
  bucket: Bucket.Bucket,
  log: Log,
  query: { prefix: string; token?: string | undefined; max?: number },
): Promise<{ objects: Listed[]; next: string | undefined }> {
  const answer = await attempt(bucket, log, "list", (abortSignal) =>
    bucket.client.send(
      new ListObjectsV2Command({
        Bucket: bucket.settings.bucket,
        Prefix: Bucket.absolute(bucket, query.prefix),
        ...(query.token === undefined ? {} : { ContinuationToken: query.token }),
        ...(query.max === undefined ? {} : { MaxKeys: query.max }),
      }),
      { abortSignal },
    ),
  );
  const cut = Bucket.absolute(bucket, "").length;
  return {
    objects: (answer?.Contents ?? []).map(
      ({ Key = "", Size = 0, ETag = "", LastModified = new Date(0) }) => ({
        rel: Key.slice(cut),
        bytes: Size,
        etag: ETag,
        modified: LastModified,
      }),
    ),
    next: answer?.IsTruncated ? answer.NextContinuationToken : undefined,
  };
}

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
  return attempt(
    bucket,
    log,
    "get",
    async (abortSignal) => {
      const { Body } = await bucket.client.send(
        new GetObjectCommand({
          Bucket: bucket.settings.bucket,
          Key: Bucket.absolute(bucket, object.rel),
          IfMatch: object.etag,
          Range: `bytes=0-${object.bytes - 1}`,
        }),
        { abortSignal },
      );
      return Body?.transformToByteArray();
    },
    [404, 412],
  );
}

/**
 * The bytes of exactly this version from `offset` on, piece by piece; nothing when `offset` is its end. The time limit
 * of a call holds for the wait for each piece. Whoever stops early ends the transfer.
 * @returns undefined when this version is no longer there.
 * @throws AppError `storage_unavailable`, also from within.
 */
export async function from(
  bucket: Bucket.Bucket,
  log: Log,
  object: { rel: string; etag: string; offset: number },
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const answer = await attempt(
    bucket,
    log,
    "get",
    async (abortSignal) => {
      try {
        return await bucket.client.send(
          new GetObjectCommand({
            Bucket: bucket.settings.bucket,
            Key: Bucket.absolute(bucket, object.rel),
            IfMatch: object.etag,
            ...(object.offset === 0 ? {} : { Range: `bytes=${object.offset}-` }),
          }),
          { abortSignal },
        );
      } catch (thrown) {
        // 416: there is nothing from there on, and the version is the right one.
        if (statusOf(thrown) === 416) return { Body: undefined };
        throw thrown;
      }
    },
    [404, 412],
  );
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
    throw Bucket.unavailable(log, "get", thrown, startedAt);
  }
}

/** One call with its time limit. Undefined for an answer with one of these statuses, which mean something. */
async function attempt<T>(
  bucket: Bucket.Bucket,
  log: Log,
  operation: string,
  call: (signal: AbortSignal) => Promise<T>,
  meaningful: readonly number[] = [],
): Promise<T | undefined> {
  const startedAt = Date.now();
  try {
    return await limited(bucket.timeoutMs, call);
  } catch (thrown) {
    if (meaningful.includes(statusOf(thrown) ?? 0)) return undefined;
    throw Bucket.unavailable(log, operation, thrown, startedAt);
  }
}

const statusOf = (thrown: unknown) =>
  thrown instanceof S3ServiceException ? thrown.$metadata.httpStatusCode : undefined;

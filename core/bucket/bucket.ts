import type { Readable } from "node:stream";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Limits from "#spec/limits";
import { limited, pieces } from "./limited.ts";

/** The private bucket (R2 through the S3 API). Keys here are relative: the prefix is added and removed in this file. */
export interface Bucket {
  client: S3Client;
  settings: Config.Bucket;
  /** One call may take this long until its headers are there, retries included; then each piece of its body. */
  timeoutMs: number;
}

let shared: Bucket | undefined;

/** The client of this instance, made on first use from the configuration. */
export function connect(): Bucket {
  shared ??= open(Config.bucket(), Limits.times(Config.app().timeScale).storageTimeoutMs);
  return shared;
}

/** The same for queue functions: nobody waits for their answer, and they have more time for a call. */
export function patient(): Bucket {
  return { ...connect(), timeoutMs: Limits.times(Config.app().timeScale).storageQueueTimeoutMs };
}

/** A client for these settings. */
export function open(settings: Config.Bucket, timeoutMs: number): Bucket {
  return {
    settings,
    timeoutMs,
    client: new S3Client({
      region: settings.region,
      ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
      forcePathStyle: settings.forcePathStyle,
      credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
      maxAttempts: 3,
      // R2 knows none of the SDK's newer default checksums.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    }),
  };
}

/** The key in the bucket of a relative key. */
export function absolute(bucket: Bucket, rel: string): string {
  return bucket.settings.prefix === "" ? rel : `${bucket.settings.prefix}/${rel}`;
}

/**
 * Writes an object, and only if none is there unless S3_ALLOW_OVERWRITE is set.
 * @returns "written", or "taken" when somebody else's object is, or may be, there: read it and go by it.
 * @throws AppError `storage_unavailable`.
 */
export async function put(
  bucket: Bucket,
  log: Log,
  rel: string,
  body: Uint8Array | string,
  contentType: string,
): Promise<"written" | "taken"> {
  const startedAt = Date.now();
  try {
    const answer = await limited(bucket.timeoutMs, (signal) =>
      bucket.client.send(
        new PutObjectCommand({
          Bucket: bucket.settings.bucket,
          Key: absolute(bucket, rel),
          Body: body,
          ContentType: contentType,
          ...(bucket.settings.allowOverwrite ? {} : { IfNoneMatch: "*" }),
        }),
        { abortSignal: signal },
      ),
    );
    noteRetries(log, "put", answer.$metadata.attempts);
    log.info("s3_put", { bytes: Buffer.byteLength(body), duration_ms: Date.now() - startedAt });
    return "written";
  } catch (thrown) {
    // 412: it is there. 409: another conditional write is under way. 429: R2's answer to many writers of one key.
    if (
      thrown instanceof S3ServiceException &&
      [409, 412, 429].includes(thrown.$metadata.httpStatusCode ?? 0)
    ) {
      log.info("s3_put", {
        taken: true,
        status: thrown.$metadata.httpStatusCode,
        duration_ms: Date.now() - startedAt,
      });
      return "taken";
    }
    throw unavailable(log, "put", thrown, startedAt);
  }
}

/**
 * Reads an object, or undefined when there is none.
 * @throws AppError `storage_unavailable`.
 */
export async function get(bucket: Bucket, log: Log, rel: string): Promise<Uint8Array | undefined> {
  const startedAt = Date.now();
  try {
    const answer = await limited(bucket.timeoutMs, (signal) =>
      bucket.client.send(
        new GetObjectCommand({ Bucket: bucket.settings.bucket, Key: absolute(bucket, rel) }),
        { abortSignal: signal },
      ),
    );
    noteRetries(log, "get", answer.$metadata.attempts);
    const bytes = await whole(pieces(answer.Body as Readable, bucket.timeoutMs));
    log.info("s3_get", { bytes: bytes.length, duration_ms: Date.now() - startedAt });
    return bytes;
  } catch (thrown) {
    if (thrown instanceof S3ServiceException && thrown.$metadata.httpStatusCode === 404) {
      log.info("s3_get", { found: false, duration_ms: Date.now() - startedAt });
      return undefined;
    }
    throw unavailable(log, "get", thrown, startedAt);
  }
}

/** Removes an object; one that is not there is fine. @throws AppError `storage_unavailable`. */
export async function remove(bucket: Bucket, log: Log, rel: string): Promise<void> {
  const startedAt = Date.now();
  try {
    await limited(bucket.timeoutMs, (signal) =>
      bucket.client.send(
        new DeleteObjectCommand({ Bucket: bucket.settings.bucket, Key: absolute(bucket, rel) }),
        {
          abortSignal: signal,
        },
      ),
    );
  } catch (thrown) {
    throw unavailable(log, "delete", thrown, startedAt);
  }
}

/** An object as a listing shows it. */
export interface Listed {
  /** Its key without the prefix. */
  rel: string;
  bytes: number;
  modified: Date;
}

/**
 * One page of keys below a relative prefix, in the order of their bytes: at most 1,000 objects and, with a
 * delimiter, what they have in common up to it. `next` continues the same list; undefined at its end.
 * @throws AppError `storage_unavailable`.
 */
export async function list(
  bucket: Bucket,
  log: Log,
  query: {
    prefix: string;
    delimiter?: string;
    startAfter?: string | undefined;
    token?: string | undefined;
    max?: number;
  },
): Promise<{ objects: Listed[]; prefixes: string[]; next: string | undefined }> {
  const answer = await attempt(bucket, log, "list", (signal) =>
    bucket.client.send(
      new ListObjectsV2Command({
        Bucket: bucket.settings.bucket,
        Prefix: absolute(bucket, query.prefix),
        ...(query.delimiter === undefined ? {} : { Delimiter: query.delimiter }),
        ...(query.startAfter === undefined ? {} : { StartAfter: absolute(bucket, query.startAfter) }),
        ...(query.token === undefined ? {} : { ContinuationToken: query.token }),
        ...(query.max === undefined ? {} : { MaxKeys: query.max }),
      }),
      { abortSignal: signal },
    ),
  );
  const cut = absolute(bucket, "").length;
  return {
    objects: (answer.Contents ?? []).map(({ Key = "", Size = 0, LastModified = new Date(0) }) => ({
      rel: Key.slice(cut),
      bytes: Size,
      modified: LastModified,
    })),
    prefixes: (answer.CommonPrefixes ?? []).map(({ Prefix = "" }) => Prefix.slice(cut)),
    next: answer.IsTruncated ? answer.NextContinuationToken : undefined,
  };
}

/**
 * An object's size and version without its bytes, or undefined when there is none.
 * @throws AppError `storage_unavailable`.
 */
export async function head(
  bucket: Bucket,
  log: Log,
  rel: string,
): Promise<{ bytes: number; etag: string } | undefined> {
  const answer = await attempt(
    bucket,
    log,
    "head",
    (signal) =>
      bucket.client.send(
        new HeadObjectCommand({ Bucket: bucket.settings.bucket, Key: absolute(bucket, rel) }),
        {
          abortSignal: signal,
        },
      ),
    [404],
  );
  return answer === undefined ? undefined : { bytes: answer.ContentLength ?? 0, etag: answer.ETag ?? "" };
}

/** An object that is being read. */
export interface Opened {
  bytes: number;
  etag: string;
  body: AsyncIterable<Uint8Array>;
}

/**
 * Opens an object for reading piece by piece, or undefined when there is none, or when it is not the one with this
 * `etag`. The time limit of a call holds for the wait for each piece: a large object may take as long as it keeps coming.
 * @throws AppError `storage_unavailable`, also from within `body`.
 */
export async function read(
  bucket: Bucket,
  log: Log,
  rel: string,
  etag?: string | undefined,
): Promise<Opened | undefined> {
  const startedAt = Date.now();
  const answer = await attempt(
    bucket,
    log,
    "get",
    (signal) =>
      bucket.client.send(
        new GetObjectCommand({
          Bucket: bucket.settings.bucket,
          Key: absolute(bucket, rel),
          ...(etag === undefined ? {} : { IfMatch: etag }),
        }),
        {
          abortSignal: signal,
        },
      ),
    etag === undefined ? [404] : [404, 412],
  );
  if (answer === undefined) return undefined;
  const source = pieces(answer.Body as Readable, bucket.timeoutMs);
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      yield* source;
      log.info("s3_get", { bytes: answer?.ContentLength, duration_ms: Date.now() - startedAt });
    } catch (thrown) {
      throw unavailable(log, "get", thrown, startedAt);
    }
  }
  return { bytes: answer.ContentLength ?? 0, etag: answer.ETag ?? "", body: body() };
}

/**
 * All bytes of an object, which has no more than `maxBytes`: more is somebody else's object.
 * @throws what `tooLarge` makes, and what `body` throws.
 */
export async function collect(
  body: Opened["body"],
  maxBytes: number,
  tooLarge: (maxBytes: number) => AppError,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/**
 * Writes an object that may change: over whatever is there, or only under a condition.
 * @param condition - `etag`: only over exactly this one; `absent`: only where none is.
 * @returns the new ETag, or undefined when the condition did not hold. A retry inside the client can find its own
 * first try in the way, so undefined may also be said to the one who wrote.
 * @throws AppError `storage_unavailable`.
 */
export async function replace(
  bucket: Bucket,
  log: Log,
  rel: string,
  object: { body: Uint8Array | string; contentType: string },
  condition: { etag?: string; absent?: true } = {},
): Promise<string | undefined> {
  const conditional = condition.etag !== undefined || condition.absent === true;
  const answer = await attempt(
    bucket,
    log,
    "put",
    (signal) =>
      bucket.client.send(
        new PutObjectCommand({
          Bucket: bucket.settings.bucket,
          Key: absolute(bucket, rel),
          Body: object.body,
          ContentType: object.contentType,
          ...(condition.etag === undefined ? {} : { IfMatch: condition.etag }),
          ...(condition.absent ? { IfNoneMatch: "*" } : {}),
        }),
        { abortSignal: signal },
      ),
    // 404: there is nothing left to match.
    conditional ? [404, 409, 412, 429] : [],
  );
  return answer?.ETag;
}

/**
 * A URL under which anybody can read this object for `S3_PRESIGN_TTL_S` seconds, as a download of this name.
 * Made without asking the bucket: the object may be absent.
 */
export async function sign(
  bucket: Bucket,
  rel: string,
  fileName: string,
): Promise<{ url: string; expires_at: string }> {
  const { presignTtlS } = bucket.settings;
  const signedAt = new Date();
  const url = await getSignedUrl(
    bucket.client,
    new GetObjectCommand({
      Bucket: bucket.settings.bucket,
      Key: absolute(bucket, rel),
      ResponseContentDisposition: `attachment; filename="${fileName.replace(/[^\w.-]/g, "_")}"`,
    }),
    { expiresIn: presignTtlS, signingDate: signedAt },
  );
  return { url, expires_at: new Date(signedAt.getTime() + presignTtlS * 1000).toISOString() };
}

/** Begins an object that is written in parts; its id. @throws AppError `storage_unavailable`. */
export async function createUpload(
  bucket: Bucket,
  log: Log,
  rel: string,
  contentType: string,
): Promise<string> {
  const answer = await attempt(bucket, log, "create_upload", (signal) =>
    bucket.client.send(
      new CreateMultipartUploadCommand({
        Bucket: bucket.settings.bucket,
        Key: absolute(bucket, rel),
        ContentType: contentType,
      }),
      { abortSignal: signal },
    ),
  );
  return answer.UploadId ?? "";
}

/**
 * Writes a part (from 1 on), over an earlier one of its number. Every part but the last has at least 5 MiB, and
 * on R2 all but the last have the same size (Cloudflare's "Multipart upload" page).
 * @returns its ETag, or undefined when the upload is no more: completed, or ended.
 * @throws AppError `storage_unavailable`.
 */
export async function uploadPart(
  bucket: Bucket,
  log: Log,
  upload: { rel: string; id: string },
  number: number,
  body: Uint8Array,
): Promise<string | undefined> {
  const answer = await attempt(
    bucket,
    log,
    "upload_part",
    (signal) =>
      bucket.client.send(
        new UploadPartCommand({
          Bucket: bucket.settings.bucket,
          Key: absolute(bucket, upload.rel),
          UploadId: upload.id,
          PartNumber: number,
          Body: body,
        }),
        { abortSignal: signal },
      ),
    [404],
  );
  return answer?.ETag;
}

/**
 * Makes the object of its parts, in order.
 * @returns false when the upload is no more: completed, or ended.
 * @throws AppError `storage_unavailable`.
 */
export async function completeUpload(
  bucket: Bucket,
  log: Log,
  upload: { rel: string; id: string },
  etags: readonly string[],
): Promise<boolean> {
  const answer = await attempt(
    bucket,
    log,
    "complete_upload",
    (signal) =>
      bucket.client.send(
        new CompleteMultipartUploadCommand({
          Bucket: bucket.settings.bucket,
          Key: absolute(bucket, upload.rel),
          UploadId: upload.id,
          MultipartUpload: { Parts: etags.map((ETag, i) => ({ ETag, PartNumber: i + 1 })) },
        }),
        { abortSignal: signal },
      ),
    [404],
  );
  return answer !== undefined;
}

/** Asks for one name under the prefix, to see whether the bucket answers and the keys fit. */
export async function ping(bucket: Bucket, signal: AbortSignal): Promise<void> {
  await bucket.client.send(
    new ListObjectsV2Command({
      Bucket: bucket.settings.bucket,
      Prefix: absolute(bucket, "extracts/"),
      MaxKeys: 1,
    }),
    { abortSignal: signal },
  );
}

async function whole(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for await (const piece of body) found.push(piece);
  return Buffer.concat(found);
}

/** One call with its time limit and its log line. Undefined for an answer with one of these statuses, which mean something. */
async function attempt<T extends { $metadata: { attempts?: number | undefined } }, S extends number = never>(
  bucket: Bucket,
  log: Log,
  operation: string,
  call: (signal: AbortSignal) => Promise<T>,
  meaningful: readonly S[] = [],
): Promise<T | ([S] extends [never] ? never : undefined)> {
  const startedAt = Date.now();
  try {
    const answer = await limited(bucket.timeoutMs, call);
    noteRetries(log, operation, answer.$metadata.attempts);
    return answer;
  } catch (thrown) {
    const status = thrown instanceof S3ServiceException ? thrown.$metadata.httpStatusCode : undefined;
    if (meaningful.some((known) => known === status))
      return undefined as [S] extends [never] ? never : undefined;
    throw unavailable(log, operation, thrown, startedAt);
  }
}

function noteRetries(log: Log, operation: string, attempts: number | undefined): void {
  if (attempts !== undefined && attempts > 1) log.warn("s3_retry", { operation, attempts });
}

/** Every fault but the ones above is the bucket's weather, wrong credentials included: nothing the caller did. */
export function unavailable(log: Log, operation: string, thrown: unknown, startedAt: number): AppError {
  const status = thrown instanceof S3ServiceException ? thrown.$metadata.httpStatusCode : undefined;
  log.warn("s3_retry", {
    operation,
    gave_up: true,
    status,
    error: thrown instanceof Error ? thrown.name : "unknown",
    duration_ms: Date.now() - startedAt,
  });
  return new AppError("storage_unavailable", "the bucket cannot be reached right now", {
    cause: thrown,
    retryAfterS: 2,
  });
}

import type { Readable } from "node:stream";
import * as Config from "#core/config";
import type { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as SdkError from "#core/sdk-error";
import * as Limits from "#spec/limits";
import { attempt, attemptUnless, noteRetries, unavailable } from "./attempt.ts";
import * as Client from "./client.ts";
import { limited, pieces } from "./limited.ts";

/** The private bucket (R2 through the S3 API). Callers use relative keys; `absolute` adds the prefix. */
export interface Bucket {
  client: Client.Client;
  settings: Config.Bucket;
  /** Time limit of a call until its headers arrive, retries included; afterwards of each piece of its body. */
  timeoutMs: number;
}

let shared: Bucket | undefined;

/** The client of this instance, made on first use from the configuration. */
export function connect(): Bucket {
  shared ??= open(Config.bucket(), Limits.times(Config.app().timeScale).storageTimeoutMs);
  return shared;
}

/** The same for queue functions, which have more time per call because no client waits for them. */
export function patient(): Bucket {
  return { ...connect(), timeoutMs: Limits.times(Config.app().timeScale).storageQueueTimeoutMs };
}

/** A client for these settings. */
export function open(settings: Config.Bucket, timeoutMs: number): Bucket {
  return {
    settings,
    timeoutMs,
    client: Client.open({
      region: settings.region,
      ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
      forcePathStyle: settings.forcePathStyle,
      credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
      maxAttempts: 3,
      // R2 does not support the SDK's newer default checksums.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    }),
  };
}

/** The body and its media type. */
interface Content {
  body: Uint8Array | string;
  contentType: string;
}

/** The key in the bucket of a relative key. */
export function absolute(bucket: Bucket, rel: string): string {
  return bucket.settings.prefix === "" ? rel : `${bucket.settings.prefix}/${rel}`;
}

const at = (bucket: Bucket, rel: string) => ({ Bucket: bucket.settings.bucket, Key: absolute(bucket, rel) });

/**
 * Writes an immutable object: only if none is there, unless S3_ALLOW_OVERWRITE is set.
 * @returns "written", or "taken" if another write was first or may have been: read the object and use it.
 * @throws AppError `storage_unavailable`.
 */
export async function put(
  bucket: Bucket,
  log: Log,
  rel: string,
  object: Content,
): Promise<"written" | "taken"> {
  const startedAt = Date.now();
  try {
    const answer = await limited(bucket.timeoutMs, (abortSignal) =>
      bucket.client.send(
        "PutObject",
        {
          ...at(bucket, rel),
          Body: object.body,
          ContentType: object.contentType,
          ...(bucket.settings.allowOverwrite ? {} : { IfNoneMatch: "*" }),
        },
        { abortSignal },
      ),
    );
    noteRetries(log, "put", answer);
    log.info("s3_put", { bytes: Buffer.byteLength(object.body), duration_ms: Date.now() - startedAt });
    return "written";
  } catch (thrown) {
    const status = SdkError.statusOf(thrown);
    // 412: the object exists. 409: another conditional write is in progress. 429: R2's answer to many writers of one
    // key.
    if (status !== 409 && status !== 412 && status !== 429) throw unavailable(log, "put", thrown, startedAt);
    log.info("s3_put", { taken: true, status, duration_ms: Date.now() - startedAt });
    return "taken";
  }
}

/**
 * Reads an object; undefined if there is none.
 * @throws AppError `storage_unavailable`.
 */
export async function get(bucket: Bucket, log: Log, rel: string): Promise<Uint8Array | undefined> {
  const startedAt = Date.now();
  const answer = await attemptUnless([404], { bucket, log, operation: "get" }, (abortSignal) =>
    bucket.client.send("GetObject", at(bucket, rel), { abortSignal }),
  );
  if (answer === undefined) {
    log.info("s3_get", { found: false, duration_ms: Date.now() - startedAt });
    return undefined;
  }
  try {
    const bytes = await whole(pieces(answer.Body as Readable, bucket.timeoutMs));
    log.info("s3_get", { bytes: bytes.length, duration_ms: Date.now() - startedAt });
    return bytes;
  } catch (thrown) {
    throw unavailable(log, "get", thrown, startedAt);
  }
}

/** Removes an object; succeeds also if there is none. @throws AppError `storage_unavailable`. */
export async function remove(bucket: Bucket, log: Log, rel: string): Promise<void> {
  await attempt({ bucket, log, operation: "delete" }, (abortSignal) =>
    bucket.client.send("DeleteObject", at(bucket, rel), { abortSignal }),
  );
}

/** An object as a listing shows it. */
export interface Listed {
  /** Its key without the prefix. */
  rel: string;
  bytes: number;
  etag: string;
  modified: Date;
}

/**
 * One page of keys below a relative prefix, sorted by bytes: at most 1,000 objects and, with a delimiter, common
 * prefixes. `next` continues the list; undefined at its end.
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
  const answer = await attempt({ bucket, log, operation: "list" }, (abortSignal) =>
    bucket.client.send(
      "ListObjectsV2",
      {
        Bucket: bucket.settings.bucket,
        Prefix: absolute(bucket, query.prefix),
        ...(query.delimiter === undefined ? {} : { Delimiter: query.delimiter }),
        ...(query.startAfter === undefined ? {} : { StartAfter: absolute(bucket, query.startAfter) }),
        ...(query.token === undefined ? {} : { ContinuationToken: query.token }),
        ...(query.max === undefined ? {} : { MaxKeys: query.max }),
      },
      { abortSignal },
    ),
  );
  const cut = absolute(bucket, "").length;
  return {
    objects: (answer.Contents ?? []).map(({ Key = "", Size = 0, ETag = "", LastModified = new Date(0) }) => ({
      rel: Key.slice(cut),
      bytes: Size,
      etag: ETag,
      modified: LastModified,
    })),
    prefixes: (answer.CommonPrefixes ?? []).map(({ Prefix = "" }) => Prefix.slice(cut)),
    next: answer.IsTruncated ? answer.NextContinuationToken : undefined,
  };
}

/** What is known of an object without its bytes. */
interface Head {
  bytes: number;
  etag: string;
  /** In hex, if it was asked for, and the store compared the bytes with it when they were written. */
  sha256: string | null;
}

/**
 * An object's size and version without its bytes, or undefined when there is none.
 * @throws AppError `storage_unavailable`.
 */
export async function head(
  bucket: Bucket,
  log: Log,
  rel: string,
  { sha256 = false }: { sha256?: boolean } = {},
): Promise<Head | undefined> {
  const ChecksumMode = sha256 ? ("ENABLED" as const) : undefined;
  const answer = await attemptUnless([404], { bucket, log, operation: "head" }, (abortSignal) =>
    bucket.client.send("HeadObject", { ...at(bucket, rel), ChecksumMode }, { abortSignal }),
  );
  if (answer === undefined) return undefined;
  const { ContentLength: bytes = 0, ETag: etag = "", ChecksumSHA256: sum = "" } = answer;
  // That of an object in parts is a checksum of checksums, with the number of parts behind it.
  return { bytes, etag, sha256: /^[A-Za-z0-9+/]{43}=$/.test(sum) ? hexOf(sum) : null };
}

const hexOf = (base64: string) => Buffer.from(base64, "base64").toString("hex");
/** As S3 writes a checksum. */
export const base64Of = (hex: string) => Buffer.from(hex, "hex").toString("base64");

/** An object that is being read. */
interface Opened {
  bytes: number;
  etag: string;
  body: AsyncIterable<Uint8Array>;
}

/**
 * Opens an object for reading piece by piece; undefined if there is none, or if its ETag is not `etag`. The time limit
 * of a call applies to the wait for each piece, so a large object may take as long as data keeps arriving.
 * @throws AppError `storage_unavailable`, also from within `body`.
 */
export async function read(
  bucket: Bucket,
  log: Log,
  rel: string,
  etag?: string | undefined,
): Promise<Opened | undefined> {
  const startedAt = Date.now();
  const absent = etag === undefined ? [404] : [404, 412];
  const answer = await attemptUnless(absent, { bucket, log, operation: "get" }, (abortSignal) =>
    bucket.client.send(
      "GetObject",
      { ...at(bucket, rel), ...(etag === undefined ? {} : { IfMatch: etag }) },
      { abortSignal },
    ),
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
 * Some bytes of an object, with its size and version; undefined if there is none, if its ETag is not `etag`, or if it ends
 * before `from`.
 * @throws AppError `storage_unavailable`.
 */
export async function range(
  bucket: Bucket,
  log: Log,
  rel: string,
  { from, bytes, etag }: { from: number; bytes: number; etag?: string | undefined },
): Promise<{ bytes: Uint8Array; total: number; etag: string } | undefined> {
  const startedAt = Date.now();
  const answer = await attemptUnless([404, 412, 416], { bucket, log, operation: "get" }, (abortSignal) =>
    bucket.client.send(
      "GetObject",
      {
        ...at(bucket, rel),
        Range: `bytes=${from}-${from + bytes - 1}`,
        ...(etag === undefined ? {} : { IfMatch: etag }),
      },
      { abortSignal },
    ),
  );
  if (answer === undefined) return undefined;
  try {
    const found = await whole(pieces(answer.Body as Readable, bucket.timeoutMs));
    log.info("s3_get", { bytes: found.length, range: true, duration_ms: Date.now() - startedAt });
    // "bytes 0-65535/1500000" (RFC 9110, 14.4); a store that ignores ranges sends all of it.
    const total = Number(answer.ContentRange?.split("/")[1] ?? found.length);
    return { bytes: found, total, etag: answer.ETag ?? "" };
  } catch (thrown) {
    throw unavailable(log, "get", thrown, startedAt);
  }
}

/**
 * All bytes of an object of at most `maxBytes`.
 * @throws the error of `tooLarge`, and what `body` throws.
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
 * Writes an object that may change.
 * @param condition - `etag`: only over exactly this version; `absent`: only where none is; neither: always.
 * @returns the new ETag, or undefined when the condition did not hold. A retry inside the client can meet the
 * client's own first try, so undefined does not prove that another writer was first.
 * @throws AppError `storage_unavailable`.
 */
export async function replace(
  bucket: Bucket,
  log: Log,
  rel: string,
  { body, contentType, ...condition }: Content & { etag?: string; absent?: true },
): Promise<string | undefined> {
  const conditional = condition.etag !== undefined || condition.absent === true;
  // 404: the version to match is gone.
  const failed = conditional ? [404, 409, 412, 429] : [];
  const answer = await attemptUnless(failed, { bucket, log, operation: "put" }, (abortSignal) =>
    bucket.client.send(
      "PutObject",
      {
        ...at(bucket, rel),
        Body: body,
        ContentType: contentType,
        ...(condition.etag === undefined ? {} : { IfMatch: condition.etag }),
        ...(condition.absent ? { IfNoneMatch: "*" } : {}),
      },
      { abortSignal },
    ),
  );
  return answer?.ETag;
}

/**
 * A URL with which anyone can download this object for `S3_PRESIGN_TTL_S` seconds, under this file name. No request is
 * made: the object may not exist.
 */
export async function sign(
  bucket: Bucket,
  rel: string,
  fileName: string,
): Promise<{ url: string; expires_at: string }> {
  const { presignTtlS } = bucket.settings;
  const signedAt = new Date();
  const url = await bucket.client.sign(
    "GetObject",
    {
      ...at(bucket, rel),
      ResponseContentDisposition: `attachment; filename="${fileName.replace(/[^\w.-]/g, "_")}"`,
    },
    { expiresIn: presignTtlS, signingDate: signedAt },
  );
  return { url, expires_at: new Date(signedAt.getTime() + presignTtlS * 1000).toISOString() };
}

/**
 * A URL with which the model server fetches this object by itself, for so many seconds. A secret: it is neither logged nor
 * stored.
 */
export async function link(bucket: Bucket, rel: string, seconds: number): Promise<string> {
  return await bucket.client.sign("GetObject", at(bucket, rel), { expiresIn: seconds });
}

/** Lists one key, to check that the bucket answers and accepts our credentials. */
export async function ping(bucket: Bucket, signal: AbortSignal): Promise<void> {
  await bucket.client.send(
    "ListObjectsV2",
    {
      Bucket: bucket.settings.bucket,
      Prefix: absolute(bucket, "extracts/"),
      MaxKeys: 1,
    },
    { abortSignal: signal },
  );
}

async function whole(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for await (const piece of body) found.push(piece);
  return Buffer.concat(found);
}

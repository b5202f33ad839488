import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Limits from "#infra/limits";

/** The private bucket (R2 through the S3 API). Keys here are relative: the prefix is added and removed in this file. */
export interface Bucket {
  client: S3Client;
  settings: Config.Bucket;
  /** One call may take this long, retries included. */
  timeoutMs: number;
}

let shared: Bucket | undefined;

/** The client of this instance, made on first use from the configuration. */
export function connect(): Bucket {
  shared ??= open(Config.bucket(), Limits.times(Config.app().timeScale).storageTimeoutMs);
  return shared;
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
    const answer = await send(bucket, (signal) =>
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
    if (thrown instanceof S3ServiceException && [409, 412, 429].includes(thrown.$metadata.httpStatusCode ?? 0)) {
      log.info("s3_put", { taken: true, status: thrown.$metadata.httpStatusCode, duration_ms: Date.now() - startedAt });
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
    const bytes = await send(bucket, async (signal) => {
      const answer = await bucket.client.send(
        new GetObjectCommand({ Bucket: bucket.settings.bucket, Key: absolute(bucket, rel) }),
        { abortSignal: signal },
      );
      noteRetries(log, "get", answer.$metadata.attempts);
      return (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
    });
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
    await send(bucket, (signal) =>
      bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.settings.bucket, Key: absolute(bucket, rel) }), {
        abortSignal: signal,
      }),
    );
  } catch (thrown) {
    throw unavailable(log, "delete", thrown, startedAt);
  }
}

/** Asks for one name under the prefix, to see whether the bucket answers and the keys fit. */
export async function ping(bucket: Bucket, signal: AbortSignal): Promise<void> {
  await bucket.client.send(
    new ListObjectsV2Command({ Bucket: bucket.settings.bucket, Prefix: absolute(bucket, "extracts/"), MaxKeys: 1 }),
    { abortSignal: signal },
  );
}

/** The SDK bounds single attempts only; this bounds the call. */
function send<T>(bucket: Bucket, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return call(AbortSignal.timeout(bucket.timeoutMs));
}

function noteRetries(log: Log, operation: string, attempts: number | undefined): void {
  if (attempts !== undefined && attempts > 1) log.warn("s3_retry", { operation, attempts });
}

/** Every fault but the ones above is the bucket's weather, wrong credentials included: nothing the caller did. */
function unavailable(log: Log, operation: string, thrown: unknown, startedAt: number): AppError {
  const status = thrown instanceof S3ServiceException ? thrown.$metadata.httpStatusCode : undefined;
  log.warn("s3_retry", {
    operation,
    gave_up: true,
    status,
    error: thrown instanceof Error ? thrown.name : "unknown",
    duration_ms: Date.now() - startedAt,
  });
  return new AppError("storage_unavailable", "the bucket cannot be reached right now", { cause: thrown, retryAfterS: 2 });
}

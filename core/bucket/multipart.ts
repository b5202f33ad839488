import type { Log } from "#core/log";
import { attempt, attemptUnless } from "./attempt.ts";
import * as Bucket from "./bucket.ts";

/** An object that is being written in parts. */
interface Upload {
  rel: string;
  id: string;
}

const of = (bucket: Bucket.Bucket, upload: Upload) => ({
  Bucket: bucket.settings.bucket,
  Key: Bucket.absolute(bucket, upload.rel),
  UploadId: upload.id,
});

/** Begins a multipart upload; returns its id. @throws AppError `storage_unavailable`. */
export async function create(
  bucket: Bucket.Bucket,
  log: Log,
  rel: string,
  contentType: string,
): Promise<string> {
  const answer = await attempt({ bucket, log, operation: "create_upload" }, (abortSignal) =>
    bucket.client.send(
      "CreateMultipartUpload",
      {
        Bucket: bucket.settings.bucket,
        Key: Bucket.absolute(bucket, rel),
        ContentType: contentType,
      },
      { abortSignal },
    ),
  );
  return answer.UploadId ?? "";
}

/**
 * Writes a part (from 1 on) and replaces an earlier one of the same number. Every part but the last has at least 5 MiB,
 * and on R2 all but the last have the same size (Cloudflare's "Multipart upload" page).
 * @returns its ETag, or undefined if the upload was completed or aborted.
 * @throws AppError `storage_unavailable`.
 */
export async function put(
  bucket: Bucket.Bucket,
  log: Log,
  upload: Upload,
  part: { number: number; body: Uint8Array },
): Promise<string | undefined> {
  const answer = await attemptUnless([404], { bucket, log, operation: "upload_part" }, (abortSignal) =>
    bucket.client.send(
      "UploadPart",
      { ...of(bucket, upload), PartNumber: part.number, Body: part.body },
      { abortSignal },
    ),
  );
  return answer?.ETag;
}

/**
 * Completes the object from its parts, in order.
 * @returns false if the upload was completed or aborted before.
 * @throws AppError `storage_unavailable`.
 */
export async function complete(
  bucket: Bucket.Bucket,
  log: Log,
  upload: Upload,
  etags: readonly string[],
): Promise<boolean> {
  const answer = await attemptUnless([404], { bucket, log, operation: "complete_upload" }, (abortSignal) =>
    bucket.client.send(
      "CompleteMultipartUpload",
      {
        ...of(bucket, upload),
        MultipartUpload: { Parts: etags.map((ETag, i) => ({ ETag, PartNumber: i + 1 })) },
      },
      { abortSignal },
    ),
  );
  return answer !== undefined;
}

import * as Bucket from "#core/bucket/bucket";
import * as Multipart from "#core/bucket/multipart";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import type { Prepared } from "./prepare.ts";

/** Size of a part; S3 requires at least 5 MiB for all but the last. */
const partBytes = 8 * 1024 * 1024;
const contentType = "application/x-ndjson";

/**
 * Stores the records in the bucket: small ones in one call, large ones in parts. Memory holds one part.
 * @throws AppError `storage_unavailable`.
 */
export async function store(
  bucket: Bucket.Bucket,
  log: Log,
  { objectKey }: { objectKey: string },
  prepared: Pick<Prepared, "bytes" | "pieces">,
): Promise<void> {
  const pieces = prepared.pieces(partBytes);
  if (prepared.bytes <= partBytes) {
    const { value } = await pieces.next();
    await Bucket.replace(bucket, log, objectKey, { body: value ?? Buffer.alloc(0), contentType });
    return;
  }
  const upload = { rel: objectKey, id: await Multipart.create(bucket, log, objectKey, contentType) };
  const etags: string[] = [];
  for await (const piece of pieces) {
    const etag = await Multipart.put(bucket, log, upload, { number: etags.length + 1, body: piece });
    if (etag === undefined) throw gone();
    etags.push(etag);
  }
  if (!(await Multipart.complete(bucket, log, upload, etags))) throw gone();
}

/** Another process ended the upload, so there is no object. */
const gone = () => new AppError("storage_unavailable", "the bucket did not take the ground truth");

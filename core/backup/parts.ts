import type * as Bucket from "#core/bucket/bucket";
import * as Multipart from "#core/bucket/multipart";
import type { Log } from "#core/log";

/** The output of earlier steps is gone: the upload (completed or aborted), or an object beside it. */
export class Gone extends Error {}

/**
 * Cuts the archive's bytes into parts of one size and uploads each when it is full. Part n always has the same bytes,
 * so a repeated step may overwrite it. Memory holds one part.
 */
export function parts(
  bucket: Bucket.Bucket,
  log: Log,
  upload: { rel: string; id: string },
  begin: { etags: readonly string[]; carry: Uint8Array; partBytes: number },
) {
  const etags = [...begin.etags];
  const buffer = Buffer.allocUnsafe(begin.partBytes);
  buffer.set(begin.carry);
  let used = begin.carry.length;
  const flush = async () => {
    const etag = await Multipart.put(bucket, log, upload, {
      number: etags.length + 1,
      body: buffer.subarray(0, used),
    });
    if (etag === undefined) throw new Gone("the upload is gone");
    etags.push(etag);
    used = 0;
  };
  return {
    etags,
    /** @throws Gone; AppError `storage_unavailable`. */
    write: async (bytes: Uint8Array): Promise<void> => {
      for (let from = 0; from < bytes.length; ) {
        const size = Math.min(bytes.length - from, buffer.length - used);
        buffer.set(bytes.subarray(from, from + size), used);
        used += size;
        from += size;
        if (used === buffer.length) await flush();
      }
    },
    /** The bytes that did not fill a part; the next step begins with them. */
    carry: (): Uint8Array => buffer.subarray(0, used),
    /** Uploads the rest and completes the object. @returns its size. @throws as `write`. */
    complete: async (): Promise<number> => {
      const size = etags.length * begin.partBytes + used;
      if (used > 0) await flush();
      if (!(await Multipart.complete(bucket, log, upload, etags))) throw new Gone("the upload is gone");
      return size;
    },
  };
}

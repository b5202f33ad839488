import * as Bucket from "#core/artifact/bucket";
import type { Call } from "#functions/call";
import type { Reply } from "#functions/http";

/**
 * An answer that lies in the bucket: 303 to a signed URL, or 200 `{url, expires_at}` for who asks for JSON: a custom
 * header such as `X-API-Key` survives a redirect in curl, and the bucket refuses a request that carries two keys.
 */
export async function stored(
  call: Call,
  bucket: Bucket.Bucket,
  rel: string,
  fileName: string,
): Promise<Reply> {
  const signed = await Bucket.sign(bucket, rel, fileName);
  if (call.headers.accept?.includes("application/json")) return { status: 200, body: signed };
  return { status: 303, headers: { Location: signed.url } };
}

import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import type { Reply } from "#functions/request/operation";

/** Query parameter of routes whose answer may be an object in the bucket. */
export const as = z.enum(["url"]).optional().meta({
  description:
    "`url`: 200 `{url, expires_at}`, whatever the size. A custom header such as `X-API-Key` survives a redirect in curl, and a bucket refuses a request that carries two keys.",
});

export const SignedUrl = z.object({ url: z.string(), expires_at: z.iso.datetime() }).meta({
  id: "SignedUrl",
  description: "With `as=url`: the address from which it can be fetched for a limited time, without a key.",
});

/** An answer that is stored in the bucket: 303 to a signed URL, or with `as=url` 200 `{url, expires_at}`. */
export async function stored(
  bucket: Bucket.Bucket,
  object: { rel: string; fileName: string; as: "url" | undefined },
): Promise<Reply> {
  const signed = await Bucket.sign(bucket, object.rel, object.fileName);
  if (object.as === "url") return { status: 200, body: signed };
  return { status: 303, headers: { Location: signed.url } };
}

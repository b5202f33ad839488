import { PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import * as Bucket from "#core/artifact/bucket";

/**
 * A URL that takes one PUT of exactly this type and length, and only while nothing lies there: all three are signed
 * headers. They are named because the presigner leaves the type out unless it is asked, and must not begin to leave
 * out or to move into the URL the others. Write-once holds whatever `S3_ALLOW_OVERWRITE` says. Made without asking
 * the bucket; valid for `S3_PRESIGN_TTL_S` from `signedAt`.
 */
export async function presign(
  bucket: Bucket.Bucket,
  rel: string,
  object: { mimeType: string; bytes: number },
  signedAt: Date,
): Promise<{ url: string; headers: Record<string, string>; expiresAt: Date }> {
  const { presignTtlS } = bucket.settings;
  const signed = ["content-type", "content-length", "if-none-match"];
  // A signature's date has no fractions of a second.
  const signingDate = new Date(Math.floor(signedAt.getTime() / 1000) * 1000);
  const url = await getSignedUrl(
    bucket.client,
    new PutObjectCommand({
      Bucket: bucket.settings.bucket,
      Key: Bucket.absolute(bucket, rel),
      ContentType: object.mimeType,
      ContentLength: object.bytes,
      IfNoneMatch: "*",
    }),
    {
      expiresIn: presignTtlS,
      signingDate,
      signableHeaders: new Set(["host", ...signed]),
      unhoistableHeaders: new Set(signed),
    },
  );
  return {
    url,
    headers: {
      "Content-Type": object.mimeType,
      "Content-Length": String(object.bytes),
      "If-None-Match": "*",
    },
    expiresAt: new Date(signingDate.getTime() + presignTtlS * 1000),
  };
}

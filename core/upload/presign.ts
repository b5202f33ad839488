import { PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import * as Bucket from "#core/bucket/bucket";

/**
 * A URL that takes one PUT of exactly this length, and only while nothing lies there: both are signed headers. They are
 * named because the presigner must not begin to leave them out or to move them into the URL. The type is not signed: the
 * bytes decide what it is when it is read, and clients send types of their own (curl does). Write-once holds whatever
 * `S3_ALLOW_OVERWRITE` says. Made without asking the bucket; valid for `S3_PRESIGN_TTL_S` from `signedAt`.
 */
export async function presign(
  bucket: Bucket.Bucket,
  rel: string,
  object: { mimeType: string; bytes: number },
  signedAt: Date,
): Promise<{ url: string; headers: Record<string, string>; expiresAt: Date }> {
  const { presignTtlS } = bucket.settings;
  const signed = ["content-length", "if-none-match"];
  // A signature's date has no fractions of a second.
  const signingDate = new Date(Math.floor(signedAt.getTime() / 1000) * 1000);
  const url = await getSignedUrl(
    bucket.client,
    new PutObjectCommand({
      Bucket: bucket.settings.bucket,
      Key: Bucket.absolute(bucket, rel),
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

/** Stands for the file's path where its name is not known. */
const placeholder = "FILE";

/**
 * The PUT as a line for a terminal: bash, zsh and PowerShell (Windows PowerShell calls it `curl.exe`) read it alike, as
 * long as the file has no apostrophe in its name. Prints the bucket's status. The length follows from the file, and
 * `--globoff` takes brackets in its name as they are.
 * @param file - its path; `FILE` stands there without one, and for one that a terminal would not show as it is.
 */
export function curlLine(
  { url, headers }: { url: string; headers: Record<string, string> },
  file: string | undefined,
): string {
  // "-" and "." are no files to curl, but its standard input.
  const path =
    file === undefined || /\p{C}/u.test(file) ? placeholder : /^[-.]$/.test(file) ? `./${file}` : file;
  const sent = Object.entries(headers).filter(([name]) => name !== "Content-Length");
  return [
    "curl -sS --globoff",
    `-T ${quoted(path)}`,
    ...sent.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    "-w '%{http_code}\\n'",
    quoted(url),
  ].join(" ");
}

/** One word of a POSIX shell, whatever is in it. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

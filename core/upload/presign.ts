import * as Bucket from "#core/bucket/bucket";

const checksumHeader = "x-amz-checksum-sha256";

/**
 * A URL for one PUT of exactly this length, if there is no object yet: both are signed headers. They are listed,
 * because the presigner would otherwise leave them out or move them into the URL. The type is not signed: clients
 * send different types (such as curl), and the bytes decide when they are read. The PUT is write-once whatever
 * `S3_ALLOW_OVERWRITE` says. With a `sha256` (hex) the bucket takes only these bytes. No request to the bucket is made.
 * Valid for `S3_PRESIGN_TTL_S` from `signedAt`.
 */
export async function presign(
  bucket: Bucket.Bucket,
  rel: string,
  object: { mimeType: string; bytes: number; sha256?: string | undefined },
  signedAt: Date,
): Promise<{ url: string; headers: Record<string, string>; expiresAt: Date }> {
  const { presignTtlS } = bucket.settings;
  const sum = object.sha256 === undefined ? undefined : Bucket.base64Of(object.sha256);
  const signed = ["content-length", "if-none-match", ...(sum === undefined ? [] : [checksumHeader])];
  // The time in a signature has whole seconds.
  const signingDate = new Date(Math.floor(signedAt.getTime() / 1000) * 1000);
  const url = await bucket.client.sign(
    "PutObject",
    {
      Bucket: bucket.settings.bucket,
      Key: Bucket.absolute(bucket, rel),
      ContentLength: object.bytes,
      IfNoneMatch: "*",
      ...(sum === undefined ? {} : { ChecksumSHA256: sum }),
    },
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
      ...(sum === undefined ? {} : { [checksumHeader]: sum }),
    },
    expiresAt: new Date(signingDate.getTime() + presignTtlS * 1000),
  };
}

/** Replaces the file's path if its name is unknown. */
const placeholder = "FILE";

/**
 * The PUT as a line for a terminal. bash, zsh and PowerShell (in Windows PowerShell as `curl.exe`) read it alike if
 * the file's name has no apostrophe. It prints the bucket's status. curl takes the length from the file, and
 * `--globoff` takes brackets in the name literally.
 * @param file - its path; `FILE` replaces a missing one, and one that a terminal would not show unchanged.
 */
export function curlLine(
  { url, headers }: { url: string; headers: Record<string, string> },
  file: string | undefined,
): string {
  // curl takes "-" and "." for its standard input.
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

/** A text as one word of a POSIX shell. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

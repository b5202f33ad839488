import { createHash, randomBytes } from "node:crypto";
import type { Blob } from "#local/s3/blobs";
import { receive, receiveText } from "#local/s3/body";
import { body, type Call, iso, reply, replyXml } from "#local/s3/call";
import type { Part } from "#local/s3/catalog";
import { S3Error } from "#local/s3/error";
import { headersToStore, writeConditions } from "#local/s3/objects";
import { child, parse } from "#local/s3/xml";

const maxParts = 10_000;
/** Every part but the last (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). */
const minPartBytes = 5 * 1024 * 1024;
const maxCompleteBytes = 2 * 1024 * 1024;

export function createMultipartUpload(call: Call): void {
  call.catalog.check(call.bucket, call.key, {});
  const id = randomBytes(24).toString("base64url");
  const headers = headersToStore(call);
  call.catalog.createUpload(call.bucket, { id, key: call.key, headers, createdMs: Date.now() });
  replyXml(call, "InitiateMultipartUploadResult", { Bucket: call.bucket, Key: call.key, UploadId: id });
}

export async function uploadPart(call: Call): Promise<void> {
  const text = call.query.get("partNumber") ?? "";
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > maxParts)
    throw new S3Error(
      "InvalidArgument",
      `Part number must be an integer between 1 and ${maxParts}, inclusive`,
    );
  const id = uploadId(call);
  call.catalog.upload(call.bucket, call.key, id);
  const { md5, ...blob } = await call.blobs.write(receive(body(call)));
  let unused: Blob[] = [blob];
  try {
    const part = { number, etag: md5, modifiedMs: Date.now(), blob };
    unused = call.catalog.putPart(call.bucket, call.key, id, part);
  } finally {
    await call.blobs.remove(unused);
  }
  reply(call, 200, { etag: `"${md5}"` });
}

/** The parts' files become the object without a copy. */
export async function completeMultipartUpload(call: Call): Promise<void> {
  const { bucket, key, catalog } = call;
  const id = uploadId(call);
  const { headers } = catalog.upload(bucket, key, id);
  const conditions = writeConditions(call);
  const wanted = parseParts(await receiveText(body(call), maxCompleteBytes));
  const present = new Map(catalog.parts(id).map((part) => [part.number, part]));
  const parts = wanted.map(({ number, etag }) => {
    const part = present.get(number);
    if (part === undefined || part.etag !== etag)
      throw new S3Error(
        "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
      );
    return part;
  });
  if (parts.slice(0, -1).some(({ blob }) => blob.size < minPartBytes))
    throw new S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size");
  const blobs = parts.map(({ blob }) => blob);
  const object = {
    key,
    size: blobs.reduce((sum, { size }) => sum + size, 0),
    etag: etagOf(parts),
    modifiedMs: Date.now(),
    headers,
    blobs,
  };
  await call.blobs.remove(catalog.completeUpload(bucket, id, object, conditions));
  replyXml(call, "CompleteMultipartUploadResult", {
    Location: `http://${call.headers.host}/${bucket}/${key}`,
    Bucket: bucket,
    Key: key,
    ETag: `"${object.etag}"`,
  });
}

export async function abortMultipartUpload(call: Call): Promise<void> {
  await call.blobs.remove(call.catalog.abortUpload(call.bucket, call.key, uploadId(call)));
  reply(call, 204);
}

export function listParts(call: Call): void {
  const id = uploadId(call);
  call.catalog.upload(call.bucket, call.key, id);
  const after = Number(call.query.get("part-number-marker") ?? 0) || 0;
  const limit = Math.min(Number(call.query.get("max-parts") ?? 1000) || 1000, 1000);
  const all = call.catalog.parts(id).filter(({ number }) => number > after);
  const page = all.slice(0, limit);
  const truncated = all.length > page.length;
  replyXml(call, "ListPartsResult", {
    Bucket: call.bucket,
    Key: call.key,
    UploadId: id,
    PartNumberMarker: after,
    NextPartNumberMarker: truncated ? page.at(-1)?.number : undefined,
    MaxParts: limit,
    IsTruncated: truncated,
    Part: page.map(({ number, etag, modifiedMs, blob }) => ({
      PartNumber: number,
      LastModified: iso(modifiedMs),
      ETag: `"${etag}"`,
      Size: blob.size,
    })),
  });
}

/** S3's ETag of a multipart object: the MD5 of the parts' MD5s, and how many there are. */
function etagOf(parts: readonly Part[]): string {
  const hash = createHash("md5");
  for (const { etag } of parts) hash.update(Buffer.from(etag, "hex"));
  return `${hash.digest("hex")}-${parts.length}`;
}

function parseParts(xml: string): { number: number; etag: string }[] {
  const document = parse(xml);
  const parts = document.children
    .filter(({ name }) => name === "Part")
    .map((part) => ({
      number: Number(child(part, "PartNumber")),
      etag: (child(part, "ETag") ?? "").trim().replaceAll('"', ""),
    }));
  if (document.name !== "CompleteMultipartUpload" || parts.length === 0 || parts.length > maxParts)
    throw new S3Error("MalformedXML", `An upload is completed with 1 to ${maxParts} parts`);
  let before = 0;
  for (const { number } of parts) {
    if (!Number.isInteger(number)) throw new S3Error("MalformedXML", "PartNumber must be an integer");
    if (number <= before)
      throw new S3Error("InvalidPartOrder", "The list of parts was not in ascending order.");
    before = number;
  }
  return parts;
}

function uploadId(call: Call): string {
  return call.query.get("uploadId") ?? "";
}

import { validateHeaderValue } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Blob } from "#local/s3/blobs";
import { receive, receiveText } from "#local/s3/body";
import { body, type Call, iso, reply, replyXml } from "#local/s3/call";
import {
  type Conditions,
  noSuchBucket,
  noSuchKey,
  preconditionFailed,
  type StoredObject,
} from "#local/s3/catalog";
import { S3Error } from "#local/s3/error";
import { read } from "#local/s3/overlay";
import { child, type Element, parse } from "#local/s3/xml";

const storedHeaders = [
  "content-type",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "expires",
];
const maxMetadataBytes = 2048;
const maxDeleteBytes = 4 * 1024 * 1024;
const maxDeletes = 1000;

const checksum = "x-amz-checksum-sha256";

export async function putObject(call: Call): Promise<void> {
  const conditions = writeConditions(call);
  const sum = call.headers[checksum];
  // body.ts compares the body with it before the object is stored.
  const headers = { ...headersToStore(call), ...(sum === undefined ? {} : { [checksum]: sum }) };
  // Checked twice: now, so that a body is not read in vain, and again in the transaction, where it counts.
  call.catalog.check(call.bucket, call.key, conditions);
  const etag = await store(call, receive(body(call)), headers, conditions);
  reply(call, 200, { etag: `"${etag.etag}"` });
}

export async function copyObject(call: Call): Promise<void> {
  const [bucket, key] = copySource(call.headers["x-amz-copy-source"] ?? "");
  const conditions = writeConditions(call);
  call.catalog.check(call.bucket, call.key, conditions);
  if (!call.catalog.hasBucket(bucket)) throw noSuchBucket(bucket);
  const source = call.catalog.get(bucket, key);
  if (source === undefined) throw noSuchKey(key);
  const match = call.headers["x-amz-copy-source-if-match"];
  if (match !== undefined && !matches(match, source.etag))
    throw preconditionFailed("x-amz-copy-source-If-Match");
  const noneMatch = call.headers["x-amz-copy-source-if-none-match"];
  if (noneMatch !== undefined && matches(noneMatch, source.etag))
    throw preconditionFailed("x-amz-copy-source-If-None-Match");
  const replace = call.headers["x-amz-metadata-directive"]?.toUpperCase() === "REPLACE";
  if (!replace && bucket === call.bucket && key === call.key)
    throw new S3Error("InvalidRequest", "This copy request is illegal: it changes nothing.");
  const headers = replace ? headersToStore(call) : source.headers;
  const bytes = read(call.blobs, source, 0, source.size - 1);
  const { etag, modifiedMs } = await store(call, bytes, headers, conditions);
  replyXml(call, "CopyObjectResult", { ETag: `"${etag}"`, LastModified: iso(modifiedMs) });
}

/** Writes the bytes, then makes them the object; before the second step they are not visible. */
async function store(
  call: Call,
  bytes: AsyncIterable<Buffer>,
  headers: Record<string, string>,
  conditions: Conditions,
): Promise<StoredObject> {
  const { md5, ...blob } = await call.blobs.write(bytes);
  const { size } = blob;
  const object = { key: call.key, size, etag: md5, modifiedMs: Date.now(), headers, blobs: [blob] };
  let unused: Blob[] = [blob];
  try {
    unused = call.catalog.put(call.bucket, object, conditions);
  } finally {
    await call.blobs.remove(unused);
  }
  return object;
}

export async function getObject(call: Call): Promise<void> {
  const { response, bucket, key, catalog } = call;
  if (!catalog.hasBucket(bucket)) throw noSuchBucket(bucket);
  const object = catalog.get(bucket, key);
  if (object === undefined) throw noSuchKey(key);
  readConditions(call, object);
  const range = parseRange(call.headers.range, object.size);
  const [start, end] = range ?? [0, object.size - 1];
  const { [checksum]: sum, ...stored } = object.headers;
  // Of the whole object only, and only where it is asked for, as S3 does.
  const tells = call.headers["x-amz-checksum-mode"]?.toUpperCase() === "ENABLED" && range === undefined;
  const headers: Record<string, string | number> = {
    "content-type": "binary/octet-stream",
    ...stored,
    ...(tells && sum !== undefined ? { [checksum]: sum, "x-amz-checksum-type": "FULL_OBJECT" } : {}),
    ...overrides(call),
    "accept-ranges": "bytes",
    "content-length": end - start + 1,
    etag: `"${object.etag}"`,
    "last-modified": new Date(object.modifiedMs).toUTCString(),
    ...(range === undefined ? {} : { "content-range": `bytes ${start}-${end}/${object.size}` }),
  };
  const status = range === undefined ? 200 : 206;
  if (call.operation === "HeadObject" || start > end) {
    response.writeHead(status, headers);
    response.end();
    return;
  }
  const bytes = read(call.blobs, object, start, end);
  // The first bytes are read before the status is sent: a lost file is a clean 500.
  const first = await bytes.next();
  response.writeHead(status, headers);
  if (first.value !== undefined) response.write(first.value);
  await pipeline(Readable.from(bytes, { objectMode: false }), response);
}

export async function deleteObject(call: Call): Promise<void> {
  if (!call.catalog.hasBucket(call.bucket)) throw noSuchBucket(call.bucket);
  const match = call.headers["if-match"];
  await call.blobs.remove(call.catalog.delete(call.bucket, call.key, match && unquote(match)));
  reply(call, 204);
}

export async function deleteObjects(call: Call): Promise<void> {
  const { bucket, catalog, blobs } = call;
  if (!catalog.hasBucket(bucket)) throw noSuchBucket(bucket);
  const document = parse(await receiveText(body(call), maxDeleteBytes));
  const objects = document.children.filter(({ name }) => name === "Object");
  const keys = objects.map((object) => child(object, "Key"));
  if (document.name !== "Delete" || keys.length === 0 || keys.length > maxDeletes || keys.includes(undefined))
    throw new S3Error("MalformedXML", `A Delete names 1 to ${maxDeletes} objects by their Key`);
  const deleted: { Key: string }[] = [];
  const failed: { Key: string; Code: string; Message: string }[] = [];
  for (const object of objects) {
    const Key = child(object, "Key") ?? "";
    try {
      const etag = child(object as Element, "ETag");
      await blobs.remove(catalog.delete(bucket, Key, etag && unquote(etag)));
      deleted.push({ Key });
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      failed.push({ Key, Code: error.code, Message: error.message });
    }
  }
  const quiet = child(document, "Quiet") === "true";
  replyXml(call, "DeleteResult", { Deleted: quiet ? [] : deleted, Error: failed });
}

/** The conditions in the headers on the object that is replaced. Throws S3Error NotImplemented, as S3 does. */
export function writeConditions({ headers }: Call): Conditions {
  const noneMatch = headers["if-none-match"];
  const match = headers["if-match"];
  if (noneMatch !== undefined && noneMatch !== "*")
    throw new S3Error("NotImplemented", "If-None-Match of a write must be *");
  if (noneMatch !== undefined && match !== undefined)
    throw new S3Error("NotImplemented", "If-Match and If-None-Match cannot be combined");
  return {
    ...(noneMatch === undefined ? {} : { mustNotExist: true }),
    ...(match === undefined ? {} : { mustMatch: unquote(match) }),
  };
}

/** The headers that GET returns later. Throws S3Error MetadataTooLarge, InvalidArgument. */
export function headersToStore({ headers }: Call): Record<string, string> {
  const stored: Record<string, string> = {};
  let metadataBytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    const metadata = name.startsWith("x-amz-meta-");
    if (!metadata && !storedHeaders.includes(name)) continue;
    if (metadata) metadataBytes += name.length - "x-amz-meta-".length + Buffer.byteLength(value);
    checkHeader(name, value);
    stored[name] = value;
  }
  if (metadataBytes > maxMetadataBytes)
    throw new S3Error("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size");
  const coding = stored["content-encoding"]
    ?.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "aws-chunked");
  if (coding?.length === 0) delete stored["content-encoding"];
  else if (coding !== undefined) stored["content-encoding"] = coding.join(",");
  return stored;
}

/** Throws S3Error PreconditionFailed or NotModified; precedence as RFC 9110, 13.2.2. */
function readConditions({ headers }: Call, object: StoredObject): void {
  const modified = Math.floor(object.modifiedMs / 1000) * 1000;
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  const since = Date.parse(headers["if-modified-since"] ?? "");
  const until = Date.parse(headers["if-unmodified-since"] ?? "");
  if (match !== undefined) {
    if (!matches(match, object.etag)) throw preconditionFailed("If-Match");
  } else if (modified > until) throw preconditionFailed("If-Unmodified-Since");
  const unchanged = noneMatch === undefined ? modified <= since : matches(noneMatch, object.etag);
  if (unchanged)
    throw new S3Error("NotModified", "Not Modified", {
      headers: { etag: `"${object.etag}"`, "last-modified": new Date(modified).toUTCString() },
    });
}

/** Whether a list of ETags names this one. */
function matches(list: string, etag: string): boolean {
  return list.split(",").some((one) => one.trim() === "*" || unquote(one) === etag);
}

function unquote(etag: string): string {
  return etag.trim().replace(/^(?:W\/)?"(.*)"$/, "$1");
}

/** First and last byte; undefined when everything is to be sent. Throws S3Error InvalidRange. */
function parseRange(header: string | undefined, size: number): [number, number] | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  const [, from, to] = match ?? [];
  // Several ranges or another unit: S3 sends the whole object.
  if (from === undefined || to === undefined || (from === "" && to === "")) return undefined;
  const start = from === "" ? Math.max(size - Number(to), 0) : Number(from);
  const end = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < Number(from)) return undefined;
  if (start >= size || (from === "" && Number(to) === 0))
    throw new S3Error("InvalidRange", "The requested range is not satisfiable", {
      fields: { ActualObjectSize: String(size) },
      headers: { "content-range": `bytes */${size}` },
    });
  return [start, end];
}

/** `response-content-type` and similar parameters. Throws S3Error InvalidArgument. */
function overrides({ query }: Call): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of storedHeaders) {
    const value = query.get(`response-${name}`);
    if (value === undefined) continue;
    checkHeader(name, value);
    headers[name] = value;
  }
  return headers;
}

function checkHeader(name: string, value: string): void {
  try {
    validateHeaderValue(name, value);
  } catch {
    throw new S3Error("InvalidArgument", `The value of ${name} cannot be sent as a header`);
  }
}

function copySource(header: string): [string, string] {
  let path: string;
  try {
    path = decodeURIComponent(header.split("?")[0] ?? "").replace(/^\//, "");
  } catch {
    path = "";
  }
  const slash = path.indexOf("/");
  if (slash < 1 || slash === path.length - 1 || header.includes("?versionId="))
    throw new S3Error("InvalidArgument", "x-amz-copy-source must be /bucket/key, without a version");
  return [path.slice(0, slash), path.slice(slash + 1)];
}

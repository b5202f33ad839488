import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Blobs } from "#local/s3/blobs";
import { type Call, iso, type Operation, operationOf, reply, replyXml } from "#local/s3/call";
import { Catalog, noSuchBucket } from "#local/s3/catalog";
import { withCure } from "#local/s3/cures";
import { forStatus, S3Error } from "#local/s3/error";
import type { FolderOptions } from "#local/s3/folder";
import { listObjectsV2 } from "#local/s3/listing";
import * as Multipart from "#local/s3/multipart";
import * as Objects from "#local/s3/objects";
import { Overlay } from "#local/s3/overlay";
import { type Credentials, type SignedRequest, verify } from "#local/s3/signature";
import { render } from "#local/s3/xml";

/**
 * The S3 of the local loop and of the tests: a store of our own, because the two things this product's safety
 * rests on, conditional writes and refused signatures, are exactly what emulators leave out. fauxqs 2.4.1 as a
 * store behind a checking layer was measured and left: a PUT of 20 MB is 413 (it buffers bodies, 11 MiB at
 * most, which also rules out the 200 MB manifest), a key with `../` is written outside its folder, a key of 300
 * characters is a 500, and data and metadata are overwritten in place by separate unflushed writes.
 * Here a body is streamed to a file of its own, flushed, and becomes the object by one SQLite commit.
 */
export interface S3Server {
  /** http://127.0.0.1:port; path style: `<url>/<bucket>/<key>`. */
  url: string;
  /** Ends all connections at once; unanswered requests take effect completely or not at all. */
  close(): Promise<void>;
}

/** What a hook gets of a request with a valid signature. */
interface RequestInfo {
  method: string;
  operation: Operation;
  bucket: string;
  key: string;
}

/** For tests and benchmarks: counts, delays, or fails a request by a status; 0 cuts the connection. */
export type Hook = (request: RequestInfo) => HookAnswer | Promise<HookAnswer>;
// biome-ignore lint/suspicious/noConfusingVoidType: a hook that only counts returns nothing.
type HookAnswer = void | { status: number };

interface S3Options {
  /** Holds everything; made when missing. One process at a time. */
  dir: string;
  /** 0 or absent: any free port. */
  port?: number;
  host?: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** The answer of GetBucketLocation; signatures may name any region. */
  region?: string;
  /** Made when missing. */
  buckets: string[];
  /** Origins that browsers may call from; `*` is any. Default: none. */
  corsOrigins?: string[];
  /** A folder whose files are objects too, read-only. */
  folder?: FolderOptions;
  onRequest?: Hook;
}

/** How long closing waits for writes that lost their connection. */
const maxCloseMs = 1000;
const maxKeyBytes = 1024;
const uploadLifetimeMs = 7 * 24 * 3600 * 1000;

const operations: Record<Operation, (call: Call, options: S3Options) => void | Promise<void>> = {
  ListBuckets: (call) =>
    replyXml(call, "ListAllMyBucketsResult", {
      Owner: { ID: "local" },
      Buckets: {
        Bucket: call.catalog
          .buckets()
          .map(({ name, createdMs }) => ({ Name: name, CreationDate: iso(createdMs) })),
      },
    }),
  HeadBucket: (call, { region = "auto" }) => {
    if (!call.catalog.hasBucket(call.bucket)) throw noSuchBucket(call.bucket);
    reply(call, 200, { "x-amz-bucket-region": region });
  },
  CreateBucket: (call) => {
    createBucket(call.catalog, call.bucket);
    reply(call, 200, { location: `/${call.bucket}` });
  },
  DeleteBucket: (call) => {
    if (!call.catalog.hasBucket(call.bucket)) throw noSuchBucket(call.bucket);
    call.catalog.deleteBucket(call.bucket);
    reply(call, 204);
  },
  GetBucketLocation: (call, { region = "auto" }) => {
    if (!call.catalog.hasBucket(call.bucket)) throw noSuchBucket(call.bucket);
    replyXml(call, "LocationConstraint", region);
  },
  ListObjectsV2: listObjectsV2,
  DeleteObjects: Objects.deleteObjects,
  PutObject: Objects.putObject,
  CopyObject: Objects.copyObject,
  GetObject: Objects.getObject,
  HeadObject: Objects.getObject,
  DeleteObject: Objects.deleteObject,
  CreateMultipartUpload: Multipart.createMultipartUpload,
  UploadPart: Multipart.uploadPart,
  CompleteMultipartUpload: Multipart.completeMultipartUpload,
  AbortMultipartUpload: Multipart.abortMultipartUpload,
  ListParts: Multipart.listParts,
};

/**
 * Starts the store. Guarantees: only requests signed with the given key are carried out; `If-None-Match: *` and
 * `If-Match` are atomic; an answered write survives a kill -9 and is visible completely or not at all. Throws if the
 * folder is in use or the port is taken.
 */
export async function start(options: S3Options): Promise<S3Server> {
  mkdirSync(options.dir, { recursive: true });
  const catalog =
    options.folder === undefined ? new Catalog(options.dir) : new Overlay(options.dir, options.folder);
  const host = options.host ?? "127.0.0.1";
  try {
    const blobs = new Blobs(join(options.dir, "blobs"));
    catalog.expireUploads(Date.now() - uploadLifetimeMs);
    blobs.sweep(catalog.blobIds());
    for (const bucket of options.buckets) createBucket(catalog, bucket);
    const active = new Set<Promise<void>>();
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      const requestId = randomBytes(8).toString("hex").toUpperCase();
      response.setHeader("x-amz-request-id", requestId);
      // If the server refuses before it asks for the announced body, the client may not send it. Then the next request on
      // this connection would be read as that body.
      if (request.headers.expect !== undefined) response.setHeader("connection", "close");
      const done = answer({ request, response, requestId, options, catalog, blobs })
        .catch((error: unknown) => fail(request, response, requestId, error))
        .finally(() => active.delete(done));
      active.add(done);
    };
    const server = createServer(handle);
    // The body is asked for only when the signature and the conditions are right.
    server.on("checkContinue", handle);
    server.keepAliveTimeout = 75_000;
    // A large upload over a slow link is not an attack here.
    server.requestTimeout = 0;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port ?? 0, host, resolve);
    });
    const { port } = server.address() as AddressInfo;
    return {
      url: `http://${host}:${port}`,
      close: async () => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        await closed;
        // A hook that waits forever must not keep the store open.
        await Promise.race([Promise.allSettled(active), delay(maxCloseMs, undefined, { ref: false })]);
        catalog.close();
      },
    };
  } catch (error) {
    catalog.close();
    throw error;
  }
}

async function answer(exchange: Exchange): Promise<void> {
  const { request, response, options } = exchange;
  allowOrigin(request, response, options.corsOrigins ?? []);
  if (request.method === "OPTIONS") return preflight(request, response);
  const method = request.method ?? "";
  const { path, query } = parseUrl(request.url ?? "");
  const headers = joinHeaders(request);
  const signed: SignedRequest = { method, path, query, headers: Object.assign(Object.create(null), headers) };
  try {
    await carryOut(signed, headers, exchange);
  } catch (error) {
    throw withCure(error, signed);
  }
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  requestId: string;
  options: S3Options;
  catalog: Catalog;
  blobs: Blobs;
}

/** @param headers - of the request, to which those that a signed URL holds are added. */
async function carryOut(
  signed: SignedRequest,
  headers: Record<string, string>,
  { request, response, requestId, options, catalog, blobs }: Exchange,
): Promise<void> {
  const { method, path, query } = signed;
  const { payload, presigned } = await verify(signed, options as Credentials);
  if (presigned)
    for (const [name, value] of query) {
      const lower = name.toLowerCase();
      if (/^x-amz-(?!algorithm|credential|date|expires|signedheaders|signature)/.test(lower))
        headers[lower] ??= value;
    }

  const slash = path.indexOf("/", 1);
  const bucket = slash < 0 ? path.slice(1) : path.slice(1, slash);
  const key = slash < 0 ? "" : path.slice(slash + 1);
  if (Buffer.byteLength(key) > maxKeyBytes)
    throw new S3Error("KeyTooLongError", "Your key is too long", {
      fields: { MaxSizeAllowed: String(maxKeyBytes) },
    });
  const parameters = new Map(query);
  const operation = operationOf({ method, bucket, key, query: parameters, headers });
  const ordered = await options.onRequest?.({ method, operation, bucket, key });
  if (ordered?.status === 0) return void request.socket.destroy();
  if (ordered) throw forStatus(ordered.status);
  const call = {
    request,
    response,
    requestId,
    operation,
    bucket,
    key,
    query: parameters,
    headers,
    payload,
    catalog,
    blobs,
  };
  await operations[operation](call, options);
  // The unread rest of a body must not come before the next request on this connection.
  request.resume();
}

/** Sends S3's XML error; a HEAD and a 304 have no body. */
function fail(request: IncomingMessage, response: ServerResponse, requestId: string, error: unknown): void {
  const known =
    error instanceof S3Error ? error : new S3Error("InternalError", "We encountered an internal error.");
  if (known !== error && !clientLeft(error)) console.error(`s3: ${request.method} failed:`, error);
  if (response.headersSent || response.destroyed) return void response.destroy();
  // The rest of a refused body is read and dropped: cutting the connection would hide the answer from a client
  // that is still sending.
  request.resume();
  const { code, status, message, fields, headers } = known;
  const resource = request.url ?? "";
  const content = { Code: code, Message: message, ...fields, Resource: resource, RequestId: requestId };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (request.method === "HEAD" || status === 304) {
    response.writeHead(status).end();
    return;
  }
  const text = render("Error", content);
  response.writeHead(status, {
    "content-type": "application/xml",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** The error of a connection that ends within a body; not our fault. */
function clientLeft(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(?:ECONNRESET|EPIPE|ERR_STREAM_PREMATURE_CLOSE|ERR_STREAM_DESTROYED|ERR_STREAM_UNABLE_TO_PIPE)$/.test(
    code,
  );
}

/** Path and query, decoded once. Throws S3Error InvalidURI. */
function parseUrl(url: string): { path: string; query: [string, string][] } {
  const invalid = () => new S3Error("InvalidURI", "Couldn't parse the specified URI.");
  if (!url.startsWith("/")) throw invalid();
  const at = url.indexOf("?");
  const path = at < 0 ? url : url.slice(0, at);
  const search = at < 0 ? "" : url.slice(at + 1);
  try {
    const query = search
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair): [string, string] => {
        const equals = pair.indexOf("=");
        const [name, value] = equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
        const decode = (text: string) => decodeURIComponent(text.replaceAll("+", " "));
        return [decode(name), decode(value)];
      });
    const decoded = decodeURIComponent(path);
    if (decoded.includes("\u0000")) throw invalid();
    return { path: decoded, query };
  } catch {
    throw invalid();
  }
}

/** All headers, including repeated ones that Node would drop: each is part of the signed text. */
function joinHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, values] of Object.entries(request.headersDistinct))
    headers[name] = (values ?? []).join(",");
  return headers;
}

/** Throws S3Error InvalidBucketName (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html). */
function createBucket(catalog: Catalog, name: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) || name.includes("..") || /^\d+(\.\d+){3}$/.test(name))
    throw new S3Error("InvalidBucketName", "The specified bucket is not valid.", {
      fields: { BucketName: name },
    });
  catalog.createBucket(name);
}

function allowOrigin(request: IncomingMessage, response: ServerResponse, origins: string[]): void {
  const { origin } = request.headers;
  if (origin === undefined) return;
  response.setHeader("vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
  if (!origins.includes(origin) && !origins.includes("*")) return;
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader(
    "access-control-expose-headers",
    "ETag, Content-Length, Content-Range, x-amz-request-id",
  );
}

/** Browsers ask, unsigned, before a presigned PUT. Throws S3Error AccessForbidden. */
function preflight(request: IncomingMessage, response: ServerResponse): void {
  const method = request.headers["access-control-request-method"];
  if (!response.hasHeader("access-control-allow-origin") || method === undefined)
    throw new S3Error("AccessForbidden", "CORSResponse: This CORS request is not allowed.");
  response.setHeader("access-control-allow-methods", "GET, HEAD, PUT, POST, DELETE");
  response.setHeader("access-control-max-age", 3600);
  const headers = request.headers["access-control-request-headers"];
  if (headers !== undefined) response.setHeader("access-control-allow-headers", headers);
  response.writeHead(200, { "content-length": 0 });
  response.end();
}

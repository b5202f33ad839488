import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { S3Error } from "#local/s3/error";

/** The largest single PUT of S3. */
const maxObjectBytes = 5 * 1024 ** 3;

/** Compares a body with its headers, piece by piece. */
interface Check {
  update(chunk: Uint8Array): void;
  /** Throws S3Error if the body does not match. */
  finish(trailers: Map<string, string>): void;
}

export interface BodySource {
  stream: AsyncIterable<Buffer>;
  headers: Record<string, string>;
  /** From the signature: SHA-256 in hex, UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER. */
  payload: string;
}

const badDigest = (what: string) => new S3Error("BadDigest", `The ${what} you specified did not match`);

/**
 * The bytes of a request's body, without an aws-chunked coding. The iteration ends normally only if the body is
 * complete and matches its signed SHA-256, Content-MD5 and x-amz-checksum-*; otherwise it throws S3Error, or the
 * connection's error. Received bytes must not become visible before that.
 */
export async function* receive({ stream, headers, payload }: BodySource): AsyncGenerator<Buffer> {
  const chunked = payload === "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
  if (payload.startsWith("STREAMING-") && !chunked)
    throw new S3Error("NotImplemented", `Bodies with ${payload} are not accepted; use UNSIGNED-PAYLOAD`);
  const promised = chunked ? headers["x-amz-decoded-content-length"] : headers["content-length"];
  if (promised === undefined || !/^\d{1,15}$/.test(promised))
    throw new S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.");
  const length = Number(promised);
  if (length > maxObjectBytes)
    throw new S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");

  const checks = checksFor(headers, payload);
  const trailers = new Map<string, string>();
  let received = 0;
  for await (const chunk of chunked ? decode(stream, trailers) : stream) {
    received += chunk.length;
    if (received > length) break;
    for (const check of checks) check.update(chunk);
    yield chunk;
  }
  if (received !== length)
    throw new S3Error("IncompleteBody", "The request body does not have the length that was announced");
  for (const check of checks) check.finish(trailers);
}

/** A small body as text. Throws S3Error MalformedXML above `maxBytes`. */
export async function receiveText(source: BodySource, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of receive(source)) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new S3Error("MalformedXML", "The XML you provided is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function checksFor(headers: Record<string, string>, payload: string): Check[] {
  const checks: Check[] = [];
  const digest = (
    algorithm: "md5" | "sha1" | "sha256",
    wanted: Wanted,
    encoding: "hex" | "base64",
    error: S3Error,
  ) => {
    const hash = createHash(algorithm);
    checks.push({
      update: (chunk) => hash.update(chunk),
      finish: (trailers) => {
        if (hash.digest(encoding) !== wanted(trailers)) throw error;
      },
    });
  };
  if (/^[0-9a-f]{64}$/.test(payload)) {
    const error = new S3Error(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
    digest("sha256", () => payload, "hex", error);
  } else if (payload !== "UNSIGNED-PAYLOAD" && !payload.startsWith("STREAMING-")) {
    throw new S3Error(
      "InvalidArgument",
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.",
    );
  }
  const md5 = headers["content-md5"];
  if (md5 !== undefined) digest("md5", () => md5, "base64", badDigest("Content-MD5"));

  const trailing = (headers["x-amz-trailer"] ?? "").split(",").map((name) => name.trim().toLowerCase());
  const names = new Set(
    [...Object.keys(headers), ...trailing].filter((name) => /^x-amz-checksum-/.test(name)),
  );
  for (const name of names) {
    const wanted: Wanted = (trailers) => headers[name] ?? trailers.get(name);
    const algorithm = name.slice("x-amz-checksum-".length);
    if (algorithm === "sha1" || algorithm === "sha256") digest(algorithm, wanted, "base64", badDigest(name));
    else if (algorithm === "crc32") checks.push(crc32Check(wanted, badDigest(name)));
    else if (["crc32c", "crc64nvme"].includes(algorithm))
      throw new S3Error("NotImplemented", `${name} is not supported; use crc32, sha1 or sha256`);
  }
  return checks;
}

type Wanted = (trailers: Map<string, string>) => string | undefined;

function crc32Check(wanted: Wanted, error: S3Error): Check {
  let sum = 0;
  return {
    update: (chunk) => {
      sum = crc32(chunk, sum);
    },
    finish: (trailers) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(sum);
      if (bytes.toString("base64") !== wanted(trailers)) throw error;
    },
  };
}

const maxLineBytes = 4096;
const lineEnd = Buffer.from("\r\n");

/**
 * Removes the aws-chunked coding: `<hex size>\r\n<bytes>\r\n … 0\r\n<trailer>:<value>\r\n\r\n`.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
async function* decode(stream: AsyncIterable<Buffer>, trailers: Map<string, string>): AsyncGenerator<Buffer> {
  const broken = () => new S3Error("IncompleteBody", "The aws-chunked body is malformed or incomplete");
  let state = "size" as "size" | "data" | "data-end" | "trailer" | "end";
  let left = 0;
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      if (state === "data") {
        const part = pending.subarray(0, left);
        if (part.length > 0) yield part;
        pending = pending.subarray(part.length);
        left -= part.length;
        if (left > 0) break;
        state = "data-end";
      }
      if (state === "end") {
        if (pending.length > 0) throw broken();
        break;
      }
      const at = pending.indexOf(lineEnd);
      if (at > maxLineBytes || (at < 0 && pending.length > maxLineBytes)) throw broken();
      if (at < 0) break;
      const line = pending.subarray(0, at).toString("latin1");
      pending = pending.subarray(at + 2);
      if (state === "data-end") {
        if (line !== "") throw broken();
        state = "size";
      } else if (state === "size") {
        const size = /^([0-9a-f]{1,9})(?:;.*)?$/i.exec(line)?.[1];
        if (size === undefined) throw broken();
        left = Number.parseInt(size, 16);
        state = left === 0 ? "trailer" : "data";
      } else if (line === "") {
        state = "end";
      } else {
        const colon = line.indexOf(":");
        if (colon < 1) throw broken();
        trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
      }
    }
  }
  // Some clients leave out the empty line after the last chunk or trailer.
  if (state !== "end" && !(state === "trailer" && pending.length === 0)) throw broken();
}

import { timingSafeEqual } from "node:crypto";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import { S3Error } from "#local/s3/error";

/** A request as it came over the wire: names lower case, repeated headers joined with commas. */
export interface SignedRequest {
  method: string;
  /** Decoded; it is encoded again by AWS's rules, so that a client's own escapes do not matter. */
  path: string;
  query: [name: string, value: string][];
  headers: Record<string, string>;
}

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

interface Verified {
  /** The body's value in the signature: a SHA-256 in hex, UNSIGNED-PAYLOAD or STREAMING-…. */
  payload: string;
  presigned: boolean;
}

const unsignedPayload = "UNSIGNED-PAYLOAD";
const maxSkewMs = 15 * 60 * 1000;
const maxExpiresSeconds = 7 * 24 * 3600;
/** Query parameters that the presigner writes itself. */
const authParameters = new Set([
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Date",
  "X-Amz-Expires",
  "X-Amz-SignedHeaders",
  "X-Amz-Signature",
]);

interface Claim {
  scope: { day: string; region: string };
  signedHeaders: string[];
  signature: string;
  date: Date;
}

/**
 * Checks AWS Signature Version 4 in the Authorization header or in a presigned URL, by signing the request
 * again with AWS's own signer. Any region is accepted, the service must be s3. As S3 does, it demands that
 * `host` and every x-amz-* header of the request are signed, so none can be added on the way.
 * Throws S3Error: AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed, …
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */
export async function verify(
  request: SignedRequest,
  credentials: Credentials,
  now: Date = new Date(),
): Promise<Verified> {
  const presigned = request.query.some(([name]) => name === "X-Amz-Signature" || name === "X-Amz-Algorithm");
  const { authorization } = request.headers;
  if (presigned && authorization !== undefined)
    throw new S3Error("InvalidArgument", "Only one auth mechanism allowed");
  if (!presigned && authorization === undefined) throw new S3Error("AccessDenied", "Access Denied");
  return presigned ? verifyUrl(request, credentials, now) : verifyHeader(request, credentials, now);
}

async function verifyHeader(request: SignedRequest, credentials: Credentials, now: Date): Promise<Verified> {
  const malformed = (why: string) => new S3Error("AuthorizationHeaderMalformed", why);
  const [algorithm, ...rest] = (request.headers.authorization ?? "").split(" ");
  if (algorithm !== "AWS4-HMAC-SHA256")
    throw new S3Error("InvalidArgument", "Unsupported Authorization Type");
  const fields = new Map(
    rest
      .join("")
      .split(",")
      .map((field) => {
        const at = field.indexOf("=");
        return [field.slice(0, at), field.slice(at + 1)];
      }),
  );
  const date = parseDate(request.headers["x-amz-date"]);
  if (date === undefined)
    throw new S3Error("AccessDenied", "AWS authentication requires a valid x-amz-date header");
  const scope = parseCredential(fields.get("Credential"), credentials, malformed);
  const claim = parseClaim(
    scope,
    date,
    { signed: fields.get("SignedHeaders"), signature: fields.get("Signature") },
    malformed,
  );
  const payload = request.headers["x-amz-content-sha256"];
  if (payload === undefined)
    throw new S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  requireSigned(request, claim);

  const resigned = await signer(credentials, scope.region).sign(
    { ...base(request), headers: signedHeaders(request, claim), query: bag(request.query) },
    { signingDate: date, signableHeaders: new Set(claim.signedHeaders) },
  );
  const expected = /Signature=([0-9a-f]{64})$/.exec(resigned.headers.authorization ?? "")?.[1];
  compare(claim.signature, expected);
  // Checked after the signature, so that a caller without the key learns nothing about the clock.
  if (Math.abs(now.getTime() - date.getTime()) > maxSkewMs)
    throw new S3Error(
      "RequestTimeTooSkewed",
      "The difference between the request time and the current time is too large.",
      {
        fields: {
          RequestTime: request.headers["x-amz-date"] ?? "",
          ServerTime: now.toISOString(),
          MaxAllowedSkewMilliseconds: String(maxSkewMs),
        },
      },
    );
  return { payload, presigned: false };
}

async function verifyUrl(request: SignedRequest, credentials: Credentials, now: Date): Promise<Verified> {
  const malformed = (why: string) => new S3Error("AuthorizationQueryParametersError", why);
  const query = new Map(request.query);
  for (const name of authParameters) {
    if (!query.has(name))
      throw malformed(`Query-string authentication version 4 requires the ${name} parameter`);
    // A repeated parameter is refused, because two readers could disagree on which one counts.
    if (request.query.filter(([other]) => other === name).length > 1) throw malformed(`${name} is repeated`);
  }
  if (query.get("X-Amz-Algorithm") !== "AWS4-HMAC-SHA256")
    throw malformed("X-Amz-Algorithm only supports AWS4-HMAC-SHA256");
  const date = parseDate(query.get("X-Amz-Date"));
  if (date === undefined) throw malformed("X-Amz-Date must be in the ISO8601 Long Format");
  const expires = query.get("X-Amz-Expires") ?? "";
  const expiresIn = Number(expires);
  if (!/^\d{1,7}$/.test(expires) || expiresIn < 1 || expiresIn > maxExpiresSeconds)
    throw malformed(`X-Amz-Expires must be a number of seconds from 1 to ${maxExpiresSeconds}`);
  const scope = parseCredential(query.get("X-Amz-Credential"), credentials, malformed);
  const stated = { signed: query.get("X-Amz-SignedHeaders"), signature: query.get("X-Amz-Signature") };
  const claim = parseClaim(scope, date, stated, malformed);
  requireSigned(request, claim);

  const payload =
    (claim.signedHeaders.includes("x-amz-content-sha256")
      ? request.headers["x-amz-content-sha256"]
      : request.query.find(([name]) => name.toLowerCase() === "x-amz-content-sha256")?.[1]) ??
    unsignedPayload;
  const headers = signedHeaders(request, claim);
  const resigned = await signer(credentials, scope.region).presign(
    {
      ...base(request),
      // The signer takes the payload's hash from this header; unless it was signed, it is not part of it.
      headers: { ...headers, "x-amz-content-sha256": payload },
      query: bag(request.query.filter(([name]) => !authParameters.has(name))),
    },
    {
      signingDate: date,
      expiresIn,
      signableHeaders: new Set(claim.signedHeaders),
      unsignableHeaders: new Set(["x-amz-content-sha256"]),
      // Headers stay headers; values that were moved into the URL are in its query already.
      unhoistableHeaders: new Set([...claim.signedHeaders, "x-amz-content-sha256"]),
    },
  );
  const expected = resigned.query?.["X-Amz-Signature"];
  compare(claim.signature, typeof expected === "string" ? expected : undefined);
  const end = date.getTime() + expiresIn * 1000;
  if (date.getTime() - now.getTime() > maxSkewMs)
    throw new S3Error("AccessDenied", "Request is not valid yet");
  if (now.getTime() > end)
    throw new S3Error("AccessDenied", "Request has expired", {
      fields: {
        "X-Amz-Expires": expires,
        Expires: new Date(end).toISOString(),
        ServerTime: now.toISOString(),
      },
    });
  return { payload, presigned: true };
}

function signer(credentials: Credentials, region: string): SignatureV4 {
  return new SignatureV4({
    credentials,
    region,
    service: "s3",
    sha256: Sha256,
    // S3 signs the path encoded once, and neither `..` nor `//` is resolved.
    uriEscapePath: false,
    applyChecksum: false,
  });
}

function base(request: SignedRequest) {
  return {
    method: request.method,
    protocol: "http:",
    hostname: request.headers.host ?? "",
    path: encodePath(request.path),
  };
}

/** Percent-encoding by RFC 3986's unreserved characters, slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encode).join("/");
}

/** Percent-encoding of everything but RFC 3986's unreserved characters. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function bag(query: [string, string][]): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of query) {
    const before = result[name];
    result[name] = before === undefined ? value : [before, value].flat();
  }
  return result;
}

function signedHeaders(request: SignedRequest, claim: Claim): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const name of claim.signedHeaders) headers[name] = request.headers[name] ?? "";
  return headers;
}

function requireSigned(request: SignedRequest, claim: Claim): void {
  const missing = claim.signedHeaders.find((name) => request.headers[name] === undefined);
  if (missing !== undefined) throw mismatch();
  const unsigned = Object.keys(request.headers).filter(
    (name) => (name === "host" || name.startsWith("x-amz-")) && !claim.signedHeaders.includes(name),
  );
  if (unsigned.length > 0)
    throw new S3Error("AccessDenied", "There were headers present in the request which were not signed", {
      fields: { HeadersNotSigned: unsigned.join(", ") },
    });
}

function parseClaim(
  scope: Claim["scope"],
  date: Date,
  { signed, signature }: { signed: string | undefined; signature: string | undefined },
  malformed: (why: string) => S3Error,
): Claim {
  if (signed === undefined || signed === "") throw malformed("SignedHeaders is missing");
  if (signature === undefined || !/^[0-9a-f]{64}$/.test(signature)) throw mismatch();
  if (date.toISOString().slice(0, 10).replaceAll("-", "") !== scope.day)
    throw malformed("The date of the credential scope is not that of the request");
  return { scope, signedHeaders: signed.toLowerCase().split(";"), signature, date };
}

/** `<access key>/<day>/<region>/s3/aws4_request` */
function parseCredential(
  text: string | undefined,
  credentials: Credentials,
  malformed: (why: string) => S3Error,
): { day: string; region: string } {
  const match = /^(.+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request$/.exec(text ?? "");
  const [, accessKeyId, day, region, service] = match ?? [];
  if (accessKeyId === undefined || day === undefined || region === undefined)
    throw malformed("The credential is malformed; expecting <access key>/YYYYMMDD/<region>/s3/aws4_request");
  if (service !== "s3") throw malformed(`The service ${service} is not s3`);
  if (accessKeyId !== credentials.accessKeyId)
    throw new S3Error(
      "InvalidAccessKeyId",
      "The AWS access key Id you provided does not exist in our records.",
      {
        fields: { AWSAccessKeyId: accessKeyId },
      },
    );
  return { day, region };
}

function parseDate(text: string | undefined): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? "");
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function compare(given: string, expected: string | undefined): void {
  if (expected === undefined || !timingSafeEqual(Buffer.from(given), Buffer.from(expected))) throw mismatch();
}

function mismatch(): S3Error {
  return new S3Error(
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
  );
}

import { S3Error } from "#local/s3/error";
import type { SignedRequest } from "#local/s3/signature";

/**
 * Explains what is wrong with a signed URL and what to do, after the words of S3. The code stays S3's, because
 * programs depend on it. R2 and AWS give only the first sentence; docs/large-files.md explains their answers.
 */
export function withCure(error: unknown, request: SignedRequest): unknown {
  if (!(error instanceof S3Error)) return error;
  const query = new Map(request.query);
  // A URL that was cut off at its first "&" has still the beginning of a signed one.
  if (![...query.keys()].some((name) => name.startsWith("X-Amz-"))) return error;
  const cure = cureOf(error, request, query);
  if (cure === undefined) return error;
  const { code, message, fields, headers, status } = error;
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return new S3Error(code, `${sentence} ${cure}`, { fields, headers, status });
}

function cureOf(
  { code, message }: S3Error,
  request: SignedRequest,
  query: ReadonlyMap<string, string>,
): string | undefined {
  if (code === "AuthorizationQueryParametersError" || !query.has("X-Amz-Signature"))
    return "The URL has lost a part: put the whole of it in single quotes, or a shell cuts it at the first '&'.";
  if (code === "InvalidArgument" && request.headers.authorization !== undefined)
    return "Leave Authorization out: the URL is its own permission, and your API key is not for the bucket.";
  if (code === "AccessDenied" && message.startsWith("Request has expired"))
    return "Ask for a new URL (POST /v1/uploads for an upload): this one has expired.";
  if (code === "AccessDenied" && message.startsWith("There were headers"))
    return "Leave out every x-amz- header that is not in the answer's headers.";
  if (code === "PreconditionFailed" && request.method === "PUT")
    return "An object is there already, and an upload accepts one PUT. If it was yours, use its image_ref; for other bytes announce another upload (POST /v1/uploads).";
  if (code === "SignatureDoesNotMatch") return mismatch(request, query);
  return undefined;
}

/** Tells which of the signed values this request has changed, as far as the server can know. */
function mismatch({ method, headers }: SignedRequest, query: ReadonlyMap<string, string>): string {
  const signed = (query.get("X-Amz-SignedHeaders") ?? "").split(";").filter((name) => name !== "host");
  if (!signed.includes("content-length"))
    return `Signed are the method and all of the URL; this is a ${method}. Use the URL whole and unchanged, in single quotes.`;
  const sent = signed.map((name) =>
    headers[name] === undefined ? `no ${titled(name)}` : `${titled(name)}: ${headers[name]}`,
  );
  return `Signed are PUT, the URL, and ${signed.map(titled).join(" and ")} as POST /v1/uploads answered them in \`headers\`; this is a ${method} with ${sent.join(" and ")}. Send the file that was measured (bytes is its exact size, curl -T FILE sends it) and -H 'If-None-Match: *'.`;
}

const titled = (name: string) => name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());

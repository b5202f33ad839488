import { AppError, invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import * as TooLarge from "#core/upload/too-large";
import { request } from "./connect.ts";
import { type Address, parse, type Reason, RefusedError, resolve, type World } from "./resolve.ts";

interface Limits {
  log: Log;
  protocols: readonly string[];
  maxBytes: number;
  /** Whether a host may be asked; called for the first host and for each redirect, as `URL` names it. Unset: any. */
  allowsHost?: ((hostname: string) => boolean) | undefined;
  /** The time from the first look-up to the last byte, including redirects. */
  timeoutMs: number;
}

const maxRedirects = 3;
const redirects = new Set([301, 302, 303, 307, 308]);

/** Why a download failed, in words for the caller. */
const messages: Record<Reason, string> = {
  url_invalid: "not a URL: one begins with https:// or http://",
  url_not_allowed:
    "only http and https URLs of public hosts, without user name or password, on the scheme's own port",
  host_not_allowed: "the host, or one that it redirects to, is not in IMAGE_URL_HOSTS",
  address_not_allowed: "the host is not on the public internet",
  url_unreachable: "the host did not answer, or closed the connection early",
  url_timeout: "the picture did not arrive in time",
  url_status: "the host answered with another status than 200",
  content_encoding: "the host sent a compressed body",
  too_many_redirects: `the host redirected more than ${maxRedirects} times`,
};

/**
 * Downloads the picture at a URL that a user chose, protected against requests into our own network (SSRF):
 * - scheme, user info, port and host name are checked before any look-up (resolve.ts);
 * - every address of the name must be allowed, and the connection uses one of those (connect.ts);
 * - each redirect is checked like the first URL;
 * - no credentials, cookies or proxy settings are sent, and no compressed body is accepted;
 * - size and time are limited, whatever the host announces.
 * @throws AppError `invalid_request` with `details.reason`, `image_too_large`. No error names a URL, host or
 *   address.
 */
export async function download(text: string, limits: Limits, world: World): Promise<Uint8Array> {
  const startedAt = Date.now();
  const timeout = AbortSignal.timeout(Math.max(1, limits.timeoutMs));
  let hops = 0;
  try {
    let url = parse(text);
    for (;;) {
      if (limits.allowsHost?.(url.hostname) === false) throw new RefusedError("host_not_allowed");
      const addresses = await resolve(url, limits.protocols, world, timeout);
      const answer = await get({ url, addresses, world }, limits, timeout);
      if (answer instanceof Uint8Array) {
        limits.log.info("url_get", {
          bytes: answer.length,
          redirects: hops,
          duration_ms: Date.now() - startedAt,
        });
        return answer;
      }
      if (hops === maxRedirects) throw new RefusedError("too_many_redirects");
      hops += 1;
      url = parse(answer.location, url);
    }
  } catch (thrown) {
    const error = toAppError(thrown, timeout);
    limits.log.info("url_get", {
      reason: String(error.details?.reason ?? error.code),
      redirects: hops,
      duration_ms: Date.now() - startedAt,
    });
    throw error;
  }
}

/** Makes one request to one of the addresses. @returns the body, or the target of a redirect. */
async function get(
  target: { url: URL; addresses: Address[]; world: World },
  limits: Limits,
  signal: AbortSignal,
): Promise<Uint8Array | { location: string }> {
  const headers = { accept: "image/*", "accept-encoding": "identity", "user-agent": "ocrlty" };
  const options = { method: "GET", headers, timeoutMs: limits.timeoutMs, signal } as const;
  return request(target, options, async (answer) => {
    const { location } = answer.headers;
    if (redirects.has(answer.statusCode) && typeof location === "string") return { location };
    if (answer.statusCode !== 200) throw new RefusedError("url_status", { status: answer.statusCode });
    const encoding = answer.headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") throw new RefusedError("content_encoding");
    const announced = Number(answer.headers["content-length"]);
    if (announced > limits.maxBytes) throw tooLarge(limits, announced);
    return collect(answer.body, limits);
  });
}

async function collect(body: AsyncIterable<Uint8Array>, limits: Limits): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > limits.maxBytes) throw tooLarge(limits, undefined);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Errors of resolver and sockets name hosts and addresses, so only our own errors are passed on. */
function toAppError(thrown: unknown, timeout: AbortSignal): AppError {
  if (thrown instanceof AppError) return thrown;
  const { reason, facts } =
    thrown instanceof RefusedError
      ? thrown
      : new RefusedError(timeout.aborted ? "url_timeout" : "url_unreachable");
  const message = `the picture could not be fetched: ${messages[reason]}`;
  return invalidRequest([{ path: "image_url", message }], { details: { reason, ...facts } });
}

const tooLarge = (limits: Limits, bytes: number | undefined) => TooLarge.remote(limits.maxBytes, bytes);

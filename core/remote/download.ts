import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { AppError } from "#core/error";
import type { Log } from "#core/log";

export interface Address {
  address: string;
  family: number;
}

/** What a download sees of the network. */
export interface World {
  /** Every address of a name. */
  lookup: (hostname: string) => Promise<Address[]>;
  /** Whether this address may be connected to. */
  allows: (address: string) => boolean;
  /** Whether a port may be named; the scheme's own always may. */
  allowsPort: (port: number) => boolean;
}

export interface Limits {
  log: Log;
  protocols: readonly string[];
  maxBytes: number;
  /** From the first look-up to the last byte, redirects included. */
  timeoutMs: number;
}

const maxRedirects = 3;
const redirects = new Set([301, 302, 303, 307, 308]);
/** Names that never leave a machine or a site. They are looked up by nobody, so no resolver can be talked into an answer. */
const localNames = /(?:^|\.)(?:localhost|localdomain|local|internal|home\.arpa|onion)$/;

/** Why a download did not happen; on the wire as `details.reason`. */
const messages = {
  url_invalid: "not a URL",
  url_not_allowed:
    "only http and https URLs of public hosts, without user name or password, on the scheme's own port",
  address_not_allowed: "the host is not on the public internet",
  url_unreachable: "the host did not answer, or broke off",
  url_timeout: "the picture did not arrive in time",
  url_status: "the host answered with another status than 200",
  content_encoding: "the host sent a compressed body",
  too_many_redirects: `the host redirected more than ${maxRedirects} times`,
} as const;
type Reason = keyof typeof messages;

/**
 * Downloads what a URL of a stranger's choice shows, without becoming his hands in our network:
 * - scheme, user info, port and name are judged before anything is looked up; the WHATWG parser has turned every
 *   notation of an address (octal, hex, short, full-width) into one by then;
 * - every address of the name must be allowed, and the connection goes to one of those very addresses: the name is
 *   not looked up again, so it cannot change its mind (DNS rebinding);
 * - each redirect is judged as the first URL was;
 * - nothing of ours goes along: no credentials, cookies or proxy settings; no compressed body is accepted;
 * - size and time are limits of what arrives, not of what the host announces.
 *
 * @throws AppError `invalid_request` with `details.reason`, `payload_too_large`. No error names URL, host or address.
 */
export async function download(text: string, limits: Limits, world: World): Promise<Uint8Array> {
  const startedAt = Date.now();
  const timeout = AbortSignal.timeout(Math.max(1, limits.timeoutMs));
  let hops = 0;
  try {
    let url = parse(text);
    for (;;) {
      const answer = await get(url, await resolve(url, limits, world, timeout), limits, world, timeout);
      if (answer instanceof Uint8Array) {
        limits.log.info("url_get", {
          bytes: answer.length,
          redirects: hops,
          duration_ms: Date.now() - startedAt,
        });
        return answer;
      }
      if (hops === maxRedirects) throw refused("too_many_redirects");
      hops += 1;
      url = parse(answer.location, url);
    }
  } catch (thrown) {
    // The thrown errors of resolver and sockets name hosts and addresses: only our own go further.
    const error =
      thrown instanceof AppError ? thrown : refused(timeout.aborted ? "url_timeout" : "url_unreachable");
    limits.log.info("url_get", {
      reason: String(error.details?.reason ?? error.code),
      redirects: hops,
      duration_ms: Date.now() - startedAt,
    });
    throw error;
  }
}

function parse(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw refused("url_invalid");
  return new URL(text, base);
}

/** The addresses to connect to, all of them allowed. */
async function resolve(url: URL, limits: Limits, world: World, signal: AbortSignal): Promise<Address[]> {
  if (!limits.protocols.includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw refused("url_not_allowed");
  }
  if (url.port !== "" && !world.allowsPort(Number(url.port))) throw refused("url_not_allowed");
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const literal = isIP(host);
  if (literal === 0 && (!host.includes(".") || localNames.test(host))) throw refused("url_not_allowed");
  const found =
    literal === 0 ? await unlessAborted(world.lookup(host), signal) : [{ address: host, family: literal }];
  if (found.length === 0) throw refused("url_unreachable");
  // One bad address among good ones is a trap: which one is connected to would be chance.
  if (!found.every(({ address }) => world.allows(address))) throw refused("address_not_allowed");
  return found;
}

/** One request to one of these addresses: the body, or where the host sends us. */
async function get(
  url: URL,
  addresses: Address[],
  limits: Limits,
  world: World,
  signal: AbortSignal,
): Promise<Uint8Array | { location: string }> {
  // Loaded by the first download: no other call has any use for it.
  const { Agent, buildConnector, request } = await import("undici");
  const lookup: LookupFunction = (_hostname, options, callback) => {
    const [first] = addresses;
    if (options.all) callback(null, addresses);
    else callback(null, first?.address ?? "", first?.family);
  };
  const connect = buildConnector({ lookup, allowH2: false, timeout: limits.timeoutMs });
  const agent = new Agent({
    pipelining: 0,
    connect: (options, callback) =>
      connect(options, (...[error, socket]) => {
        if (error !== null) return callback(error, null);
        // What was checked is what is connected to; said again by the socket itself.
        if (world.allows(socket.remoteAddress ?? "")) return callback(null, socket);
        socket.destroy();
        callback(new Error("connected to another address"), null);
      }),
  });
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      signal,
      headers: { accept: "image/*", "accept-encoding": "identity", "user-agent": "ocrlty" },
    });
    // What is left of a body that nobody reads ends with an error when the agent is destroyed.
    body.on("error", () => undefined);
    const { location } = headers;
    if (redirects.has(statusCode) && typeof location === "string") return { location };
    if (statusCode !== 200) throw refused("url_status", { status: statusCode });
    const encoding = headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") throw refused("content_encoding");
    const announced = Number(headers["content-length"]);
    if (announced > limits.maxBytes) throw tooLarge(limits, announced);
    return await collect(body, limits);
  } finally {
    await agent.destroy();
  }
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

/** A resolver cannot be called off; its late answer is nobody's business. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined);
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new Error("out of time"));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function refused(reason: Reason, facts: { status?: number } = {}): AppError {
  return new AppError("invalid_request", "the picture could not be fetched", {
    details: { reason, ...facts, issues: [{ path: "image_url", message: messages[reason] }] },
  });
}

function tooLarge(limits: Limits, bytes: number | undefined): AppError {
  return new AppError("payload_too_large", "the picture behind image_url is too large", {
    details: { limit_bytes: limits.maxBytes, ...(bytes === undefined ? {} : { bytes }) },
  });
}

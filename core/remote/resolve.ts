import { isIP } from "node:net";

export interface Address {
  address: string;
  family: number;
}

/** The part of the network that a request to a user's URL may reach. */
export interface World {
  /** Resolves a name to all of its addresses. */
  lookup: (hostname: string) => Promise<Address[]>;
  /** True if this address may be connected to. */
  allows: (address: string) => boolean;
  /** True if this port may be named; the scheme's own port always may. */
  allowsPort: (port: number) => boolean;
  /** True if names of this machine or site may be resolved; false by default. */
  allowsLocalNames?: boolean;
}

/** Why a URL was refused or failed; on the wire as `details.reason`. */
export type Reason =
  | "url_invalid"
  | "url_not_allowed"
  | "host_not_allowed"
  | "address_not_allowed"
  | "url_unreachable"
  | "url_timeout"
  | "url_status"
  | "content_encoding"
  | "too_many_redirects";

/** A URL that was refused or failed. The message gives the reason without the URL, host or address. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly reason: Reason;
  readonly facts: { status?: number };
  constructor(reason: Reason, facts: { status?: number } = {}) {
    super(reason);
    this.reason = reason;
    this.facts = facts;
  }
}

/** Names of this machine or site. They are never resolved, so that no resolver can be made to answer for them. */
const localNames = /(?:^|\.)(?:localhost|localdomain|local|internal|home\.arpa|onion)$/;

/** @throws RefusedError `url_invalid`. */
export function parse(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw new RefusedError("url_invalid");
  return new URL(text, base);
}

/**
 * Resolves a URL's host to addresses that are all allowed. Scheme, user info, port and name are checked before any
 * look-up; the WHATWG parser has already normalized every notation of an address (octal, hex, short, full-width).
 * @throws RefusedError; the resolver's errors.
 */
export async function resolve(
  url: URL,
  protocols: readonly string[],
  world: World,
  signal: AbortSignal,
): Promise<Address[]> {
  if (!protocols.includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw new RefusedError("url_not_allowed");
  }
  if (url.port !== "" && !world.allowsPort(Number(url.port))) throw new RefusedError("url_not_allowed");
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const literal = isIP(host);
  if (literal === 0 && world.allowsLocalNames !== true && (!host.includes(".") || localNames.test(host)))
    throw new RefusedError("url_not_allowed");
  const found =
    literal === 0 ? await unlessAborted(world.lookup(host), signal) : [{ address: host, family: literal }];
  if (found.length === 0) throw new RefusedError("url_unreachable");
  // One forbidden address among allowed ones is refused, because the choice of the connection would be random.
  if (!found.every(({ address }) => world.allows(address))) throw new RefusedError("address_not_allowed");
  return found;
}

/** A look-up cannot be canceled, so a late answer is dropped. */
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

import { isIP } from "node:net";

export interface Address {
  address: string;
  family: number;
}

/** What a request to a stranger's URL sees of the network. */
export interface World {
  /** Every address of a name. */
  lookup: (hostname: string) => Promise<Address[]>;
  /** Whether this address may be connected to. */
  allows: (address: string) => boolean;
  /** Whether a port may be named; the scheme's own always may. */
  allowsPort: (port: number) => boolean;
  /** Whether names that never leave a machine or a site may be looked up; default no. */
  allowsLocalNames?: boolean;
}

/** Why a URL is not asked, or did not answer; on the wire as `details.reason`. */
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

/** A URL that is not asked, or did not answer. Says why, and neither URL nor host nor address. */
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

/** Names that never leave a machine or a site. They are not looked up, so no resolver can be made to answer for them. */
const localNames = /(?:^|\.)(?:localhost|localdomain|local|internal|home\.arpa|onion)$/;

/** @throws RefusedError `url_invalid`. */
export function parse(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw new RefusedError("url_invalid");
  return new URL(text, base);
}

/**
 * The addresses to connect to, all of them allowed. Scheme, user info, port and name are judged before anything is
 * looked up; the WHATWG parser has turned every notation of an address (octal, hex, short, full-width) into one by then.
 * @throws RefusedError; what the resolver threw.
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
  // One bad address among good ones is a trap: which one is connected to would be chance.
  if (!found.every(({ address }) => world.allows(address))) throw new RefusedError("address_not_allowed");
  return found;
}

/** A look-up cannot be canceled; its late answer is dropped. */
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

import type { Event } from "./call.ts";

/** A host name or an address, as a URL writes it; anything else is not repeated to anybody. */
const hostName = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])$/i;

/**
 * Scheme, host and port by which a call came, for addresses in its answer: the gateway's own domain name, custom domain
 * included, which no caller can choose. The port is `Host`'s, where that names the same host: the gateway's is always
 * 443, the local loop's may lie behind a mapped port.
 */
export function originOf({ requestContext, headers }: Pick<Event, "requestContext" | "headers">): string {
  const scheme = headers?.["x-forwarded-proto"] === "http" ? "http" : "https";
  const domain = requestContext?.domainName ?? "";
  const name = hostName.test(domain) ? domain : "localhost";
  const [, host, port] = /^(.*?)(:\d{1,5})?$/.exec(headers?.host ?? "") ?? [];
  const standard = scheme === "http" ? ":80" : ":443";
  return `${scheme}://${name}${host === name && port !== undefined && port !== standard ? port : ""}`;
}

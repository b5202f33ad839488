import type { Event } from "./call.ts";

/** A host name or an address as in a URL; anything else is never repeated in an answer. */
const hostName = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])$/i;

/**
 * The scheme, host and port of a call, for the addresses in its answer. The host is the gateway's domain name (or its
 * custom domain), which callers cannot choose. The port comes from `Host` if that has the same host: the gateway's is
 * always 443, but the local loop may be behind a mapped port.
 */
export function originOf({ requestContext, headers }: Pick<Event, "requestContext" | "headers">): string {
  const scheme = headers?.["x-forwarded-proto"] === "http" ? "http" : "https";
  const domain = requestContext?.domainName ?? "";
  const name = hostName.test(domain) ? domain : "localhost";
  const [, host, port] = /^(.*?)(:\d{1,5})?$/.exec(headers?.host ?? "") ?? [];
  const standard = scheme === "http" ? ":80" : ":443";
  return `${scheme}://${name}${host === name && port !== undefined && port !== standard ? port : ""}`;
}

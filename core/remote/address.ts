import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * Public by its registry entry and still not the internet: Azure answers metadata and credentials of the machine
 * itself there, from every virtual network (Microsoft's page "What is IP address 168.63.129.16?").
 */
const platformAddresses = new Set(["168.63.129.16"]);

/** Where the IANA hands out global unicast addresses; everything else of IPv6 is for something special or for nothing yet. */
const globalUnicast = ipaddr.IPv6.parse("2000::");
const globalUnicastBits = 3;

/**
 * Whether an address is a host of the public internet. Refused: private, loopback, link-local (cloud metadata),
 * carrier-grade NAT, multicast, broadcast, unspecified, documentation, benchmarking, reserved, and every form of
 * IPv6 that carries an IPv4 address in it (mapped, translated, 6to4, Teredo, NAT64), whatever that address is.
 * Takes what resolvers and sockets give, no other notation: anything else is not public.
 * Source: IANA's special-purpose address registries, by ipaddr.js.
 */
export function isPublic(address: string): boolean {
  // A zone names an interface of this machine.
  if (isIP(address) === 0 || address.includes("%")) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast") return false;
  if (parsed instanceof ipaddr.IPv6) return parsed.match(globalUnicast, globalUnicastBits);
  return !platformAddresses.has(parsed.toString());
}

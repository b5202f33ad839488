import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * Public by its registry entry, but not on the internet: Azure serves metadata and credentials of the machine there,
 * in every virtual network (Microsoft's page "What is IP address 168.63.129.16?").
 */
const platformAddresses = new Set(["168.63.129.16"]);

/** The range from which the IANA assigns global unicast addresses; the rest of IPv6 has special uses or none. */
const globalUnicast = ipaddr.IPv6.parse("2000::");
const globalUnicastBits = 3;

/**
 * True if an address is on the public internet. Refused: private, loopback, link-local (cloud metadata),
 * carrier-grade NAT, multicast, broadcast, unspecified, documentation, benchmarking, reserved, and every form of IPv6
 * that contains an IPv4 address (mapped, translated, 6to4, Teredo, NAT64). Accepts the notation of resolvers and
 * sockets; any other text is not public. Source: IANA's special-purpose address registries, by ipaddr.js.
 */
export function isPublic(address: string): boolean {
  // A zone names a network interface of this machine.
  if (isIP(address) === 0 || address.includes("%")) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast") return false;
  if (parsed instanceof ipaddr.IPv6) return parsed.match(globalUnicast, globalUnicastBits);
  return !platformAddresses.has(parsed.toString());
}

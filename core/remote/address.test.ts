import { describe, expect, test } from "vitest";
import { isPublic } from "#core/remote/address";

describe("the public internet", () => {
  const open = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "100.128.0.1",
    "223.255.255.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
  ];
  test.each(open)("%s is on the public internet", (address) => expect(isPublic(address)).toBe(true));

  const closed: [string, string][] = [
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "this network"],
    ["10.1.2.3", "private"],
    ["100.64.0.1", "carrier-grade NAT"],
    ["100.100.100.200", "Alibaba's metadata, in carrier-grade NAT"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["168.63.129.16", "Azure's platform address"],
    ["169.254.169.254", "metadata"],
    ["169.254.170.2", "container credentials"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.0.0.192", "Oracle's metadata, IETF assignments"],
    ["192.0.2.1", "documentation"],
    ["192.88.99.1", "6to4 relays"],
    ["192.168.1.1", "private"],
    ["198.18.0.1", "benchmarking"],
    ["198.51.100.1", "documentation"],
    ["203.0.113.1", "documentation"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.250", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "broadcast"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["::127.0.0.1", "IPv4-compatible"],
    ["::ffff:127.0.0.1", "mapped"],
    ["::ffff:8.8.8.8", "mapped, though the address in it is public"],
    ["::ffff:0:8.8.8.8", "translated"],
    ["64:ff9b::a9fe:a9fe", "NAT64"],
    ["64:ff9b:1::1", "local NAT64"],
    ["100::1", "discard"],
    ["2001::1", "Teredo"],
    ["2001:2::1", "benchmarking"],
    ["2001:10::1", "ORCHID"],
    ["2001:20::1", "ORCHIDv2"],
    ["2001:db8::1", "documentation"],
    ["2002:7f00:1::1", "6to4 of loopback"],
    ["2002:808:808::1", "6to4 of a public address"],
    ["3fff::1", "documentation"],
    ["4000::1", "not handed out"],
    ["5f00::1", "segment routing"],
    ["fc00::1", "unique local"],
    ["fd00:ec2::254", "metadata"],
    ["fe80::1", "link-local"],
    ["fe80::1%eth0", "link-local with a zone"],
    ["2606:4700::1111%lo", "a zone on anything"],
    ["fec0::1", "site-local"],
    ["ff02::1", "multicast"],
  ];
  test.each(closed)("%s is not on the public internet: %s", (address) =>
    expect(isPublic(address)).toBe(false),
  );

  test("a text that is not in a resolver's notation is not an address", () => {
    for (const text of [
      "",
      "localhost",
      "1",
      "2130706433",
      "8.8",
      "08.8.8.8",
      "0x08080808",
      " 8.8.8.8",
      "8.8.8.8 ",
      "[::1]",
      "1.1.1.1/0",
    ]) {
      expect(isPublic(text), text).toBe(false);
    }
  });
});

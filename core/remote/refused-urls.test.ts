import * as net from "node:net";
import { describe, expect, test, vi } from "vitest";
import { internet, lines, reasonOf, refusal } from "./download-for-tests.ts";

describe("a URL into our own network", () => {
  const notAllowed = "url_not_allowed";
  const noAddress = "address_not_allowed";
  const hostile: [string, string][] = [
    // Decimal, octal, hexadecimal, short forms and mixtures of 127.0.0.1 and 169.254.169.254.
    ["http://127.0.0.1/x", noAddress],
    ["http://127.1/x", noAddress],
    ["http://127.0.1/x", noAddress],
    ["http://2130706433/x", noAddress],
    ["http://017700000001/x", noAddress],
    ["http://0x7f000001/x", noAddress],
    ["http://0x7f.1/x", noAddress],
    ["http://0177.0.0.1/x", noAddress],
    ["http://0x7f.0.0x0.01/x", noAddress],
    ["http://00000177.0.0.1/x", noAddress],
    ["http://2852039166/x", noAddress],
    ["http://0xa9fea9fe/x", noAddress],
    ["http://0xA9.0xFE.0xA9.0xFE/x", noAddress],
    ["http://0251.0376.0251.0376/x", noAddress],
    ["http://169.254.43518/x", noAddress],
    ["http://169.16689662/x", noAddress],
    ["http://0/x", noAddress],
    ["http://0.0.0.0/x", noAddress],
    ["http://0x0/x", noAddress],
    ["http://10.0.0.1/x", noAddress],
    ["http://192.168.0.1/x", noAddress],
    ["http://172.16.0.1/x", noAddress],
    ["http://100.64.0.1/x", noAddress],
    ["http://168.63.129.16/x", noAddress],
    ["http://255.255.255.255/x", noAddress],
    ["http://224.0.0.1/x", noAddress],
    // Trailing dots, escapes, tabs, backslashes, missing slashes, upper case.
    ["http://127.0.0.1./x", noAddress],
    ["http://127.0.0.%31/x", noAddress],
    ["http://%31%32%37.0.0.1/x", noAddress],
    ["http://127.0.0.1\t/x", noAddress],
    ["ht\ntp://127.0.0.1/x", noAddress],
    ["  http://127.0.0.1/x", noAddress],
    ["http:\\\\127.0.0.1\\x", noAddress],
    ["http:127.0.0.1/x", noAddress],
    ["HTTP://127.0.0.1/x", noAddress],
    ["http:////127.0.0.1/x", noAddress],
    // Digits and dots of other scripts.
    ["http://127。0。0。1/x", noAddress],
    ["http://①②⑦.⓪.⓪.①/x", noAddress],
    ["http://１２７.０.０.１/x", noAddress],
    ["http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/x", noAddress],
    ["http://1６9.254.1⁶9.2⁵4/x", noAddress],
    ["http://１２７．１/x", noAddress],
    ["http://12\u00ad7.0.0.1/x", noAddress],
    // IPv6: loopback, mapped, compatible, translated, link-local, unique local, 6to4, Teredo, NAT64, zones.
    ["http://[::1]/x", noAddress],
    ["http://[0:0:0:0:0:0:0:1]/x", noAddress],
    ["http://[0000:0000:0000:0000:0000:0000:0000:0001]/x", noAddress],
    ["http://[::]/x", noAddress],
    ["http://[::ffff:127.0.0.1]/x", noAddress],
    ["http://[::ffff:7f00:1]/x", noAddress],
    ["http://[::FFFF:A9FE:A9FE]/x", noAddress],
    ["http://[::127.0.0.1]/x", noAddress],
    ["http://[::ffff:0:127.0.0.1]/x", noAddress],
    ["http://[fe80::1]/x", noAddress],
    ["http://[fc00::1]/x", noAddress],
    ["http://[fd00:ec2::254]/x", noAddress],
    ["http://[fec0::1]/x", noAddress],
    ["http://[ff02::1]/x", noAddress],
    ["http://[2002:7f00:1::]/x", noAddress],
    ["http://[2001:0:7f00:1::]/x", noAddress],
    ["http://[64:ff9b::127.0.0.1]/x", noAddress],
    ["http://[64:ff9b:1::1]/x", noAddress],
    ["http://[2001:db8::1]/x", noAddress],
    ["http://[fe80::1%25eth0]/x", "url_invalid"],
    ["http://[fe80::1%eth0]/x", "url_invalid"],
    ["http://[::1/x", "url_invalid"],
    ["http://::1/x", "url_invalid"],
    ["http://256.256.256.256/x", "url_invalid"],
    ["http://127.0.0.1.1/x", "url_invalid"],
    ["http://1.2.3.08/x", "url_invalid"],
    // Internal names, and invalid ones.
    ["http://localhost/x", notAllowed],
    ["http://LOCALHOST/x", notAllowed],
    ["http://localhost./x", notAllowed],
    ["http://ｌｏｃａｌｈｏｓｔ/x", notAllowed],
    ["http://loc%61lhost/x", notAllowed],
    ["http://db.localhost/x", notAllowed],
    ["http://db.localhost./x", notAllowed],
    ["http://printer.local/x", notAllowed],
    ["http://metadata.google.internal/x", notAllowed],
    ["http://router.home.arpa/x", notAllowed],
    ["http://metadata/x", notAllowed],
    ["http://intranet/x", notAllowed],
    ["http://hidden.onion/x", notAllowed],
    // A prefix check would see another host.
    ["http://pictures.example@127.0.0.1/x", notAllowed],
    ["http://user:word@pictures.example/x", notAllowed],
    ["http://:@127.0.0.1/x", noAddress],
    ["http://pictures.example%40127.0.0.1/x", "url_invalid"],
    ["http://127.0.0.1#@pictures.example/x", noAddress],
    ["http://127.0.0.1?@pictures.example/x", noAddress],
    ["http://127.0.0.1\\@pictures.example/x", noAddress],
    ["//127.0.0.1/x", "url_invalid"],
    ["", "url_invalid"],
    // Other schemes and ports.
    ["file:///etc/passwd", notAllowed],
    ["ftp://pictures.example/x", notAllowed],
    ["gopher://127.0.0.1:6379/_", notAllowed],
    ["data:image/png;base64,AAAA", notAllowed],
    ["javascript:alert(1)", notAllowed],
    ["blob:http://127.0.0.1/x", notAllowed],
    ["ws://pictures.example/x", notAllowed],
    ["http://pictures.example:22/x", notAllowed],
    ["http://pictures.example:443/x", notAllowed],
    ["https://pictures.example:80/x", notAllowed],
    ["http://127.0.0.1:80/x", noAddress],
    ["http://127.0.0.1:8000/x", notAllowed],
    ["http://pictures.example:99999/x", "url_invalid"],
    // Public names that resolve to private addresses.
    ["http://127.0.0.1.nip.example/x", noAddress],
    ["http://loopback6.example/x", noAddress],
    ["http://mapped.example/x", noAddress],
    ["http://metadata.example/x", noAddress],
    ["http://one-bad.example/x", noAddress],
    ["http://zone.example/x", noAddress],
  ];
  const answers = {
    "pictures.example": ["93.184.216.34"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "one-bad.example": ["93.184.216.34", "10.0.0.1"],
    "zone.example": ["fe80::1%eth0"],
  };

  test("there are at least sixty of them", () => expect(hostile.length).toBeGreaterThan(60));

  test.each(hostile)("%j is refused as %s, without a connection and without an echo", async (url, reason) => {
    const world = internet(answers);
    const connect = vi.spyOn(net.Socket.prototype, "connect");
    const error = await refusal(url, world);
    expect(connect).not.toHaveBeenCalled();
    connect.mockRestore();
    expect(error.code).toBe("invalid_request");
    expect(reasonOf(error)).toBe(reason);
    // Literal addresses and forbidden names are not resolved at all.
    if (!Object.keys(answers).some((name) => url.includes(`//${name}/`)))
      expect(world.lookup).not.toHaveBeenCalled();
    const said = JSON.stringify([error.message, error.details, error.cause, lines.at(-1)]);
    expect(said).not.toMatch(/127|::1|example|metadata|localhost|passwd|alert|AAAA/);
  });

  test("the batch's https-only rule refuses http", async () => {
    expect(
      reasonOf(await refusal("http://pictures.example/x", internet(answers), { protocols: ["https:"] })),
    ).toBe(notAllowed);
  });
});

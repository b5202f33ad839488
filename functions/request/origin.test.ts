import { expect, test } from "vitest";
import { originOf } from "./origin.ts";

const came = (domainName: string, headers: Record<string, string>) =>
  originOf({ requestContext: { domainName }, headers } as unknown as Parameters<typeof originOf>[0]);

test.each([
  [
    "the gateway's own domain",
    "abc.execute-api.eu-central-1.amazonaws.com",
    { "x-forwarded-proto": "https", "x-forwarded-port": "443" },
    "https://abc.execute-api.eu-central-1.amazonaws.com",
  ],
  [
    "a custom domain, whatever Host says",
    "api.example.com",
    { "x-forwarded-proto": "https", host: "evil.example:8443" },
    "https://api.example.com",
  ],
  [
    "the loop, behind a mapped port",
    "localhost",
    { "x-forwarded-proto": "http", "x-forwarded-port": "8080", host: "localhost:9090" },
    "http://localhost:9090",
  ],
  [
    "the loop by an IPv6 address",
    "[::1]",
    { "x-forwarded-proto": "http", host: "[::1]:8080" },
    "http://[::1]:8080",
  ],
  [
    "the scheme's own port",
    "127.0.0.1",
    { "x-forwarded-proto": "http", host: "127.0.0.1:80" },
    "http://127.0.0.1",
  ],
  ["no host name at all", 'x"><script>', { "x-forwarded-proto": "http" }, "http://localhost"],
  ["an event of something else", "", {}, "https://localhost"],
])("addresses in an answer are on the host that was called: %s", (_, domain, headers, origin) => {
  expect(came(domain, headers)).toBe(origin);
  expect(URL.canParse(origin)).toBe(true);
});

import { expect, test } from "vitest";
import * as Accept from "./accept.ts";

test.each([
  [undefined, "text/html"],
  ["*/*", "text/html"],
  ["text/markdown", "text/markdown"],
  ["text/markdown, text/html;q=0.9", "text/markdown"],
  ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"],
  ["text/markdown;q=0.5, text/*;q=0.4", "text/markdown"],
  ["TEXT/Markdown ; Q=1", "text/markdown"],
  ["text/html;q=0, */*", "text/markdown"],
  ["application/json", "text/html"],
  ["text/markdown;q=nonsense", "text/markdown"],
  ["", "text/html"],
])("Accept: %s gets %s", (accept, type) => {
  expect(Accept.preferred(accept, ["text/html", "text/markdown"])).toBe(type);
});

test.each([
  [undefined, false],
  ["", false],
  ["identity", false],
  ["gzip, deflate, br, zstd", true],
  ["br;q=1.0, gzip;q=0.2", true],
  ["gzip;q=0", false],
  ["*", true],
  ["gzip;q=0, *", false],
  ["x-gzip", true],
  ["br", false],
])("Accept-Encoding: %s takes gzip: %s", (encoding, takes) => {
  expect(Accept.takesGzip(encoding)).toBe(takes);
});

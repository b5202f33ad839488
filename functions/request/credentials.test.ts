import { expect, test } from "vitest";
import { refused } from "./credentials.ts";

const secret = "ocrlty_12345678_zqsecret";

test.each([
  [
    "nothing",
    {},
    {},
    "no API key came with the call: send the header `Authorization: Bearer",
    "Authorization",
  ],
  [
    "a raw key",
    { authorization: secret },
    {},
    "Authorization has no scheme: Bearer and a blank",
    "Authorization",
  ],
  ["Basic", { authorization: "Basic YTpi" }, {}, "another scheme (basic) than Bearer", "Authorization"],
  ["Token", { authorization: `Token ${secret}` }, {}, "another scheme (token) than Bearer", "Authorization"],
  ["an unset variable", { authorization: "Bearer " }, {}, "no key is behind Bearer", "Authorization"],
  [
    "Bearer twice",
    { authorization: `Bearer Bearer ${secret}` },
    {},
    "stands one key, without blanks",
    "Authorization",
  ],
  ["an empty X-API-Key", { "x-api-key": " " }, {}, "X-API-Key is empty", "X-API-Key"],
  [
    "another header",
    { "x-auth-token": secret },
    {},
    "the header x-auth-token is not looked at",
    "x-auth-token",
  ],
  ["the query", {}, { api_key: secret }, "a key in the address is not looked at", "api_key"],
])("a call with %s is told how a key is sent", (_, headers, queryStringParameters, told, param) => {
  const error = refused({ headers, queryStringParameters }, false);
  expect(error).toMatchObject({ code: "unauthorized", param });
  expect(error.message).toContain(told);
  expect(error.message).toContain("X-API-Key: YOUR_KEY");
  expect(JSON.stringify(error)).not.toContain("zqsecret");
});

test("a well-formed key that is refused gets no other hint", () => {
  const error = refused({ headers: { authorization: `Bearer ${secret}` } }, true);
  expect(error.message).toBe("this API key is unknown, revoked or expired");
  expect(error.details).toEqual({ reason: "key_refused" });
});

test("an unset variable is a missing key, and quotes around a key are a mistake of form", () => {
  expect(refused({ headers: { authorization: "Bearer " } }, false).details).toEqual({
    reason: "key_missing",
  });
  expect(refused({ headers: { authorization: `Bearer "${secret}"` } }, true)).toMatchObject({
    details: { reason: "key_misplaced" },
    message: expect.stringMatching(/^the key stands in quotes/),
  });
});

import { AppError } from "#core/error";
import type { Event } from "./call.ts";

const how =
  'send the header `Authorization: Bearer YOUR_KEY` (curl: -H "Authorization: Bearer $OCRLTY_API_KEY"), or `X-API-Key: YOUR_KEY`';

/** Headers in which people send keys by mistake. */
const otherHeaders = ["api-key", "apikey", "x-apikey", "x-auth-token", "x-access-token", "x-token", "token"];
const queryNames = /^(?:x[-_])?(?:api[-_]?key|key|token|access[-_]token|auth)$/i;

/**
 * The 401 of a call that needs a key and has no valid one. Only from the form of the call it derives how to send a key:
 * for a key in the right place the answer is the same whether it is unknown, malformed, revoked or expired.
 * @param wasPresented - whether a key was in one of the accepted places.
 */
export function refused(
  { headers, queryStringParameters }: Pick<Event, "headers" | "queryStringParameters">,
  wasPresented: boolean,
): AppError {
  const { authorization } = headers;
  const made = (reason: string, message: string, param: string) =>
    new AppError("unauthorized", message, { details: { reason }, param });
  if (wasPresented && /^bearer\s+(["']).*\1$/i.test(authorization?.trim() ?? ""))
    return made(
      "key_misplaced",
      `the key stands in quotes, which are no part of it: ${how}`,
      "Authorization",
    );
  if (wasPresented)
    return made(
      "key_refused",
      "this API key is unknown, revoked or expired",
      authorization ? "Authorization" : "X-API-Key",
    );
  if (authorization !== undefined && /^bearer$/i.test(authorization.trim()))
    return made("key_missing", `${misplaced(authorization.trim())}: ${how}`, "Authorization");
  if (authorization !== undefined)
    return made("key_misplaced", `${misplaced(authorization.trim())}: ${how}`, "Authorization");
  if (headers["x-api-key"] !== undefined)
    return made(
      "key_missing",
      `X-API-Key is empty (is the variable set that holds the key?): ${how}`,
      "X-API-Key",
    );
  const header = otherHeaders.find((name) => headers[name] !== undefined);
  if (header !== undefined)
    return made("key_misplaced", `the header ${header} is not looked at: ${how}`, header);
  const inQuery = Object.keys(queryStringParameters ?? {}).find((name) => queryNames.test(name));
  if (inQuery !== undefined)
    return made(
      "key_misplaced",
      `a key in the address is not looked at, logs would hold it: ${how}`,
      inQuery,
    );
  return made("key_missing", `no API key came with the call: ${how}`, "Authorization");
}

/** What is wrong with an Authorization header that has no bearer key. */
function misplaced(authorization: string): string {
  if (/^bearer$/i.test(authorization)) return "no key is behind Bearer (is the variable set that holds it?)";
  if (/^bearer\s/i.test(authorization)) return "behind Bearer stands one key, without blanks";
  const scheme = /^(basic|digest|token|apikey|api-key|negotiate|hmac|aws4-hmac-sha256)\b/i.exec(
    authorization,
  )?.[1];
  if (scheme !== undefined) return `Authorization has another scheme (${scheme.toLowerCase()}) than Bearer`;
  return "Authorization has no scheme: Bearer and a blank stand before the key";
}

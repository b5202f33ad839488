import type * as z from "zod";
import { invalidRequest } from "#core/error";
import * as Utf8 from "#core/utf8";

/**
 * The gateway joins repeated parameters with a comma, which would turn two values into one.
 * @throws AppError `invalid_request` with the names in the schema that are repeated.
 */
export function refuseRepeated(schema: z.ZodType, rawQueryString: string | undefined): void {
  const known = (schema as z.ZodType & { shape?: object }).shape ?? {};
  const names = [...new URLSearchParams(rawQueryString).keys()].filter((name) => Object.hasOwn(known, name));
  const twice = [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
  if (twice.length > 0)
    throw invalidRequest(twice.map((path) => ({ path, message: "is in the query more than once" })));
}

/**
 * The gateway does not change a `%` that it cannot decode.
 * @throws AppError `invalid_request` with the parameters whose `%XX` are not bytes, or not UTF-8.
 */
export function refuseUnreadable(rawQueryString: string | undefined): void {
  const wrong = (rawQueryString ?? "").split("&").filter((pair) => !isReadable(pair));
  if (wrong.length === 0) return;
  const issues = wrong.map((pair) => {
    const [name = ""] = pair.split("=");
    const message = "is not UTF-8 where its %XX are decoded (a % itself is %25)";
    return { path: /^[\w.-]{1,64}$/.test(name) ? name : "", message };
  });
  throw invalidRequest(issues, { details: { reason: Utf8.reason } });
}

function isReadable(encoded: string): boolean {
  try {
    decodeURIComponent(encoded);
    return true;
  } catch {
    return false;
  }
}

import { AppError, invalidRequest } from "#core/error";
import * as Json from "#core/json";
import * as Utf8 from "#core/utf8";
import type { Event } from "./call.ts";

/** `application/json` and types with the suffix `+json` (RFC 6839, 3.1). */
const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * Replaces the event's body with its parsed JSON.
 * @throws AppError `unsupported_media_type` for a body of another type, `invalid_request` that names the place where it
 *   is not JSON, or not UTF-8.
 */
export function parse(event: Event): void {
  if (!jsonType.test(event.headers["content-type"]?.trim() ?? ""))
    throw notJson(event.headers["content-type"]);
  const { value, problem } = Json.read(textOf(event));
  if (problem !== undefined)
    throw invalidRequest([{ path: "", message: `the body ${problem}${shellsFault(problem)}` }]);
  event.body = value;
}

/** Advice for PowerShell, which sends texts in the system's encoding (docs/powershell.md). */
const powershell = "; Windows PowerShell 5.1: -Body ([Text.Encoding]::UTF8.GetBytes($body))";

/** The body as text. The gateway has decoded text types, and put U+FFFD where it could not. */
function textOf(event: Event): string {
  const given = String(event.body);
  const read = event.isBase64Encoded
    ? Utf8.read(Buffer.from(given, "base64"))
    : { text: given, problem: Utf8.problemOf(given) };
  if (read.problem === undefined) return read.text;
  throw invalidRequest([{ path: "", message: `the body ${read.problem}: ${Utf8.cure}${powershell}` }], {
    details: { reason: Utf8.reason },
  });
}

/** Windows' shells remove double quotes from arguments. */
const shellsFault = (problem: string) =>
  /double quotes$/.test(problem) ? "; some shells take them away: send a file, --data-binary @FILE" : "";

function notJson(type: string | undefined): AppError {
  const came = /^application\/x-www-form-urlencoded/i.test(type ?? "")
    ? ", and curl's -d says that it is a form"
    : "";
  return new AppError(
    "unsupported_media_type",
    `the body must be sent as application/json${came}: add the header \`Content-Type: application/json\``,
    { param: "Content-Type", details: { expected: "application/json" } },
  );
}

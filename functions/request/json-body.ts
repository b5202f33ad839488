import { AppError, invalidRequest } from "#core/error";
import * as Json from "#core/json";
import type { Event } from "./call.ts";

/** `application/json` and what is JSON by its suffix (RFC 6839, 3.1). */
const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * Makes the event's body the JSON that it holds.
 * @throws AppError `unsupported_media_type` for a body of another type, `invalid_request` that says where it is not JSON.
 */
export function parse(event: Event): void {
  if (!jsonType.test(event.headers["content-type"]?.trim() ?? ""))
    throw notJson(event.headers["content-type"]);
  const given = String(event.body);
  const { value, problem } = Json.read(
    event.isBase64Encoded ? Buffer.from(given, "base64").toString("utf8") : given,
  );
  if (problem !== undefined)
    throw invalidRequest([{ path: "", message: `the body ${problem}${shellsFault(problem)}` }]);
  event.body = value;
}

/** Windows' shells take double quotes out of what they hand to a program. */
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

/** An answer that is not a success, as an error for the terminal. */
import * as z from "zod";
import * as Text from "#cli/terminal/text";
import { type Answer, retryAfterS, type Target } from "./answer.ts";
import { CallError, Limit } from "./call-error.ts";
import * as Issues from "./issues.ts";

/** Our own error envelope, and what API Gateway answers by itself (docs/errors.md). */
const OwnError = z.object({
  error: z.looseObject({
    code: z.string(),
    message: z.string(),
    request_id: z.string().nullish(),
    details: z
      .looseObject({
        issues: z
          .array(
            z.object({
              ...{ line: z.number().optional(), file: z.string().optional() },
              ...{ path: z.string(), message: z.string() },
            }),
          )
          .optional(),
        issue_count: z.number().optional(),
      })
      .nullish(),
  }),
});
const GatewayError = z.object({ message: z.string() });

/** A day's limit may ask for hours. */
const maxRetryAfterS = 24 * 3600;

/** Codes that say something about server or key, not about the picture. */
const serverCodes = new Set([
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "rate_limited",
  "inference_unavailable",
  "storage_unavailable",
]);

/** The error of an answer that is not a success: our envelope, the gateway's, or the page of another program. */
export function failureOf(answer: Answer): CallError {
  const { status } = answer;
  const own = OwnError.safeParse(answer.json);
  if (own.success) {
    const { code, message, request_id: requestId, details } = own.data.error;
    const all = details?.issues ?? [];
    const issues = Issues.text(all, details?.issue_count);
    // The message is the first mistake, and the number of the others.
    const isRepeated = all[0] !== undefined && message.includes(all[0].message);
    const advice = code === "unauthorized" ? adviceOnKey(answer.server, message) : "";
    const about = [code, ...(status >= 500 && requestId ? [`request ${requestId}`] : [])].join(", ");
    // The advice on how to send a key is for calls by hand.
    const said = Text.shown(message).replace(/: send the header .*$/s, "");
    const text = isRepeated ? issues + advice : [said + advice, issues].filter(Boolean).join("; ");
    return new CallError(`${text} (${about})`, {
      scope: serverCodes.has(code) ? "server" : "item",
      code,
      status,
      retryAfterMs: answer.headers.has("retry-after")
        ? retryAfterS(answer, maxRetryAfterS) * 1000
        : undefined,
      limit: status === 429 || status === 403 ? Limit.safeParse(details).data : undefined,
      own: { ...own.data.error, request_id: requestId ?? null, details: details ?? {} },
      server: answer.server,
    });
  }
  const gateway = GatewayError.safeParse(answer.json);
  if (gateway.success) {
    // Too large (413) concerns this picture, and so does a function that crashed (500) or took more than 30 s (503,
    // 504).
    const scope = [413, 500, 503, 504].includes(status) ? "item" : "server";
    return new CallError(`${Text.shown(gateway.data.message)} (the gateway answered ${status})`, {
      scope,
      code: "gateway",
      status,
    });
  }
  return oddAnswer(answer);
}

/** Which key was refused. Only the server's own machine knows which one would be accepted (server.ts). */
function adviceOnKey(server: Target | undefined, said: string): string {
  if (server !== undefined && server.apiKey === undefined)
    return ": name one with --key, OCRLTY_API_KEY or a profile";
  const from = server?.keyFrom === undefined ? "" : ` from ${server.keyFrom}`;
  // The server's own message says what is wrong.
  if (/revoked or expired/.test(said)) return from === "" ? "" : `; it came${from}`;
  return `; the key${from} is wrong, revoked or expired`;
}

/** Not an answer of this API: a proxy's page, another program, a redirect. */
export function oddAnswer(answer: Answer): CallError {
  const { status, headers, text } = answer;
  const about = { scope: "server", code: "odd_answer", status } as const;
  const location = headers.get("location");
  if (status >= 300 && status < 400 && location !== null && URL.canParse(location)) {
    return new CallError(
      `the server sends us on to ${new URL(location).origin} (${status}): use that address`,
      about,
    );
  }
  const kind = (headers.get("content-type") ?? "").split(";")[0] || "nothing";
  const title = /<title>([^<]{1,100})<\/title>/i.exec(text)?.[1]?.trim().replaceAll(/\s+/g, " ");
  return new CallError(
    `answered ${status} with ${Text.shown(`${kind}${title ? ` ("${title}")` : ""}`)}: this is not an OCRlty server, or a proxy stands in front of it`,
    about,
  );
}

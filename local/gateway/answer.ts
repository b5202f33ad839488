/** A function's result as API Gateway turns it into an HTTP answer (payload format 2.0). */
import * as z from "zod";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer;
}

const result = z.object({
  statusCode: z.coerce.number().int().min(100).max(599),
  headers: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).nullish(),
  cookies: z.array(z.string()).nullish(),
  body: z.string().nullish(),
  isBase64Encoded: z.boolean().nullish(),
});

/** The gateway frames the answer itself. */
const ownHeaders = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "date",
  "apigw-requestid",
]);

/**
 * The answer for a function's JSON; undefined if the gateway would answer "Internal Server Error". JSON without a
 * `statusCode` is the body of a 200. `multiValueHeaders` belongs to format 1.0 and is ignored.
 */
export function from(payload: string): Answer | undefined {
  const value: unknown = JSON.parse(payload);
  if (typeof value !== "object" || value === null || !("statusCode" in value)) {
    const body = typeof value === "string" ? value : payload;
    return { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from(body) };
  }
  const parsed = result.safeParse(value);
  if (!parsed.success) return undefined;
  const { statusCode, headers, cookies, body, isBase64Encoded } = parsed.data;
  const out: Record<string, string | string[]> = { "content-type": "text/plain; charset=utf-8" };
  for (const [name, text] of Object.entries(headers ?? {})) {
    const lower = name.toLowerCase();
    if (ownHeaders.has(lower)) continue;
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower) || !printable(String(text))) return undefined;
    out[lower] = String(text);
  }
  if (cookies?.length) {
    if (!cookies.every(printable)) return undefined;
    out["set-cookie"] = [out["set-cookie"] ?? [], cookies].flat();
  }
  return {
    status: statusCode,
    headers: out,
    body: Buffer.from(body ?? "", isBase64Encoded === true ? "base64" : "utf8"),
  };
}

/** The characters that a header may have; others would let a value start a new header. */
function printable(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

/** An answer of the gateway itself. */
export function own(status: number, message: string): Answer {
  return {
    status,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ message })),
  };
}

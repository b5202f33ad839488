import { invalidRequest } from "#core/error";
import type { Patience } from "#core/extraction/extraction";
import type { Call } from "./call.ts";

/** `Idempotency-Key`, if the caller sent one. @throws AppError `invalid_request` for one that is not printable ASCII. */
export function idempotencyKeyOf({ headers }: Call): string | undefined {
  const key = headers["idempotency-key"];
  if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw invalidRequest([{ path: "Idempotency-Key", message: "1 to 255 printable ASCII characters" }]);
  }
  return key;
}

/**
 * `Prefer` (RFC 7240): `respond-async` does not wait, `wait=N` waits N seconds; unknown preferences are ignored, as the
 * RFC requires.
 */
export function patienceOf({ headers }: Call, timeScale: number): Patience & { asked: string | undefined } {
  const parts = (headers.prefer ?? "")
    .split(",")
    .map((part) => part.split(";")[0]?.trim().toLowerCase() ?? "");
  const seconds = parts
    .map((part) => /^wait\s*=\s*"?(\d{1,4})"?$/.exec(part)?.[1])
    .find((value) => value !== undefined);
  if (seconds !== undefined) {
    const waitMs = Math.round(Number(seconds) * 1000 * timeScale);
    return { waitMs, refuseWhenAway: waitMs === 0, asked: `wait=${Number(seconds)}` };
  }
  const async = parts.includes("respond-async");
  return { waitMs: async ? 0 : undefined, refuseWhenAway: false, asked: async ? "respond-async" : undefined };
}

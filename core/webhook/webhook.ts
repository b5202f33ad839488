import * as Config from "#core/config";
import { type AppError, invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import * as Remote from "#core/remote/remote";
import { parse, type Reason, RefusedError, resolve, type World } from "#core/remote/resolve";

/** What may be called: https on the public internet, or anything where the local loop was told so. */
export function reach(): { world: World; protocols: readonly string[] } {
  return Config.webhook().allowPrivate
    ? { world: Remote.anywhere, protocols: ["https:", "http:"] }
    : { world: Remote.internet, protocols: ["https:"] };
}

/** Longest wait for a resolver when a run is made. */
const lookupMs = 5_000;

const messages: Partial<Record<Reason, string>> = {
  url_invalid: "not a URL: one begins with https://",
  url_not_allowed: "only https URLs of public hosts, without user name or password, on port 443",
  address_not_allowed: "the host is not on the public internet",
};

/**
 * Judges a `webhook_url` when its run is made: https, no user info, port 443, a name that resolves now, and to public
 * addresses alone. Judged again at every delivery, because a name may resolve elsewhere by then (DNS rebinding).
 * @param deadline - epoch milliseconds; a resolver is waited for no longer, and 5 s at most.
 * @throws AppError `invalid_request` with `details.reason`, without an echo of the URL; also where there is no secret to
 * sign with (`webhooks_off`).
 */
export async function check(url: string, log: Log, deadline: number): Promise<void> {
  if (Config.webhook().secrets.length === 0)
    throw refused(log, "webhooks_off", "this server has no WEBHOOK_SECRET to sign with: ask its operator");
  const { world, protocols } = reach();
  await checkIn(url, log, { world, protocols, timeoutMs: Math.min(lookupMs, deadline - Date.now()) });
}

/** The same in a world of the caller's. */
export async function checkIn(
  url: string,
  log: Log,
  limits: { world: World; protocols: readonly string[]; timeoutMs: number },
): Promise<void> {
  const signal = AbortSignal.timeout(Math.max(1, limits.timeoutMs));
  try {
    await resolve(parse(url), limits.protocols, limits.world, signal);
  } catch (thrown) {
    // What a resolver throws names the host.
    const reason = thrown instanceof RefusedError ? thrown.reason : "url_unreachable";
    throw refused(log, reason, messages[reason] ?? "the host has no address right now");
  }
}

function refused(log: Log, reason: string, message: string): AppError {
  log.info("webhook_refused", { reason });
  return invalidRequest([{ path: "webhook_url", message }], { details: { reason } });
}

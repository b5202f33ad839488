import * as Config from "#core/config";
import { type AppError, invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import * as Remote from "#core/remote/remote";
import { parse, type Reason, RefusedError, resolve, type World } from "#core/remote/resolve";

/** The URLs that may be called: https on the public internet, or any URL if the local loop allows it. */
export function reach(): { world: World; protocols: readonly string[] } {
  return Config.webhook().allowPrivate
    ? { world: Remote.anywhere, protocols: ["https:", "http:"] }
    : { world: Remote.internet, protocols: ["https:"] };
}

/** The longest wait for a resolver when a run is made. */
const lookupMs = 5_000;

const messages: Partial<Record<Reason, string>> = {
  url_invalid: "not a URL: one begins with https://",
  url_not_allowed: "only https URLs of public hosts, without user name or password, on port 443",
  address_not_allowed: "the host is not on the public internet",
};

/**
 * Checks a `webhook_url` when its run is made: https, no user info, port 443, and a name that resolves only to public
 * addresses. It is checked again at every delivery, because a name may resolve differently by then (DNS rebinding).
 * @param deadline - epoch milliseconds; the resolver gets no more time, and at most 5 s.
 * @throws AppError `invalid_request` with `details.reason`, without the URL; also if there is no secret to sign with
 *   (`webhooks_off`).
 */
export async function check(url: string, log: Log, deadline: number): Promise<void> {
  if (Config.webhook().secrets.length === 0)
    throw refused(log, "webhooks_off", "this server has no WEBHOOK_SECRET to sign with: ask its operator");
  const { world, protocols } = reach();
  await checkIn(url, log, { world, protocols, timeoutMs: Math.min(lookupMs, deadline - Date.now()) });
}

/** The same in a given network. */
export async function checkIn(
  url: string,
  log: Log,
  limits: { world: World; protocols: readonly string[]; timeoutMs: number },
): Promise<void> {
  const signal = AbortSignal.timeout(Math.max(1, limits.timeoutMs));
  try {
    await resolve(parse(url), limits.protocols, limits.world, signal);
  } catch (thrown) {
    // The resolver's errors contain the host name.
    const reason = thrown instanceof RefusedError ? thrown.reason : "url_unreachable";
    throw refused(log, reason, messages[reason] ?? "the host has no address right now");
  }
}

function refused(log: Log, reason: string, message: string): AppError {
  log.info("webhook_refused", { reason });
  return invalidRequest([{ path: "webhook_url", message }], { details: { reason } });
}

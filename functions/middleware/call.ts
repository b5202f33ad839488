import type { MiddlewareObj } from "@middy/core";
import * as Config from "#core/config";
import { from } from "#core/error";
import * as Id from "#core/id";
import * as Log from "#core/log";
import type { Call, Event, Result } from "#functions/request/call";
import { originOf } from "#functions/request/origin";
import { noLimits } from "#spec/key-limits";
import * as Limits from "#spec/limits";
import * as Routes from "#spec/routes";

type Hooks = MiddlewareObj<Event, Result, Error>;

/**
 * Creates the call with its id, log and deadline, and logs its start and end. It is first in the order, so it logs the
 * end last.
 */
export function call(): Hooks {
  return { before: beginCall, after: endCall, onError: failCall };
}

const beginCall: NonNullable<Hooks["before"]> = ({ event, context }) => {
  const given = event.headers["x-request-id"];
  const requestIdGiven = given !== undefined && Id.isRequestId(given);
  const requestId = requestIdGiven ? given : Id.create();
  // A HEAD is answered by its GET.
  event.routeKey = event.routeKey.replace(/^HEAD /, "GET ");
  const route = Routes.byKey(event.routeKey);
  const times = Limits.times(Config.app().timeScale);
  const startedAt = Date.now();
  event.call = {
    requestId,
    requestIdGiven,
    route,
    principal: { keyId: "", role: "anonymous", scopes: [], limits: noLimits },
    keyUnchecked: false,
    rateLimit: undefined,
    origin: originOf(event),
    log: Log.create({ request_id: requestId, function: context.functionName }),
    deadline:
      Math.min(
        event.requestContext.timeEpoch + times.httpBudgetMs,
        startedAt + context.getRemainingTimeInMillis(),
      ) - times.httpReserveMs,
    startedAt,
    headers: event.headers,
  };
  event.call.log.info("request_start", { route: event.routeKey });
};

const endCall: NonNullable<Hooks["after"]> = ({ event, response }) => end(event, response);

const failCall: NonNullable<Hooks["onError"]> = ({ event, response, error }) => {
  const failure = from(error);
  // The call is missing if this middleware itself failed.
  const log = event.call?.log ?? Log.create();
  const facts = { code: failure.code, status: failure.status, route: event.routeKey };
  if (failure.status >= 500) log.error("request_error", { ...facts, ...Log.describe(failure) });
  else log.info("request_error", facts);
  end(event, response);
};

/**
 * draft-ietf-httpapi-ratelimit-headers-11: `q` is the quota, `w` its window in seconds, `r` the calls left, `t` the
 * seconds until more are available.
 */
function rateLimitOf({ rateLimit }: Call): Record<string, string> {
  if (rateLimit === undefined) return {};
  const { quota, left, resetS } = rateLimit;
  return {
    "RateLimit-Policy": `"requests_per_minute";q=${quota};w=60`,
    RateLimit: `"requests_per_minute";r=${left};t=${resetS}`,
  };
}

function end(event: Event, response: Result | null | undefined): void {
  if (event.call === undefined) return;
  const { call } = event;
  if (response) {
    response.headers = { ...response.headers, "X-Request-ID": call.requestId, ...rateLimitOf(call) };
    // The answer of the GET without its body (RFC 9110, 9.3.2).
    if (event.requestContext.http.method === "HEAD") delete response.body;
  }
  call.log.info("request_end", {
    route: event.routeKey,
    status: response?.statusCode ?? 500,
    duration_ms: Date.now() - call.startedAt,
    key_id: call.principal.keyId || undefined,
  });
}

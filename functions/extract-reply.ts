import type { Outcome } from "#core/extraction/answer";
import type { Reply } from "#functions/request/operation";
import { pollAfterS } from "#spec/limits";

/**
 * `Preference-Applied` (RFC 7240, section 3): which preferences were applied. `wait` was not applied if the call ends
 * in 202 before that time is over, and `respond-async` was not if the stored answer was returned.
 */
export function withPreference(
  reply: Reply,
  { asked, waitMs }: { asked: string | undefined; waitMs: number | undefined },
  elapsedMs: number,
): Reply {
  if (asked === undefined || waitMs === undefined) return reply;
  const applied =
    asked === "respond-async" ? reply.status === 202 : reply.status !== 202 || elapsedMs >= waitMs;
  return applied ? { ...reply, headers: { ...reply.headers, "Preference-Applied": asked } } : reply;
}

/** An outcome as an answer: 200 with the extract, or 202 with the address to poll. */
export function answer(outcome: Outcome): Reply {
  if (outcome.kind === "running") {
    const { running, retryAfterS = pollAfterS } = outcome;
    return {
      status: 202,
      body: running,
      headers: { Location: running.poll_url, "Retry-After": String(retryAfterS) },
    };
  }
  return {
    status: 200,
    body: outcome.answer,
    headers: outcome.replayed ? { "Idempotent-Replayed": "true" } : {},
  };
}

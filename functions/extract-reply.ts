import type { Outcome } from "#core/extraction/extraction";
import type { Reply } from "#functions/http";

/** Seconds after which asking again makes sense while an extract runs. */
const pollAfterS = 2;

/** An outcome as an answer: 200 with the extract, or 202 with where to ask. */
export function answer(outcome: Outcome): Reply {
  if (outcome.kind === "running") {
    const { running } = outcome;
    return {
      status: 202,
      body: running,
      headers: { Location: running.poll_url, "Retry-After": String(pollAfterS) },
    };
  }
  return {
    status: 200,
    body: outcome.answer,
    headers: outcome.replayed ? { "Idempotent-Replayed": "true" } : {},
  };
}

import type { AppError } from "#core/error";
import * as Vision from "#core/vision/vision";
import { maxSuspects } from "./suspicion.ts";

/*
 * The budget for reading one document (docs/architecture.md, "Where the times come from"), and what follows a failed
 * attempt.
 */

/** Attempts that count; waiting for the model server does not. */
export const maxAttempts = 3;
/** Consecutive claims whose worker died: a picture that kills its worker must not do so forever. */
export const maxClaims = 5;

/** What a row has used of its budget. */
interface Spent {
  attempts: number;
  claims: number;
  suspects: number;
}

/** What happens to the work after a failure that may be repeated. */
type Verdict =
  /** No further attempt. `crash`: the connection was lost at every attempt. */
  | { kind: "final" }
  | { kind: "crash" }
  /** It waits for the model server, at no cost. */
  | { kind: "wait"; suspect: boolean }
  /** The work is requeued. */
  | { kind: "again"; counted: boolean; suspect: boolean; delayMs: number };

/**
 * An outage of the model server costs nothing; every other failure has a budget.
 * @param failed.thrown - the error of the model call, with its fault.
 * @param how.isolates - a suspect is asked again at once, and finally in isolation (items); suspicions are then its
 *   whole budget. Otherwise they also count as attempts.
 */
export function afterFailure(
  row: Spent,
  failed: { error: AppError; thrown: AppError | undefined },
  how: { isolates: boolean; requeueDelaysMs: readonly number[] },
): Verdict {
  const { error, thrown } = failed;
  const fault = thrown instanceof Vision.VisionError ? thrown.fault : undefined;
  const suspect = fault !== undefined && Vision.suspect(fault);
  const kind = fault === undefined ? "item" : Vision.classify(fault);
  if (suspect && row.suspects + 1 >= maxSuspects) return { kind: "crash" };
  // Another attempt would ask the very same questions again.
  if (kind === "refused" || error.code === "invalid_model_output") return { kind: "final" };
  const isSpent =
    !(suspect && how.isolates) &&
    (row.attempts + 1 >= maxAttempts || (!how.isolates && row.claims >= maxClaims));
  const isAway = error.code === "inference_unavailable";
  if (isAway && kind === "outage" && !(suspect && isSpent)) return { kind: "wait", suspect };
  // The model server asked for a pause.
  const isFree = isAway && kind === "overload";
  if (isSpent && !isFree) return { kind: "final" };
  // A suspicion needs no pause: the server answers, and the next call with the picture shows more.
  if (suspect && how.isolates) return { kind: "again", counted: false, suspect, delayMs: 0 };
  const delayMs = isFree ? (error.retryAfterS ?? 5) * 1000 : pauseMs(row, how.requeueDelaysMs);
  return { kind: "again", counted: !isFree, suspect, delayMs };
}

/** The pause before the attempt that follows on this one. */
export function pauseMs({ attempts }: Pick<Spent, "attempts">, delaysMs: readonly number[]): number {
  return delaysMs[Math.min(attempts, delaysMs.length - 1)] ?? 0;
}

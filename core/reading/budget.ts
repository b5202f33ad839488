import type { AppError } from "#core/error";
import * as Vision from "#core/vision/vision";
import { maxSuspects } from "./suspicion.ts";

/*
 * What reading one document may cost (docs/architecture.md, "Where the times come from"), and what follows from an attempt
 * that failed.
 */

/** Attempts that count; waiting for the model server does not. */
export const maxAttempts = 3;
/** Claims in a row whose worker died: a picture that kills its worker must not do so for ever. */
export const maxClaims = 5;

/** What a row has spent. */
export interface Spent {
  attempts: number;
  claims: number;
  suspects: number;
}

/** What becomes of work after a failure that may be repeated. */
type Verdict =
  /** No further attempt. `crash`: the connection was lost at it every time. */
  | { kind: "final" }
  | { kind: "crash" }
  /** It waits for the model server, at no cost. */
  | { kind: "wait"; suspect: boolean }
  /** It goes back to the queue. */
  | { kind: "again"; counted: boolean; suspect: boolean; delayMs: number };

/**
 * An outage of the model server costs the work nothing; all else has a budget.
 * @param failed.thrown - what the model call threw, with its fault.
 * @param how.isolates - a suspect is asked again at once and in the end alone (items); its suspicions are then its whole
 *   budget. Otherwise they cost attempts, too.
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
  // A suspicion needs no pause: the server is there, and the picture's next call says more.
  if (suspect && how.isolates) return { kind: "again", counted: false, suspect, delayMs: 0 };
  const delayMs = isFree ? (error.retryAfterS ?? 5) * 1000 : pauseMs(row, how.requeueDelaysMs);
  return { kind: "again", counted: !isFree, suspect, delayMs };
}

/** The pause before the attempt that follows on this one. */
export function pauseMs({ attempts }: Pick<Spent, "attempts">, delaysMs: readonly number[]): number {
  return delaysMs[Math.min(attempts, delaysMs.length - 1)] ?? 0;
}

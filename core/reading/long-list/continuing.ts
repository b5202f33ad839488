import * as Budget from "#core/image/budget";
import { usageOf } from "#core/vision/fault";
import * as Vision from "#core/vision/vision";
import * as Continued from "./continued.ts";

/* The calls that read the rest of a long list, one after the other, as long as each adds rows. */

/** The request of the next call. */
export interface Next {
  /** The text after the pictures. */
  text: string;
  maxTokens: number;
  afterRow: number;
}

/** The outcome of a call: an answer, or the error. */
export type Outcome = (
  | { answer: Vision.Answer; error: undefined }
  | { answer: undefined; error: Vision.VisionError }
) & {
  /** Records that the call's answer does not count. */
  discard(): void;
};

interface How {
  room: Vision.Room;
  call(next: Next): Promise<Outcome>;
  /** Epoch milliseconds. */
  deadline: number;
  /** If time runs out, the work is done again in the queue, with more time. */
  handsOver: boolean;
}

/** The most consecutive answers that do not continue at the right row. */
const mostMisses = 2;
/** A call is made only if at least this much time is left. */
const minCallMs = 100;

/**
 * Asks for the rows after those of an answer that used up its tokens, until one comes to its end: at most
 * `Continued.mostCalls` calls, each of which must add rows.
 * @param cut - the error of the first call, `answer_too_long`.
 * @returns the last answer, its value with the rows of all.
 * @throws VisionError `answer_too_long` with all rows that were read, where the list does not come to its end; that of
 *   a call that failed for another reason.
 */
export async function goOn(cut: Vision.VisionError, how: How): Promise<Vision.Answer> {
  let begun = Continued.begin(cut.partial);
  let [last, misses, isGrown, isRefused] = [cut, 0, false, false];
  for (let calls = 0; begun !== undefined && calls < Continued.mostCalls; calls += 1) {
    const next = nextOf(begun, { misses, last, room: how.room });
    if (next === undefined || (!how.handsOver && Date.now() + minCallMs > how.deadline)) break;
    const { discard, answer, error } = await how.call(next);
    // The room has learned the real context length, which is smaller than assumed.
    if (error?.fault?.contextTooLong !== undefined && !isRefused) {
      isRefused = true;
      discard();
      continue;
    }
    if (error !== undefined && !isOfAnswer(error, how)) throw error;
    const value = answer?.value ?? error?.partial?.value;
    const joined = value && Continued.join(begun, next.afterRow, value);
    if (error?.code === "answer_too_long") last = error;
    if (joined === undefined || (answer === undefined && joined.added === 0)) {
      discard();
      misses += 1;
      if (misses === mostMisses || joined?.restarted || error?.code === "inference_timeout") break;
      continue;
    }
    begun = joined;
    misses = 0;
    isGrown = true;
    if (answer !== undefined) return { ...answer, value: begun.value };
    // Another call of this size would begin with the first row, too, and end where this one did.
    if (joined.restarted) break;
  }
  throw begun !== undefined && isGrown ? tooLong(last, begun) : cut;
}

function nextOf(
  begun: Continued.Begun,
  { misses, last, room }: { misses: number; last: Vision.VisionError; room: Vision.Room },
): Next | undefined {
  const afterRow = Continued.seams(begun)[misses];
  if (afterRow === undefined) return undefined;
  const text = Continued.request(begun, afterRow);
  const { usage = null, max_tokens = 0 } = last.attempts.at(-1) ?? {};
  const maxTokens = room.continued(usage, max_tokens, { textTokens: Budget.textTokens(text) });
  return maxTokens === undefined ? undefined : { text, maxTokens, afterRow };
}

/** True if the answer is at fault or takes too long: then the rows so far are the result. */
function isOfAnswer({ code }: Vision.VisionError, { handsOver }: How): boolean {
  if (code === "inference_timeout") return !handsOver;
  return code === "answer_too_long" || code === "invalid_model_output";
}

function tooLong(last: Vision.VisionError, begun: Continued.Begun): Vision.VisionError {
  const partial = Continued.salvaged(begun);
  return new Vision.VisionError("answer_too_long", last.message, {
    details: { ...last.details, rows: partial.rows },
    partial,
    finishReason: last.finishReason,
    usage: usageOf(last.attempts),
  });
}

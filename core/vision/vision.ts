import type * as Complete from "#core/vision/complete";
import { type Answer, type AskOptions, Ladder } from "#core/vision/ladder";

export { VisionError } from "#core/vision/fault";
export type { Answer, AskOptions } from "#core/vision/ladder";
export { probe } from "#core/vision/probe";
export { Room } from "#core/vision/room";
export { classify, suspect } from "#core/vision/verdict";

/**
 * Asks until there is one JSON object, or a reason to stop:
 * - an answer that is nothing but thinking → the end after this one call, `model_thinks`, not to be repeated;
 * - an answer that is no object → another seed → without `response_format`;
 * - one that stopped in its middle or was lost in a loop → another seed, once, with half of the tokens where it used
 *   them all up;
 * - one that used up its tokens → once more with all the room that the context has; never again at the same size;
 * - one that the server cut short, or a question that it called too long → a smaller picture or fewer tokens, by its
 *   own numbers;
 * - a picture that the server cannot open → the same encoded anew by `onPictureRefused`, once;
 * - 408, 425, 429, 5xx and broken connections → the same again, after `Retry-After` or a growing pause;
 * - signs of an absent server, also an answer that it broke off itself → a probe; when that fails, the end at once.
 * Everything within the deadline, every call recorded in `attempts`.
 *
 * Throws VisionError: `inference_unavailable` (absent or overloaded, with `retryAfterS`), `inference_timeout`,
 * `inference_failed`, `invalid_model_output`, `answer_too_long` (with what is whole of the answer in `partial`),
 * `invalid_request` (`prompt_too_long`).
 */
export async function ask(
  server: Complete.Server,
  question: Complete.Ask,
  options: AskOptions,
): Promise<Answer> {
  const ladder = new Ladder(server, question, options);
  for (;;) {
    const answer = await ladder.step();
    if (answer !== undefined) return answer;
  }
}

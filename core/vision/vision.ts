import type { Answer, AskOptions } from "#core/vision/asked";
import type * as Complete from "#core/vision/complete";
import { Ladder } from "#core/vision/ladder";

export type { Answer } from "#core/vision/asked";
export { VisionError } from "#core/vision/fault";
export { probe } from "#core/vision/probe";
export { Room } from "#core/vision/room";
export { classify, suspect } from "#core/vision/verdict";

/**
 * Asks until there is one JSON object, or a reason to stop:
 * - an answer that is only thinking → the end after this call, `model_thinks`, not to be repeated;
 * - an answer that is not an object → another seed → without `response_format`;
 * - one that stopped in the middle or ended in a loop → another seed, once, with half of the tokens if all were used
 * up;
 * - one that used up its tokens → once more with all the room of the context; never again at the same size; with many
 * rows (`continuedFrom`) it ends at once;
 * - one that the server ended early, or a question that it refused as too long → a smaller picture or fewer tokens, by
 *   its own numbers;
 * - a picture that the server cannot open → encoded again by `onPictureRefused`, once;
 * - a picture that the server does not fetch from its URL → as bytes, by `onNotFetched`, once;
 * - 408, 425, 429, 5xx and broken connections → a repeat after `Retry-After` or a growing pause;
 * - signs of an outage, also an answer that the server interrupted → a probe; if it fails, the end at once.
 * Everything ends by the deadline, and every call is recorded in `attempts`.
 *
 * Throws VisionError: `inference_unavailable` (outage or overload, with `retryAfterS`), `inference_timeout`,
 * `inference_failed`, `invalid_model_output`, `answer_too_long` (with the complete part of the answer in `partial`),
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

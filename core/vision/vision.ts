import type * as Complete from "#core/vision/complete";
import type { AttemptRecord, Usage } from "#core/vision/fault";
import type { JsonObject } from "#core/vision/json";
import { Ladder } from "#core/vision/ladder";
import type { Room } from "#core/vision/room";

/*
 * ask(server, ask, options) -> Answer     one checked JSON object, or a VisionError with every attempt
 * probe(server, signal?)   -> Probe       is the server there, what does it serve
 * complete(…)                             one call without retries, in #core/vision/complete
 */

export type { Ask, Completion, Event, Picture, Server, TokenLogprob } from "#core/vision/complete";
export { complete } from "#core/vision/complete";
export { type AttemptRecord, type Fault, type Usage, VisionError } from "#core/vision/fault";
export { type Probe, probe } from "#core/vision/probe";
export { Room } from "#core/vision/room";
export { classify, suspect, type Verdict } from "#core/vision/weather";

export interface AskOptions {
  signal?: AbortSignal | undefined;
  /** Epoch milliseconds; nothing here takes longer. */
  deadline: number;
  onEvent?: ((event: Complete.Event) => void) | undefined;
  /** Encodes the pictures anew after the server refused them; undefined when that was done already. */
  onPictureRefused?: (() => Promise<Complete.Picture[] | undefined>) | undefined;
  /** How picture and answer share the context; without it neither changes when they do not fit. */
  room?: Pick<Room, "contextTokens" | "grown" | "full" | "refused"> | undefined;
  /** Pauses between retries; the server's `Retry-After` has precedence. */
  backoff?: { baseMs: number; maxMs: number } | undefined;
  probeTimeoutMs?: number | undefined;
  /** Do not ask again after a connection that was lost with the request sent, although the server is there. */
  endOnSuspect?: boolean | undefined;
  /** 0 up to 1; replaced in tests. */
  random?: (() => number) | undefined;
}

export interface Answer {
  value: JsonObject;
  rawText: string;
  finishReason: string;
  /** Of all attempts together. */
  usage: Usage;
  attempts: AttemptRecord[];
  model: string;
  logprobs: Complete.TokenLogprob[] | null;
}

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

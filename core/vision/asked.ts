import type { JsonObject } from "#core/vision/answer/json";
import type * as Backoff from "#core/vision/backoff";
import type * as Complete from "#core/vision/complete";
import type { TokenLogprob } from "#core/vision/completion";
import type { AttemptRecord, Usage } from "#core/vision/fault";
import type { Room } from "#core/vision/room";

/* How a question is asked, and its outcome. */

export interface AskOptions {
  signal?: AbortSignal | undefined;
  /** Epoch milliseconds by which everything here ends. */
  deadline: number;
  onEvent?: ((event: Complete.Event) => void) | undefined;
  /** Encodes the pictures again after the server refused them; undefined if that was done before. */
  onPictureRefused?: (() => Promise<Complete.Picture[] | undefined>) | undefined;
  /** The pictures as bytes, after the server did not take one by its URL; undefined if that was done before. */
  onNotFetched?: (() => Promise<Complete.Picture[] | undefined>) | undefined;
  /** Called once when it turned out that a server takes pictures only as bytes. */
  onUrlsOff?: ((reason: string) => void) | undefined;
  /** Divides the context between picture and answer; without it, neither is changed if they do not fit. */
  room?: Pick<Room, "contextTokens" | "counted" | "grown" | "larger" | "full" | "refused"> | undefined;
  /** Pauses between retries; the server's `Retry-After` has precedence. */
  backoff?: Backoff.Backoff | undefined;
  probeTimeoutMs?: number | undefined;
  /** Ends the question after a suspect call, even if the server still answers (core/vision/verdict.ts). */
  endOnSuspect?: boolean | undefined;
  /**
   * An answer that used up its tokens and has this many complete rows ends the question; the caller asks for the other
   * rows.
   */
  continuedFrom?: number | undefined;
  /** 0 up to 1; replaced in tests. */
  random?: (() => number) | undefined;
}

export interface Answer {
  value: JsonObject;
  rawText: string;
  finishReason: string;
  /** The sum over all attempts. */
  usage: Usage;
  attempts: AttemptRecord[];
  model: string;
  logprobs: TokenLogprob[] | null;
}

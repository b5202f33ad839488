import { AppError } from "#core/error";

/**
 * How many tokens a picture costs, and how many it may cost.
 *
 * Source: Qwen3-VL's processor (`smart_resize`): both sides are rounded to multiples of 32 pixels, one token is
 * spent per 32 × 32 pixels, and pictures outside 65,536 to 16,777,216 pixels are scaled into that range first.
 */
export const patchPixels = 32;
const processorMinPixels = 65_536;
const processorMaxPixels = 16_777_216;
/** The processor refuses pictures that are longer than this many times their width. */
export const maxAspectRatio = 200;
/**
 * Tokens of the largest picture that the processor makes out of a tiny one: 64 for a square, up to 128 for a
 * strip, because both sides are rounded up. Less room than this fits no picture at all.
 */
export const minImageTokens = 128;
/** Chat template, special tokens around the picture, and what our estimate of the text gets wrong. */
const defaultMarginTokens = 256;

/** Upper bound of the tokens of one picture of `width` × `height` pixels. */
export function imageTokens(width: number, height: number, patch: number = patchPixels): number {
  const up = (pixels: number) => Math.max(1, Math.ceil(pixels / patch));
  const nearest = (pixels: number) => Math.max(1, Math.round(pixels / patch));
  // The processor rounds to the nearest multiple; rounding up bounds it from above.
  const asIs = up(width) * up(height);
  if (nearest(width) * nearest(height) * patch * patch >= processorMinPixels) return asIs;
  const enlarge = Math.sqrt(processorMinPixels / (width * height));
  return Math.max(asIs, up(width * enlarge) * up(height * enlarge));
}

/**
 * Upper bound of the tokens of a text, without a tokenizer: three ASCII characters a token (measured text and
 * JSON have 3.2 to 4.5), one and a half tokens for any other character (rare scripts and emoji are split into bytes).
 */
export function textTokens(text: string): number {
  let ascii = 0;
  let other = 0;
  for (const character of text) {
    if (character.charCodeAt(0) < 128) ascii++;
    else other++;
  }
  return Math.ceil(ascii / 3 + other * 1.5);
}

export interface Room {
  /** The model's context length, `VLLM_MAX_MODEL_LEN` or what the server reports. */
  maxModelLen: number;
  /** Text in front of the pictures, e.g. from `textTokens`. */
  promptTokens: number;
  maxOutputTokens: number;
  /** Pictures in the call, which share the room; default 1. */
  images?: number | undefined;
  margin?: number | undefined;
  patch?: number | undefined;
}

/**
 * Tokens that one picture may cost, so that prompt, pictures and answer fit the context.
 * Throws `invalid_request` (`details.reason` `prompt_too_long`) when no picture fits.
 */
export function tokenBudget(room: Room): number {
  const patch = room.patch ?? patchPixels;
  const margin = room.margin ?? defaultMarginTokens;
  const left = room.maxModelLen - room.promptTokens - room.maxOutputTokens - margin;
  const each = Math.floor(left / (room.images ?? 1));
  if (each < minImageTokens) {
    throw new AppError(
      "invalid_request",
      "prompt and answer leave no room for the picture in the model's context",
      {
        details: {
          reason: "prompt_too_long",
          context_tokens: room.maxModelLen,
          prompt_tokens: room.promptTokens,
          max_tokens: room.maxOutputTokens,
        },
      },
    );
  }
  return Math.min(each, Math.floor(processorMaxPixels / (patch * patch)));
}

/** The same budget in pixels. */
export function pixelBudget(room: Room): number {
  const patch = room.patch ?? patchPixels;
  return tokenBudget(room) * patch * patch;
}

/**
 * The largest size of a picture within `maxTokens`: its own when it fits, else both sides scaled alike and cut
 * to whole patches, so that the processor has nothing left to resample (its work on the CPU is the bottleneck
 * under load). Never enlarges.
 */
export function sizeWithin(
  width: number,
  height: number,
  maxTokens: number,
  patch: number = patchPixels,
): { width: number; height: number } {
  if (imageTokens(width, height, patch) <= maxTokens) return { width, height };
  const scale = Math.min(1, Math.sqrt((maxTokens * patch * patch) / (width * height)));
  const blocks = (pixels: number) => Math.max(1, Math.floor((pixels * scale) / patch));
  let columns = blocks(width);
  let rows = blocks(height);
  // A side thinner than one patch was raised to one: the other side pays for it.
  if (columns * rows > maxTokens) {
    if (columns > rows) columns = Math.max(1, Math.floor(maxTokens / rows));
    else rows = Math.max(1, Math.floor(maxTokens / columns));
  }
  return { width: Math.min(width, columns * patch), height: Math.min(height, rows * patch) };
}

/**
 * The budget of each picture after the model server said "context too long": its present cost less what has to go,
 * or two thirds of it where the server gave no numbers. Every further time is more careful, and it is always
 * smaller than before. Undefined when no picture would be left.
 */
export function afterTooLong(
  tokensNow: number,
  limit: { n: number; excessTokens: number | undefined },
  images: number = 1,
): number | undefined {
  const excess = Math.max(0, limit.excessTokens ?? tokensNow * images * 0.34);
  const next = Math.floor(tokensNow - (excess + 32 * limit.n) / images);
  return next < minImageTokens ? undefined : next;
}

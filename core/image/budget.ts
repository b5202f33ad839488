import { AppError } from "#core/error";

/**
 * How many tokens a picture costs, and how many it may cost.
 *
 * Source: Qwen3-VL's processor (`smart_resize` of transformers): both sides are rounded to the nearest multiple of 32
 * pixels, half to even; what then has less than 65,536 pixels is enlarged and rounded up, what has more than
 * 16,777,216 reduced and rounded down; one token is spent per 32 × 32 pixels.
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
/** A receipt can still be read in so many (a megapixel): what the answer leaves to the picture as long as there is so much. */
const legibleTokens = 1024;
/** Room for less than this is no room for an answer. */
const leastAnswerTokens = 192;
/** Chat template, special tokens around the picture, and what our estimate of the text gets wrong. */
export const defaultMarginTokens = 256;

/** Tokens of one picture of `width` × `height` pixels, exactly as the processor makes them. */
export function imageTokens(width: number, height: number, patch: number = patchPixels): number {
  const area = patch * patch;
  const columns = halfToEven(width / patch);
  const rows = halfToEven(height / patch);
  if (columns * rows * area > processorMaxPixels) {
    const reduce = Math.sqrt((height * width) / processorMaxPixels);
    const down = (pixels: number) => Math.max(1, Math.floor(pixels / reduce / patch));
    return down(width) * down(height);
  }
  if (columns * rows * area < processorMinPixels) {
    const enlarge = Math.sqrt(processorMinPixels / (height * width));
    const up = (pixels: number) => Math.ceil((pixels * enlarge) / patch);
    return up(width) * up(height);
  }
  return columns * rows;
}

/** Python's `round`: 22.5 is 22, 23.5 is 24. */
function halfToEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
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
 * How picture and answer share what the text leaves of the context: the answer gets `maxOutputTokens` as long as that
 * leaves the picture enough to be read; in a smaller context each gives way, down to half of what is left.
 * Throws `invalid_request` (`details.reason` `prompt_too_long`) when there is no sensible room for both.
 */
export function share(room: Room): { imageTokens: number; maxTokens: number } {
  const images = room.images ?? 1;
  const left = leftOf(room);
  const pictures = Math.max(
    left - room.maxOutputTokens,
    Math.min(legibleTokens * images, Math.floor(left / 2)),
  );
  const each = Math.floor(pictures / images);
  const maxTokens = Math.min(room.maxOutputTokens, left - pictures);
  if (each < minImageTokens || maxTokens < Math.min(room.maxOutputTokens, leastAnswerTokens))
    throw promptTooLong(room);
  return { imageTokens: Math.min(each, mostTokens(room)), maxTokens };
}

const leftOf = (room: Room) => room.maxModelLen - room.promptTokens - (room.margin ?? defaultMarginTokens);

const mostTokens = ({ patch = patchPixels }: Room) => Math.floor(processorMaxPixels / (patch * patch));

/** The text alone leaves no room in the context. */
export function promptTooLong(room: Pick<Room, "maxModelLen" | "promptTokens" | "maxOutputTokens">) {
  return new AppError(
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

export function isPromptTooLong(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.details?.reason === "prompt_too_long";
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
  // The model's processor would reduce the picture anyway; reducing it here saves sending 100 megapixels.
  const within = halfToEven(width / patch) * halfToEven(height / patch) * patch * patch <= processorMaxPixels;
  if (within && imageTokens(width, height, patch) <= maxTokens) return { width, height };
  const pixels = Math.min(maxTokens * patch * patch, processorMaxPixels);
  const scale = Math.min(1, Math.sqrt(pixels / (width * height)));
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

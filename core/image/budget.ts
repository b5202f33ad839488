import { AppError } from "#core/error";
import * as Processor from "#core/model/processor";

/**
 * How many tokens a picture takes, and how many it may take.
 *
 * Source: Qwen3-VL's processor (`smart_resize` of transformers). Both sides are rounded to the nearest multiple of 32
 * pixels, half to even. A result of less than 65,536 pixels is enlarged and rounded up; one of more than 16,777,216 is
 * reduced and rounded down. One token is spent per 32 × 32 pixels.
 */
export const patchPixels = 32;
const processorMinPixels = 65_536;
const processorMaxPixels = 16_777_216;
/** The processor refuses pictures that are longer than this many times their width. */
export const maxAspectRatio = 200;
/**
 * Tokens of the largest picture that the processor makes from a tiny one: 64 for a square, up to 128 for a strip,
 * because both sides are rounded up. With less room than this, no picture fits.
 */
export const minImageTokens = 128;
/** An answer needs at least this much room. */
export const leastAnswerTokens = 192;
/** Chat template, special tokens around the picture, and the error of the text estimate. */
export const defaultMarginTokens = 256;

/** Tokens of one picture of `width` × `height` pixels, exactly as Qwen3-VL's processor makes them. */
export function imageTokens(width: number, height: number, patch: number = patchPixels): number {
  return Processor.tokens(processorOf(patch), width, height);
}

const processorOf = (side: number): Processor.Processor => ({
  kind: "patches",
  side,
  minPixels: processorMinPixels,
  maxPixels: processorMaxPixels,
});

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
  /** The model's context length: `VLLM_MAX_MODEL_LEN`, or as reported by the server. */
  maxModelLen: number;
  /** Text before the pictures, e.g. from `textTokens`. */
  promptTokens: number;
  maxOutputTokens: number;
  /** Pictures in the call, which share the room; default 1. */
  images?: number | undefined;
  margin?: number | undefined;
  /** The model's own tokens of pictures; default: those of Qwen3-VL. */
  bounds?: Processor.Bounds | undefined;
}

/**
 * Splits the context that the text leaves between picture and answer. The answer gets `maxOutputTokens` as long as the
 * picture stays legible; in a smaller context both are reduced, the answer down to half of what is left. Throws
 * `invalid_request` (`details.reason` `prompt_too_long`) if both do not fit.
 */
export function share(room: Room): { imageTokens: number; maxTokens: number } {
  const { images = 1, bounds = defaultBounds } = room;
  const left = leftOf(room);
  const pictures = Math.max(
    left - room.maxOutputTokens,
    Math.min(bounds.legible * images, Math.floor(left / 2)),
  );
  const each = Math.floor(pictures / images);
  const maxTokens = Math.min(room.maxOutputTokens, left - pictures);
  if (each < bounds.least || maxTokens < Math.min(room.maxOutputTokens, leastAnswerTokens))
    throw promptTooLong(room);
  return { imageTokens: Math.min(each, bounds.most), maxTokens };
}

/**
 * What `Document.prepare` gets for a picture that may take so many tokens of this processor, within the operator's limit of
 * pixels: tokens of 1,024 pixels.
 */
export function preparedTokens(
  processor: Processor.Processor,
  tokens: number,
  maxPixels: number = Number.POSITIVE_INFINITY,
): number {
  const pixels = Math.min(Processor.pixelsFor(processor, tokens), maxPixels);
  return Math.max(minImageTokens, Math.floor(pixels / patchPixels ** 2));
}

/**
 * The smallest context in which the answer gets its full number of tokens beside the smallest picture. A smaller one
 * shortens the answer.
 */
export function leastContext({
  promptTokens,
  maxOutputTokens,
}: Pick<Room, "promptTokens" | "maxOutputTokens">): number {
  return promptTokens + defaultMarginTokens + minImageTokens + maxOutputTokens;
}

/**
 * How many pictures, at most `most`, a call can hold so that each stays legible and the answer keeps its tokens; at
 * least 1.
 */
export function picturesPerCall(room: Omit<Room, "images">, most: number): number {
  const { bounds = defaultBounds } = room;
  for (let images = most; images > 1; images -= 1) {
    const split = fits({ ...room, images });
    if (split !== undefined && split.imageTokens >= bounds.legible && split.maxTokens >= room.maxOutputTokens)
      return images;
  }
  return 1;
}

function fits(room: Room): ReturnType<typeof share> | undefined {
  try {
    return share(room);
  } catch (thrown) {
    if (isPromptTooLong(thrown)) return undefined;
    throw thrown;
  }
}

const leftOf = (room: Room) => room.maxModelLen - room.promptTokens - (room.margin ?? defaultMarginTokens);

const defaultBounds = Processor.bounds(processorOf(patchPixels));

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
 * The largest size of a picture within `maxTokens`: its own if it fits, else both sides scaled by the same factor and
 * cut to whole patches, so that the processor need not resample (its CPU work is the bottleneck under load). Never
 * enlarges.
 */
export function sizeWithin(
  width: number,
  height: number,
  maxTokens: number,
  patch: number = patchPixels,
): { width: number; height: number } {
  // The model's processor would reduce the picture anyway; reducing it here saves sending 100 megapixels.
  const within =
    Processor.halfToEven(width / patch) * Processor.halfToEven(height / patch) * patch * patch <=
    processorMaxPixels;
  if (within && imageTokens(width, height, patch) <= maxTokens) return { width, height };
  const pixels = Math.min(maxTokens * patch * patch, processorMaxPixels);
  const scale = Math.min(1, Math.sqrt(pixels / (width * height)));
  const blocks = (pixels: number) => Math.max(1, Math.floor((pixels * scale) / patch));
  let columns = blocks(width);
  let rows = blocks(height);
  // A side thinner than one patch was raised to one, so the other side must be reduced further.
  if (columns * rows > maxTokens) {
    if (columns > rows) columns = Math.max(1, Math.floor(maxTokens / rows));
    else rows = Math.max(1, Math.floor(maxTokens / columns));
  }
  return { width: Math.min(width, columns * patch), height: Math.min(height, rows * patch) };
}

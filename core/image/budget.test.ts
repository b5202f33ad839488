import * as fc from "fast-check";
import { expect, test } from "vitest";
import { AppError } from "#core/error";
import * as Budget from "#core/image/budget";

/**
 * Qwen3-VL's own arithmetic (`smart_resize`), written independently of ours: the tokens that the server will really
 * spend.
 */
function serverTokens(width: number, height: number): number {
  const factor = 32;
  const round = (value: number) => {
    // Python rounds halves to even.
    const floor = Math.floor(value);
    if (value - floor === 0.5) return floor % 2 === 0 ? floor : floor + 1;
    return Math.round(value);
  };
  let h = round(height / factor) * factor;
  let w = round(width / factor) * factor;
  if (h * w > 16_777_216) {
    const beta = Math.sqrt((height * width) / 16_777_216);
    h = Math.max(factor, Math.floor(height / beta / factor) * factor);
    w = Math.max(factor, Math.floor(width / beta / factor) * factor);
  } else if (h * w < 65_536) {
    const beta = Math.sqrt(65_536 / (height * width));
    h = Math.ceil((height * beta) / factor) * factor;
    w = Math.ceil((width * beta) / factor) * factor;
  }
  return (h / factor) * (w / factor);
}

const side = fc.integer({ min: 1, max: 20_000 });
/** Pictures that `inspect` lets through. */
const picture = fc
  .tuple(side, side)
  .filter(([w, h]) => w * h <= 100_000_000 && Math.max(w, h) <= Budget.maxAspectRatio * Math.min(w, h));

test("a picture of the chosen size never costs the server more than its budget", () => {
  fc.assert(
    fc.property(picture, fc.integer({ min: Budget.minImageTokens, max: 16_384 }), ([w, h], tokens) => {
      const size = Budget.sizeWithin(w, h, tokens);
      expect(serverTokens(size.width, size.height)).toBeLessThanOrEqual(tokens);
      expect(size.width).toBeGreaterThanOrEqual(1);
      expect(size.height).toBeGreaterThanOrEqual(1);
      expect(size.width).toBeLessThanOrEqual(w);
      expect(size.height).toBeLessThanOrEqual(h);
    }),
    { numRuns: 3_000 },
  );
});

test("the tokens of a picture are exactly what the server spends", () => {
  fc.assert(
    fc.property(picture, ([w, h]) => {
      expect(Budget.imageTokens(w, h)).toBe(serverTokens(w, h));
    }),
    { numRuns: 3_000 },
  );
});

test.each([
  // Half to even on both sides: the screen of a common phone.
  [720, 1280, 880],
  [1280, 720, 880],
  // Enlarged and rounded up, a half on the way.
  [80, 800, 78],
  [3000, 16, 110],
  [16, 3000, 110],
  [10, 10, 64],
  [32, 32, 64],
  // Exactly at the least, and just below it.
  [256, 256, 64],
  [255, 255, 64],
  [240, 240, 64],
  // No rounding is needed.
  [896, 2316, 28 * 72],
  [1312, 1856, 41 * 58],
  // Exactly at the most, and reduced and rounded down.
  [4096, 4096, 16_384],
  [4128, 4096, 16_256],
  [10_000, 10_000, 16_384],
  // The longest strip that is accepted.
  [6400, 32, 200],
  [200, 1, 114],
])("%i × %i pixels are %i tokens, as vLLM 0.32 counts them", (width, height, tokens) => {
  expect(serverTokens(width, height)).toBe(tokens);
  expect(Budget.imageTokens(width, height)).toBe(tokens);
});

test("a scaled photo keeps its shape and uses most of its budget", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_500, max: 9_000 }),
      fc.integer({ min: 1_500, max: 9_000 }),
      fc.integer({ min: 1_000, max: 6_000 }),
      (w, h, tokens) => {
        fc.pre(Budget.imageTokens(w, h) > tokens);
        const size = Budget.sizeWithin(w, h, tokens);
        // The processor itself rounds each side by up to one patch.
        expect(Math.abs(Math.log(size.width / size.height / (w / h)))).toBeLessThan(0.1);
        expect(Budget.imageTokens(size.width, size.height)).toBeGreaterThan(tokens * 0.85);
      },
    ),
  );
});

test("a 12-megapixel photo costs 11,750 tokens and is cut down to a context of 8,192", () => {
  expect(Budget.imageTokens(4000, 3000)).toBe(125 * 94);
  const { imageTokens, maxTokens } = Budget.share({
    maxModelLen: 8192,
    promptTokens: 700,
    maxOutputTokens: 1024,
  });
  expect([imageTokens, maxTokens]).toEqual([8192 - 700 - 1024 - 256, 1024]);
  expect(Budget.sizeWithin(4000, 3000, imageTokens)).toEqual({ width: 2912, height: 2176 });
});

test("several pictures share the room, and the processor's own maximum holds", () => {
  const room = { maxModelLen: 8192, promptTokens: 692, maxOutputTokens: 1244, margin: 256 };
  expect(Budget.share({ ...room, images: 4 })).toEqual({ imageTokens: 1500, maxTokens: 1244 });
  expect(Budget.share({ ...room, maxModelLen: 262_144 }).imageTokens).toBe(16_384);
});

test("in a small context, picture and answer share the room", () => {
  const room = { promptTokens: 1974, maxOutputTokens: 3584 };
  // The number of tokens for the answer is larger than the room that is left.
  expect(Budget.share({ ...room, maxModelLen: 4096 })).toEqual({ imageTokens: 933, maxTokens: 933 });
  // There is room for the answer's number, but the rest would be too small for a picture.
  expect(Budget.share({ ...room, maxModelLen: 5942 })).toEqual({ imageTokens: 1024, maxTokens: 2688 });
  expect(Budget.share({ ...room, maxModelLen: 8192 })).toEqual({ imageTokens: 2378, maxTokens: 3584 });
});

test("picture, answer and text never take more than the context has", () => {
  const tokens = fc.integer({ min: 0, max: 6_000 });
  fc.assert(
    fc.property(fc.integer({ min: 1_024, max: 40_000 }), tokens, tokens, (maxModelLen, prompt, figure) => {
      const room = { maxModelLen, promptTokens: prompt, maxOutputTokens: Math.max(16, figure), margin: 64 };
      try {
        const { imageTokens, maxTokens } = Budget.share(room);
        expect(imageTokens + maxTokens + prompt + 64).toBeLessThanOrEqual(maxModelLen);
        expect(imageTokens).toBeGreaterThanOrEqual(Budget.minImageTokens);
        expect(maxTokens).toBeLessThanOrEqual(room.maxOutputTokens);
      } catch (thrown) {
        expect(Budget.isPromptTooLong(thrown)).toBe(true);
      }
    }),
  );
});

test("more than the processor takes is reduced before it is sent, whatever the room", () => {
  const size = Budget.sizeWithin(10_000, 10_000, 16_384);
  expect(size).toEqual({ width: 4096, height: 4096 });
  expect(Budget.sizeWithin(4096, 4096, 16_384)).toEqual({ width: 4096, height: 4096 });
  expect(Budget.sizeWithin(20_000, 1_000, 16_384).width).toBeLessThan(20_000);
});

test("a context without room for a picture has an error of its own", () => {
  try {
    Budget.share({ maxModelLen: 2048, promptTokens: 1500, maxOutputTokens: 512 });
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: "invalid_request", details: { reason: "prompt_too_long" } });
  }
});

test("the estimate of a text is an upper bound for prose, JSON and other scripts", () => {
  // Token counts by Qwen's public tokenizer rules of thumb: about 4 characters a token in English, 1 in Chinese.
  expect(Budget.textTokens("Read the receipt and answer with JSON.")).toBeGreaterThanOrEqual(9);
  expect(Budget.textTokens("合計金額")).toBeGreaterThanOrEqual(4);
  expect(Budget.textTokens("")).toBe(0);
});

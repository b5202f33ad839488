import * as fc from "fast-check";
import { expect, test } from "vitest";
import { AppError } from "#core/error";
import * as Budget from "#core/image/budget";

/** Qwen3-VL's own arithmetic (`smart_resize`), written down apart from ours: what the server will really spend. */
function serverTokens(width: number, height: number): number {
  const factor = 32;
  const round = (value: number) => {
    // Python rounds halves to even.
    const floor = Math.floor(value);
    if (value - floor === 0.5) return floor % 2 === 0 ? floor : floor + 1;
    return Math.round(value);
  };
  let h = Math.max(factor, round(height / factor) * factor);
  let w = Math.max(factor, round(width / factor) * factor);
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

test("the estimate of a picture's tokens is never below what the server spends", () => {
  fc.assert(
    fc.property(picture, ([w, h]) => {
      expect(Budget.imageTokens(w, h)).toBeGreaterThanOrEqual(serverTokens(w, h));
    }),
    { numRuns: 3_000 },
  );
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
        // One patch a side is the rounding of the processor itself.
        expect(Math.abs(Math.log(size.width / size.height / (w / h)))).toBeLessThan(0.1);
        expect(Budget.imageTokens(size.width, size.height)).toBeGreaterThan(tokens * 0.85);
      },
    ),
  );
});

test("a 12-megapixel photo costs 11,750 tokens and is cut down to a context of 8,192", () => {
  expect(Budget.imageTokens(4000, 3000)).toBe(125 * 94);
  const tokens = Budget.tokenBudget({ maxModelLen: 8192, promptTokens: 700, maxOutputTokens: 1024 });
  expect(tokens).toBe(8192 - 700 - 1024 - 256);
  expect(Budget.sizeWithin(4000, 3000, tokens)).toEqual({ width: 2912, height: 2176 });
  expect(Budget.pixelBudget({ maxModelLen: 8192, promptTokens: 700, maxOutputTokens: 1024 })).toBe(
    tokens * 1024,
  );
});

test("several pictures share the room, and the processor's own maximum holds", () => {
  const room = { maxModelLen: 8192, promptTokens: 692, maxOutputTokens: 1244, margin: 256 };
  expect(Budget.tokenBudget({ ...room, images: 4 })).toBe(1500);
  expect(Budget.tokenBudget({ ...room, maxModelLen: 262_144 })).toBe(16_384);
});

test("no room for a picture is told as such", () => {
  try {
    Budget.tokenBudget({ maxModelLen: 2048, promptTokens: 1500, maxOutputTokens: 512 });
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

test("after a context that was too long the picture pays for what has to go, and always shrinks", () => {
  expect(Budget.afterTooLong(6_000, { n: 1, excessTokens: 1_320 })).toBe(6_000 - 1_320 - 32);
  expect(Budget.afterTooLong(6_000, { n: 2, excessTokens: 0 })).toBe(6_000 - 64);
  expect(Budget.afterTooLong(3_000, { n: 1, excessTokens: 1_000 }, 2)).toBe(3_000 - 516);
  expect(Budget.afterTooLong(6_000, { n: 1, excessTokens: undefined })).toBe(6_000 - 2_040 - 32);
  expect(Budget.afterTooLong(600, { n: 1, excessTokens: 500 })).toBeUndefined();
});

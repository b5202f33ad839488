import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Processor from "#core/model/processor";
import * as Profiles from "#core/model/profiles/profiles";
import { type ProfileName, profileNames } from "#spec/profile-names";

const of = (name: ProfileName) => Profiles.choose("", name).processor;
const side = fc.integer({ min: 16, max: 8_000 });
const picture = fc.tuple(side, side).filter(([w, h]) => Math.max(w, h) <= 60 * Math.min(w, h));

describe("tokens of one picture, worked out by hand from the processor's own source", () => {
  test.each<[ProfileName, number, number, number]>([
    ["qwen3-vl", 720, 1280, 22 * 40],
    ["qwen3.5", 1312, 1856, 41 * 58],
    ["qwen2.5-vl", 728, 1288, 26 * 46],
    // 5,880,000 pixels at most: 4000 × 3000 is divided by 1.42857, 2800 × 2100.
    ["glm-v", 4000, 3000, 100 * 75],
    // 1540 × 1155: 55 columns, 42 rows, and a token at the end of each row.
    ["mistral", 4000, 3000, 56 * 42],
    ["mistral", 280, 560, 11 * 20],
    // 3 to 4 is a grid of 3 × 4, with a small copy of the whole.
    ["internvl", 1200, 1600, 13 * 256],
    ["internvl", 448, 448, 256],
    // Nine slices and the copy.
    ["minicpm-v", 3000, 4000, 10 * 67],
    ["minicpm-v", 400, 400, 67],
    ["gemma-4", 3000, 4000, 280],
    ["gemma-3", 30, 40, 256],
  ])("%s counts %i × %i pixels as %i", (name, width, height, expected) => {
    expect(Processor.tokens(of(name), width, height)).toBe(expected);
  });
});

describe.each(profileNames)("the processor of %s", (name) => {
  const processor = of(name);

  test("never counts more tokens for a picture than its bounds allow", () => {
    const { most } = Processor.bounds(processor);
    fc.assert(
      fc.property(picture, ([w, h]) => {
        expect(Processor.tokens(processor, w, h)).toBeLessThanOrEqual(most);
      }),
    );
  });

  test("counts a picture of `pixelsFor(budget)` pixels within that budget", () => {
    const { least, most } = Processor.bounds(processor);
    fc.assert(
      fc.property(fc.integer({ min: least, max: most }), fc.integer({ min: 1, max: 3 }), (budget, shape) => {
        const pixels = Processor.pixelsFor(processor, budget);
        const width = Math.floor(Math.sqrt(pixels / shape));
        const height = Math.floor(width * shape);
        // Patches of the encoder are 32 pixels wide. Both sides are cut to whole patches; other processors round up.
        const whole = (value: number) => Math.max(32, Math.floor(value / 32) * 32);
        const taken = Processor.tokens(processor, whole(width), whole(height));
        expect(taken).toBeLessThanOrEqual(Math.max(budget * 1.1 + 8, least));
      }),
    );
  });

  test("keeps a picture of a megapixel legible, and asks for no pixels that are thrown away", () => {
    const { least, legible, most } = Processor.bounds(processor);
    expect(least).toBeLessThanOrEqual(legible);
    expect(legible).toBeLessThanOrEqual(most);
    expect(Processor.pixelsFor(processor, 1e9)).toBeLessThanOrEqual(Processor.mostPixels(processor));
  });
});

import { describe, expect, test } from "vitest";
import * as Budget from "#core/image/budget";
import { cut } from "./tiles.ts";

const paper = { width: 600, height: 24_000 };
const lines = Array.from({ length: 1_000 }, (_, at) => ({
  top: (at * 24 + 4) / paper.height,
  bottom: (at * 24 + 20) / paper.height,
  amount: at % 2 === 0,
}));

/** A look at the paper, with letters of this height in pixels. */
const looked = (letter: number, letters = 100) => ({
  ...{ turn: 0 as const, papers: [], tilt: 0, lines },
  legibility: {
    letters,
    certain: true,
    letterShare: letter / paper.height,
    sharpness: 1,
    paper: 250,
    glare: 0,
    cutOff: false,
  },
});
const tokens = (pixels: number) => pixels / Budget.patchPixels ** 2;

describe("a page", () => {
  test("is not cut if it is legible as one picture, or is sent at its own size", () => {
    expect(cut({ ...paper, look: looked(24) }, { imageTokens: tokens(3_000_000), most: 16 })).toBeUndefined();
    expect(cut({ ...paper, look: looked(5) }, { imageTokens: tokens(15_000_000), most: 16 })).toBeUndefined();
  });

  test("is cut between lines into as few tiles as are legible, each with the last six lines of the one before", () => {
    const found = cut({ ...paper, look: looked(16) }, { imageTokens: tokens(2_000_000), most: 16 });
    expect(found?.isEnough).toBe(true);
    const { tiles = [] } = found ?? {};
    expect(tiles.map(({ number, of }) => [number, of])).toEqual(
      [1, 2, 3].map((number) => [number, tiles.length]),
    );
    expect([tiles[0]?.top, tiles.at(-1)?.bottom]).toEqual([0, 1]);
    for (const [at, { top, bottom, shared }] of tiles.entries()) {
      for (const edge of [top, bottom])
        expect(lines.some((line) => line.top < edge && edge < line.bottom)).toBe(false);
      const above = tiles[at - 1];
      if (above === undefined) continue;
      const both = lines.filter((line) => line.top > top && line.bottom < above.bottom);
      expect([both.length, shared]).toEqual([6, { lines: 6, amounts: 3 }]);
    }
  });

  test("that would need too many tiles is cut into the most allowed, and this is reported", () => {
    const found = cut({ ...paper, look: looked(16) }, { imageTokens: tokens(200_000), most: 16 });
    expect([found?.tiles.length, found?.isEnough]).toEqual([16, false]);
  });

  test("without letters to measure is cut by its shape: paper that is much longer than wide", () => {
    const [room, narrow] = [
      { imageTokens: tokens(2_000_000), most: 16 },
      { width: 600, height: 12_000 },
    ];
    for (const look of [undefined, { ...looked(3, 5), lines: [] }]) {
      const { tiles = [] } = cut({ ...narrow, look }, room) ?? {};
      expect(tiles.length).toBeGreaterThan(1);
      expect((tiles[0]?.bottom ?? 0) - (tiles[1]?.top ?? 0)).toBeGreaterThan(100 / narrow.height);
    }
    expect(cut({ width: 4_000, height: 5_000, look: undefined }, room)).toBeUndefined();
  });
});

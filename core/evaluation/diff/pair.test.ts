import { describe, expect, test } from "vitest";
import { each } from "#test/support/measured";
import type * as Wire from "../wire.ts";
import * as Pair from "./pair.ts";

const line = (file: string | null, custom_id: string | null = null, document = 1) =>
  Buffer.from(JSON.stringify({ index: 0, document, file, custom_id, request_id: `r-${file}`, verdicts: [] }));
const names = (files: string) => files.split(" ").map((file) => line(file));

async function paired(first: Buffer[], second: Buffer[], maxBytes?: number) {
  const left = { only_in_first: 0, only_in_second: 0 };
  const found: [Wire.Sample, Wire.Sample][] = [];
  for await (const pair of Pair.pairs<Wire.Sample>(each(first), each(second), left, maxBytes))
    found.push(pair);
  return { files: found.map(([a, b]) => [a.file, b.file]), left, found };
}

describe("documents of two evaluations", () => {
  test("are paired in any order; documents of one side only are counted", async () => {
    const { files, left } = await paired(names("a b c d x"), names("c y a b z d"));
    expect(files.toSorted()).toEqual(["a", "b", "c", "d"].map((file) => [file, file]));
    expect(left).toEqual({ only_in_first: 1, only_in_second: 2 });
    const none = await paired(names("a b c"), []);
    expect(none).toMatchObject({ files: [], left: { only_in_first: 3, only_in_second: 0 } });
  });

  test("are distinguished by custom_id if they have no file, and by their number on the picture", async () => {
    const first = [line("a"), line("a", null, 2), line(null, "k"), line("twice"), line("twice")];
    const second = [line("a", null, 2), line("a", "other"), line(null, "k"), line("twice")];
    const { found, left } = await paired(first, second);
    expect(found.every(([a, b]) => a.document === b.document)).toBe(true);
    expect(found).toHaveLength(4);
    expect(left).toEqual({ only_in_first: 1, only_in_second: 0 });
  });

  test("are not kept in memory if both have the same order; more than the bound is refused with its own error", async () => {
    const many = names(Array.from({ length: 200 }, (_, i) => `f${i}`).join(" "));
    expect((await paired(many, many, 200)).files).toHaveLength(200);
    // If one side has half as many, the rest of the other is not kept once the shorter one has ended.
    expect((await paired(many, many.slice(0, 100), 200)).left).toEqual({
      only_in_first: 100,
      only_in_second: 0,
    });
    await expect(paired(many, many.toReversed(), 200)).rejects.toMatchObject({
      code: "conflict",
      details: { reason: "other_order" },
    });
  });
});

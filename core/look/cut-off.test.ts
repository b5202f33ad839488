import sharp, { type Sharp } from "sharp";
import { beforeAll, expect, test } from "vitest";
import * as Look from "#core/image/look";
import { draw } from "#test/support/look/receipts";

import { type Box, runsNear, sidesOf, touchesOf } from "./side.ts";

const pictures = 6;
let receipts: Buffer[] = [];

beforeAll(async () => {
  receipts = await Promise.all(
    Array.from({ length: pictures }, async (_, n) => {
      const { bytes } = await draw(61_000 + n, { fonts: ["monospace"], mostTilt: 0.4, wear: 0.3 });
      return bytes;
    }),
  );
});

/** How many are named after this much of them is cut off, or after paper is added on all sides. */
async function named(change: (picture: Sharp, size: { width: number; height: number }) => Sharp) {
  let count = 0;
  for (const bytes of receipts) {
    const { width, height } = await sharp(bytes).metadata();
    const { data, info } = await change(sharp(bytes), { width, height })
      .raw()
      .toBuffer({ resolveWithObject: true });
    const raster = { data, width: info.width, height: info.height, channels: info.channels as 3 };
    if ((await Look.pixels(raster)).legibility.cutOff) count += 1;
  }
  return count;
}

test("a receipt that is cut through its lines is cut off, on either flank and on any side after a turn", async () => {
  const share = 0.35;
  const left = ({ width, height }: { width: number; height: number }) => ({
    left: Math.round(share * width),
    top: 0,
    width: width - Math.round(share * width),
    height,
  });
  const right = ({ width, height }: { width: number; height: number }) => ({
    ...left({ width, height }),
    left: 0,
    width: Math.round((1 - share) * width),
  });
  expect(await named((picture, size) => picture.extract(left(size)))).toBe(pictures);
  // Some names end before this cut, and what is left of them says nothing.
  expect(await named((picture, size) => picture.extract(right(size)))).toBeGreaterThanOrEqual(pictures - 2);
  for (const turn of [90, 180, 270])
    expect(await named((picture, size) => picture.extract(left(size)).rotate(turn))).toBe(pictures);
});

test("a whole receipt is not cut off, nor one with paper around it", async () => {
  expect(await named((picture) => picture)).toBe(0);
  const around = { top: 40, bottom: 40, left: 40, right: 40, background: "#ffffff" };
  expect(await named((picture) => picture.extend(around))).toBe(0);
});

test("every side sees the same: what it cuts, how far that reaches, and no long lines", () => {
  const [width, height] = [40, 30];
  const runs = { left: [] as Box[], top: [] as Box[] };
  // Two strokes of three pixels' depth at the left, mirrored to the other sides.
  for (const y of [5, 6, 20]) runs.left.push({ left: 0, right: 2, top: y, bottom: y });
  for (const row of [0, 1, 2])
    for (const [left, right] of [
      [5, 6],
      [20, 20],
    ] as const)
      runs.top.push({ left, right, top: row, bottom: row });
  const [left, right, top, bottom] = sidesOf({ width, height });
  const expected = [
    { first: 5, last: 6, reach: 3 },
    { first: 20, last: 20, reach: 3 },
  ];
  const touches = (side: typeof left, boxes: Box[]) => {
    const all = {
      x0: Int16Array.from(boxes, (box) => box.left),
      x1: Int16Array.from(boxes, (box) => box.right),
      y: Int16Array.from(boxes, (box) => box.top),
      mark: Int32Array.from(boxes, () => 0),
      count: boxes.length,
    };
    return side && touchesOf(side, runsNear({ width, height }, all, 6), 6);
  };
  const flipped = (box: Box) => ({ ...box, left: width - 1 - box.right, right: width - 1 - box.left });
  const upended = (box: Box) => ({ ...box, top: height - 1 - box.bottom, bottom: height - 1 - box.top });
  expect(touches(left, runs.left)).toEqual(expected);
  expect(touches(right, runs.left.map(flipped))).toEqual(expected);
  expect(touches(top, runs.top)).toEqual(expected);
  expect(touches(bottom, runs.top.map(upended))).toEqual(expected);
});

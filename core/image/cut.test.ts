import sharp from "sharp";
import { expect, test } from "vitest";
import * as Document from "#core/document/document";
import type { Cut } from "./cut.ts";

/** A black table with a white card that has a red left half, and a green card beside it. */
const table = (turn: number) =>
  sharp(
    Buffer.from(
      `<svg width="600" height="400"><rect width="600" height="400"/><g transform="rotate(${turn} 200 200)"><rect x="150" y="120" width="100" height="160" fill="#fff"/><rect x="150" y="120" width="50" height="160" fill="#f00"/></g><rect x="320" y="40" width="200" height="320" fill="#0f0"/></svg>`,
    ),
  );

/** The part as it is sent. */
async function sent(bytes: Buffer, cut: Cut) {
  const { first } = await Document.open(bytes);
  const prepared = await Document.prepare({ ...first, cut }, { maxImageTokens: 4_096 });
  const { data, info } = await sharp(prepared.bytes).raw().toBuffer({ resolveWithObject: true });
  const near = (x: number, y: number, color: number[]) =>
    color.every((level, c) => Math.abs((data[(y * info.width + x) * info.channels + c] ?? -99) - level) < 20);
  return { width: info.width, height: info.height, near };
}

/** Corners of the card, in parts of the table. */
function cardOf(turn: number): Cut {
  const [sin, cos] = [Math.sin((turn * Math.PI) / 180), Math.cos((turn * Math.PI) / 180)];
  const around = [
    [-50, -80],
    [50, -80],
    [50, 80],
    [-50, 80],
  ] as const;
  const corners = around.map(([x, y]) => ({
    x: (200 + x * cos - y * sin) / 600,
    y: (200 + x * sin + y * cos) / 400,
  }));
  return { corners, turn: -turn };
}

const [red, white] = [
  [255, 0, 0],
  [255, 255, 255],
];

test("a part that leans by more than the look corrects is turned upright, at its own size", async () => {
  const part = await sent(await table(30).png().toBuffer(), cardOf(30));
  expect([part.width, part.height]).toEqual([100, 160]);
  expect([part.near(25, 80, red), part.near(75, 80, white)]).toEqual([true, true]);
});

test("the area around a part that leans a little is white, without the table or a neighbor", async () => {
  const part = await sent(await table(5).png().toBuffer(), cardOf(5));
  expect(part.width).toBeGreaterThan(100);
  expect([part.near(1, 1, white), part.near(part.width - 2, part.height - 2, white)]).toEqual([true, true]);
  expect(part.near(Math.floor(part.width / 2) - 20, Math.floor(part.height / 2), red)).toBe(true);
});

test("places are those of the page as EXIF turns it, and a part that leaves the page ends in white", async () => {
  const lying = await sharp(await table(0).png().toBuffer())
    .rotate(270)
    .jpeg({ quality: 100 })
    .withMetadata({ orientation: 6 })
    .toBuffer();
  const part = await sent(lying, cardOf(0));
  expect([part.width, part.height]).toEqual([100, 160]);
  expect([part.near(25, 80, red), part.near(75, 80, white)]).toEqual([true, true]);
  const outside = cardOf(0).corners.map(({ x, y }) => ({ x: x - 0.3, y }));
  const cut = await sent(lying, { corners: outside, turn: 0 });
  expect([Math.abs(cut.width - 101) <= 1, cut.height]).toEqual([true, 160]);
  expect(cut.near(5, 80, white)).toBe(true);
});

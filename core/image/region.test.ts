import sharp from "sharp";
import { expect, test } from "vitest";
import type { Region } from "#core/image/encode";
import * as Encode from "#core/image/encode";
import { sniff } from "#core/image/type";

const [width, height, bands] = [400, 1_600, 4];

/** Bands of one gray each, darker from top to bottom. */
const striped = async () => {
  const data = Buffer.alloc(width * height, 0);
  for (let at = 0; at < data.length; at += 1)
    data[at] = 240 - 60 * Math.floor(at / ((width * height) / bands));
  return await sharp(data, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
};

async function cut(bytes: Buffer, region: Region, { turn = 0, maxImageTokens = 4_096 } = {}) {
  const { width, height, orientation = 1 } = await Encode.header(bytes, sniff(bytes) ?? "image/png");
  const picture = {
    bytes,
    mimeType: "image/png",
    index: 0,
    width,
    height,
    orientation,
    pixelAspect: 1,
  } as const;
  const encoded = await Encode.encode(picture, { maxImageTokens, region, turn });
  const { data, info } = await sharp(encoded.bytes).greyscale().raw().toBuffer({ resolveWithObject: true });
  const levels = [0.02, 0.5, 0.98].map((share) => {
    const row = Math.min(info.height - 1, Math.floor(share * info.height));
    return data[row * info.width + Math.floor(info.width / 2)];
  });
  return { encoded, levels };
}

const near = (level: number) => expect.toSatisfy((found: number) => Math.abs(found - level) <= 3);

test("a region of a page is that part of it, at its own size where the budget allows it", async () => {
  const { encoded, levels } = await cut(await striped(), { left: 0, top: 0.25, width: 1, height: 0.5 });
  expect(encoded).toMatchObject({ width, height: height / 2, mimeType: "image/jpeg" });
  expect(levels).toEqual([near(180), expect.any(Number), near(120)]);
});

test("a region refers to the page after it was turned, as it is sent", async () => {
  const lying = await sharp(await striped())
    .rotate(90)
    .png()
    .toBuffer();
  const { encoded, levels } = await cut(lying, { left: 0, top: 0.75, width: 1, height: 0.25 }, { turn: 270 });
  expect(encoded).toMatchObject({ width, height: height / 4 });
  expect(levels).toEqual([near(60), near(60), near(60)]);
});

test.each([0, 4])(
  "a region turned by %s degrees is as large as the budget allows and no larger",
  async (turn) => {
    const region = { left: 0, top: 0.5, width: 1, height: 0.25 };
    const { encoded } = await cut(await striped(), region, { turn, maxImageTokens: 64 });
    expect(encoded.width * encoded.height).toBeLessThanOrEqual(64 * 1_024 * 1.1);
    expect(encoded.width * encoded.height).toBeGreaterThan(64 * 1_024 * 0.75);
    // Without the region, the page would have had half of its width.
    expect(encoded.width).toBeGreaterThan(180);
  },
);

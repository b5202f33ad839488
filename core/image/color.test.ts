import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import * as Document from "#core/document/document";
import { inspect } from "#test/support/inspect";
import { floatTiff, png, pngChunk } from "#test/support/picture-parts";

const size = { width: 64, height: 64 };
const solid = (background: string) => sharp({ create: { ...size, channels: 3, background } });
const prepare = async (bytes: Uint8Array) =>
  await Document.prepare(await inspect(bytes), { maxImageTokens: 4096 });

/** The color at a point of the picture that would be sent. */
async function sent(bytes: Uint8Array, x = 32, y = 32): Promise<number[]> {
  const prepared = await prepare(bytes);
  const { data, info } = await sharp(prepared.bytes).raw().toBuffer({ resolveWithObject: true });
  expect((await sharp(prepared.bytes).metadata()).depth).toBe("uchar");
  const at = (y * info.width + x) * info.channels;
  const samples = [...data.subarray(at, at + info.channels)];
  return samples.length === 1 ? [samples[0] ?? 0, samples[0] ?? 0, samples[0] ?? 0] : samples;
}

/** JPEG differs by a few; wrongly read colors differ by tens. */
async function expectColor(bytes: Uint8Array, wanted: number[]): Promise<void> {
  const seen = await sent(bytes);
  const far = seen.some((value, index) => Math.abs(value - (wanted[index] ?? 0)) > 6);
  expect({ seen, far }).toEqual({ seen, far: false });
}

const profileOf = async (name: "srgb" | "p3") => {
  const { icc } = await sharp(await solid("#fff").withIccProfile(name).png().toBuffer()).metadata();
  return pngChunk(
    "iCCP",
    Buffer.concat([Buffer.from("profile\0\0", "latin1"), deflateSync(icc ?? Buffer.alloc(0))]),
  );
};

describe("16 bits a sample", () => {
  const orange = [200, 120, 40];

  test("colors do not change, without a profile and with sRGB's", async () => {
    for (const pixel of [orange, [255, 0, 0], [0, 0, 255], [12, 200, 90]]) {
      const deep = { ...size, bitDepth: 16, colorType: 2, pixel: () => pixel };
      await expectColor(png(deep), pixel);
      await expectColor(png({ ...deep, before: [pngChunk("sRGB", Buffer.from([0]))] }), pixel);
      await expectColor(png({ ...deep, before: [await profileOf("srgb")] }), pixel);
    }
  });

  test("another profile is applied as with 8 bits", async () => {
    const before = [await profileOf("p3")];
    const shallow = png({ ...size, colorType: 2, pixel: () => orange, before });
    const deep = png({ ...size, bitDepth: 16, colorType: 2, pixel: () => orange, before });
    const seen = await sent(shallow);
    expect((seen[0] ?? 0) - 200).toBeGreaterThan(6);
    await expectColor(deep, seen);
  });

  test("grey is scaled, not clipped, also where it is scaled down or half transparent", async () => {
    for (const grey of [0, 64, 128, 200, 255]) {
      await expectColor(png({ ...size, bitDepth: 16, pixel: () => [grey] }), [grey, grey, grey]);
      const half = png({ ...size, bitDepth: 16, colorType: 4, pixel: () => [grey, 128] });
      const onWhite = Math.round(grey * (128 / 255) + 255 * (127 / 255));
      await expectColor(half, [onWhite, onWhite, onWhite]);
    }
  });
});

test("transparency becomes white paper: alpha, a palette's, a color key, in every format that has it", async () => {
  const clear = sharp({ create: { ...size, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } });
  const pictures = {
    rgba: await clear.png().toBuffer(),
    "grey with alpha": png({ ...size, colorType: 4, pixel: () => [0, 0] }),
    "16 bits with alpha": png({ ...size, bitDepth: 16, colorType: 6, pixel: () => [0, 0, 0, 0] }),
    palette: png({
      ...size,
      colorType: 3,
      pixel: () => [0],
      before: [pngChunk("PLTE", Buffer.from([0, 0, 0])), pngChunk("tRNS", Buffer.from([0]))],
    }),
    "color key": png({
      ...size,
      colorType: 2,
      pixel: () => [0, 0, 0],
      before: [pngChunk("tRNS", Buffer.alloc(6))],
    }),
    "grey key": png({ ...size, pixel: () => [0], before: [pngChunk("tRNS", Buffer.alloc(2))] }),
    webp: await clear.webp({ lossless: true }).toBuffer(),
    gif: await clear.gif().toBuffer(),
    tiff: await clear.tiff({ compression: "lzw" }).toBuffer(),
  };
  for (const [name, bytes] of Object.entries(pictures)) {
    const prepared = await prepare(bytes);
    expect([name, prepared.changed, prepared.mimeType]).toEqual([name, true, "image/jpeg"]);
    expect([name, await sent(bytes)]).toEqual([name, [255, 255, 255]]);
  }
});

test("CMYK is seen as it is printed: red stays red, white paper white, black print black", async () => {
  for (const [color, strongest] of [
    ["#ff0000", 0],
    ["#0000ff", 2],
  ] as const) {
    const seen = await sent(await solid(color).toColorspace("cmyk").jpeg({ quality: 95 }).toBuffer());
    const others = seen.filter((_, index) => index !== strongest);
    expect(Math.max(...others)).toBeLessThan((seen[strongest] ?? 0) - 50);
  }
  const paper = await solid("#ffffff").toColorspace("cmyk").jpeg({ quality: 95 }).toBuffer();
  expect((await sharp(paper).metadata()).space).toBe("cmyk");
  expect(Math.min(...(await sent(paper)))).toBeGreaterThan(245);
  const print = await solid("#000000").toColorspace("cmyk").tiff().toBuffer();
  expect(Math.max(...(await sent(print)))).toBeLessThan(60);
});

test("one bit a pixel is black on white, in PNG and in a fax's TIFF, whichever of the two is 0", async () => {
  const rows = Buffer.alloc(9 * 64);
  for (let y = 0; y < 64; y++) rows.fill(0xff, y * 9 + 5, y * 9 + 9);
  const bits = png({ ...size, bitDepth: 1, idat: deflateSync(rows) });
  const half = await sharp(bits).toColorspace("b-w").raw().toBuffer();
  const tiff = (options: object) =>
    sharp(half, { raw: { ...size, channels: 1 } })
      .toColorspace("b-w")
      .tiff({ bitdepth: 1, ...options })
      .toBuffer();
  const faxes = [
    await tiff({ compression: "lzw", predictor: "none" }),
    await tiff({ compression: "ccittfax4" }),
    await tiff({ compression: "ccittfax4", miniswhite: true }),
  ];
  for (const bytes of [bits, ...faxes]) {
    const [left = 255] = await sent(bytes, 8);
    const [right = 0] = await sent(bytes, 56);
    expect([left < 20, right > 235]).toEqual([true, true]);
  }
});

test("samples with an unknown white are refused, not sent as a black page", async () => {
  await expect(inspect(floatTiff(64, 64, 0.25))).rejects.toMatchObject({
    code: "invalid_image",
    details: { reason: "sample_format" },
  });
});

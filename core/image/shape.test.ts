import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import * as Document from "#core/document/document";
import * as Budget from "#core/image/budget";
import * as Png from "#core/image/png";
import * as Walk from "#core/image/walk";
import { inspect } from "#test/support/inspect";
import { exif, physical, png, pngChunk, rawProfile, withJpegSegment } from "#test/support/picture-parts";

const maxImageTokens = 4096;
const cases = resolve(import.meta.dirname, "../../../shared/cases");

const canvas = (width = 204, height = 98) =>
  sharp({ create: { width, height, channels: 3, background: "#808080" } });
const prepare = async (bytes: Uint8Array, tokens = maxImageTokens) =>
  await Document.prepare(await inspect(bytes), { maxImageTokens: tokens });

async function jfif(unit: number, x: number, y: number, behind?: Buffer): Promise<Buffer> {
  const jpeg = await canvas().jpeg().toBuffer();
  const header = Buffer.from("JFIF\0\x01\x02\0\0\0\0\0\0\0", "latin1");
  header[7] = unit;
  header.writeUInt16BE(x, 8);
  header.writeUInt16BE(y, 10);
  return withJpegSegment(behind === undefined ? jpeg : withJpegSegment(jpeg, 0xe1, behind), 0xe0, header);
}

const withExif = async (x: [number, number], y: [number, number], order?: "II" | "MM") =>
  withJpegSegment(
    await canvas().jpeg().toBuffer(),
    0xe1,
    Buffer.concat([Buffer.from("Exif\0\0", "latin1"), exif({ resolution: { x, y } }, order)]),
  );

describe("what is sent has square pixels", () => {
  test("a fax of standard resolution is as high as its paper, wherever the file states the resolution", async () => {
    const tiff = (big: boolean) =>
      canvas()
        .tiff({ xres: 204 / 25.4, yres: 98 / 25.4, bigtiff: big })
        .toBuffer();
    const fax = {
      tiff: await tiff(false),
      bigTiff: await tiff(true),
      "JFIF, dots an inch": await jfif(1, 204, 98),
      "JFIF, bare ratio": await jfif(0, 204, 98),
      "PNG, dots a metre": png({ width: 204, height: 98, before: [physical(8031, 3858)] }),
      "PNG, bare ratio": png({ width: 204, height: 98, before: [physical(204, 98, 0)] }),
      "EXIF in JPEG": await withExif([204, 1], [98, 1]),
      "EXIF in JPEG, the other byte order": await withExif([2040, 10], [980, 10], "MM"),
      "EXIF in PNG": png({
        width: 204,
        height: 98,
        before: [pngChunk("eXIf", exif({ resolution: { x: [204, 1], y: [98, 1] } }))],
      }),
    };
    for (const [name, bytes] of Object.entries(fax)) {
      const prepared = await prepare(bytes);
      expect([name, prepared.width, prepared.height, prepared.changed]).toEqual([name, 204, 204, true]);
    }
  });

  test("the coarser side grows, whichever it is, and a turned picture keeps its shape", async () => {
    expect(await prepare(await jfif(1, 98, 204))).toMatchObject({ width: 425, height: 98 });
    const turned = await canvas()
      .tiff({ xres: 204 / 25.4, yres: 98 / 25.4 })
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const image = await inspect(turned);
    expect(image.orientation).toBe(6);
    const tall = await prepare(png({ width: 100, height: 40, before: [physical(400, 200), turnedExif()] }));
    expect(tall).toMatchObject({ width: 80, height: 100 });
  });

  test("the picture stays within the budget, and is scaled only once", async () => {
    const bytes = await sharp({ create: { width: 1728, height: 1100, channels: 3, background: "#fff" } })
      .tiff({ xres: 204 / 25.4, yres: 98 / 25.4 })
      .toBuffer();
    const prepared = await prepare(bytes, 600);
    expect(Budget.imageTokens(prepared.width, prepared.height)).toBeLessThanOrEqual(600);
    expect(prepared.height / prepared.width).toBeCloseTo((1100 * 204) / 98 / 1728, 1);
  });

  test("equal, missing, rounded and absurd resolutions change nothing", async () => {
    const plain = {
      equal: await jfif(1, 300, 300),
      "no unit, 1 : 1": await jfif(0, 1, 1),
      zero: await jfif(1, 0, 72),
      "a tool's junk": await jfif(1, 1, 72),
      rounded: png({ width: 204, height: 98, before: [physical(5905, 5906)] }),
      "nothing at all": png({ width: 204, height: 98, before: [physical(0, 0)] }),
      "more than four times": png({ width: 204, height: 98, before: [physical(1000, 200)] }),
    };
    for (const [name, bytes] of Object.entries(plain)) {
      const prepared = await prepare(bytes);
      expect([name, prepared.width, prepared.height, prepared.changed]).toEqual([name, 204, 98, false]);
    }
    for (const [x, y] of [
      [
        [204, 0],
        [98, 1],
      ],
      [
        [0, 1],
        [0, 1],
      ],
    ] as [[number, number], [number, number]][]) {
      expect(await prepare(await withExif(x, y))).toMatchObject({ width: 204, height: 98 });
    }
  });

  test("EXIF beside JFIF: a real resolution of JFIF counts, its default of 1 : 1 does not", async () => {
    const resolution = exif({ resolution: { x: [204, 1], y: [98, 1] } });
    const block = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), resolution]);
    expect(await prepare(await jfif(0, 1, 1, block))).toMatchObject({ width: 204, height: 204 });
    expect(await prepare(await jfif(1, 200, 200, block))).toMatchObject({ width: 204, height: 98 });
  });

  test("a strip that is too long only with square pixels is refused like any other", async () => {
    const strip = png({ width: 10, height: 1500, before: [physical(400, 200)] });
    await expect(inspect(strip)).rejects.toMatchObject({
      code: "invalid_image",
      details: { reason: "aspect_ratio" },
    });
  });

  test.skipIf(!existsSync(cases))("a real fax page, Group 4 (needs ../shared)", async () => {
    const prepared = await prepare(await readFile(join(cases, "i05b-g4-standard.tif")));
    expect(prepared).toMatchObject({ width: 1728, height: 587 });
  });
});

const turnedExif = (orientation = 6) => pngChunk("eXIf", exif({ orientation }));

describe("EXIF in a PNG is applied wherever tools put it", () => {
  const size = { width: 60, height: 20 };
  /** The upper left corner is black: turned by a quarter it is the upper right one. */
  const pixel = (x: number, y: number) => [x < 20 && y < 7 ? 0 : 255];
  const named = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), exif({ orientation: 6 }, "MM")]);
  const places: Record<string, Buffer> = {
    "in front of the pixels": png({ ...size, pixel, before: [turnedExif()] }),
    "behind them": png({ ...size, pixel, after: [turnedExif()] }),
    "with JPEG's name in front": png({ ...size, pixel, before: [pngChunk("eXIf", named)] }),
    "with the name, behind": png({ ...size, pixel, after: [pngChunk("eXIf", named)] }),
    "as ImageMagick's text": png({ ...size, pixel, before: [rawProfile(named)] }),
    "as text behind the pixels": png({ ...size, pixel, after: [rawProfile(exif({ orientation: 6 }))] }),
  };
  test.each(Object.entries(places))("%s", async (_place, bytes) => {
    const prepared = await prepare(bytes);
    expect(prepared).toMatchObject({ width: 20, height: 60, changed: true });
    const { data, info } = await sharp(prepared.bytes)
      .greyscale()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => data[(y * info.width + x) * info.channels] ?? 0;
    expect([at(16, 4) < 80, at(3, 4) > 180, at(16, 55) > 180]).toEqual([true, true, true]);
  });

  test("the decoder gets no text chunks, of which 1 MB unpacks to gigabytes, and no parts after the first 20,000", async () => {
    const names = (bytes: Uint8Array) => [...Walk.pngChunks(bytes)].map((chunk) => chunk.name);
    const packed = Buffer.concat([Buffer.from("k\0\0"), deflateSync(Buffer.alloc(7_900_000))]);
    const texts = [pngChunk("zTXt", packed), pngChunk("iTXt", "k\0\0\0\0\0v"), pngChunk("tEXt", "k\0v")];
    const before = [...texts, turnedExif(), ...Array.from({ length: 100 }, () => texts[0] as Buffer)];
    const bomb = png({ ...size, pixel, before, after: texts });
    expect(names(Png.forDecoder(bomb))).toEqual(["IHDR", "eXIf", "IDAT", "IEND"]);
    expect(await prepare(bomb)).toMatchObject({ width: 20, height: 60 });
    const empty = Array.from({ length: 20_100 }, () => pngChunk("quUx"));
    const hidden = png({ ...size, pixel, before: [...empty, ...texts] });
    expect(names(Png.forDecoder(hidden))).not.toContain("zTXt");
    await expect(inspect(hidden)).rejects.toMatchObject({ code: "invalid_image" });
    const plain = png({ ...size, pixel, before: [turnedExif()] });
    expect(Png.forDecoder(plain)).toBe(plain);
  });

  test("the eXIf chunk takes precedence over EXIF in text, and nonsense is ignored", async () => {
    const both = png({ ...size, pixel, before: [rawProfile(named)], after: [turnedExif(1)] });
    expect(await prepare(both)).toMatchObject({ width: 60, height: 20 });
    const nonsense = [
      pngChunk("eXIf", "Exif\0\0"),
      pngChunk("eXIf", "Exif\0\0garbage garbage garbage"),
      pngChunk("zTXt", "Raw profile type exif\0\0not deflated"),
      pngChunk("tEXt", "Raw profile type exif\0\nexif\n  8\nzz\n"),
    ];
    for (const chunk of nonsense) {
      for (const parts of [{ before: [chunk] }, { after: [chunk] }]) {
        expect(await prepare(png({ ...size, pixel, ...parts }))).toMatchObject({ width: 60, height: 20 });
      }
    }
  });
});

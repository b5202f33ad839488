import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { type Header, headBytes, judge } from "#core/image/by-header";
import { exif, physical, png, pngChunk, withJpegSegment } from "#test/support/picture-parts";

const size = { width: 400, height: 300 };
/** Noise, so that the file is larger than its head. */
const canvas = (of: { width: number; height: number } = size) =>
  sharp({
    create: { ...of, channels: 3, background: "#fff", noise: { type: "gaussian", mean: 128, sigma: 60 } },
  });
const exifSegment = (orientation: number) => Buffer.concat([Buffer.from("Exif\0\0"), exif({ orientation })]);
const photo = () => canvas({ width: 900, height: 700 }).jpeg({ quality: 95 }).toBuffer();

/** As the worker does: the head, and the one range that is asked for. */
function judged(file: Buffer): { header: Header | undefined; ranges: number } {
  const head = file.subarray(0, headBytes);
  const first = judge({ head, total: file.length });
  if (first === undefined || !("from" in first)) return { header: first, ranges: 1 };
  const { from, bytes } = first as Exclude<typeof first, Header | undefined>;
  const second = judge({
    head,
    total: file.length,
    more: { from, bytes: file.subarray(from, from + bytes) },
  });
  expect(second === undefined || !("from" in second), "no third range").toBe(true);
  return { header: second as Header | undefined, ranges: 2 };
}

describe("a picture goes by its URL after one range of 64 KiB", () => {
  test("if it is an ordinary JPEG, with the turn of its EXIF", async () => {
    const jpeg = await photo();
    expect(jpeg.length).toBeGreaterThan(4 * headBytes);
    const plain = { mimeType: "image/jpeg", width: 900, height: 700, orientation: 1 };
    expect(judged(jpeg)).toEqual({ header: plain, ranges: 1 });
    for (const orientation of [1, 3, 6, 8])
      expect(judged(withJpegSegment(jpeg, 0xe1, exifSegment(orientation)))).toEqual({
        header: { ...plain, orientation },
        ranges: 1,
      });
  });

  test("if its JPEG is gray, has an sRGB profile, comments and segments that readers skip", async () => {
    const files = [
      await canvas().greyscale().toColorspace("b-w").jpeg().toBuffer(),
      await canvas().withIccProfile("srgb").jpeg().toBuffer(),
      withJpegSegment(await photo(), 0xfe, "from a scanner"),
      withJpegSegment(await photo(), 0xed, "Photoshop 3.0\0"),
      withJpegSegment(await photo(), 0xe1, "http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
    ];
    for (const file of files) expect(judged(file).header).toMatchObject({ mimeType: "image/jpeg" });
  });

  test("if it is a small PNG", async () => {
    const file = await sharp({ create: { ...size, channels: 3, background: "#c04020" } })
      .png()
      .toBuffer();
    expect(judged(file)).toEqual({
      header: { mimeType: "image/png", ...size, orientation: 1 },
      ranges: 1,
    });
  });
});

describe("one more range is read", () => {
  test("of a JPEG whose frame lies behind a large preview", async () => {
    const preview = Buffer.alloc(40_000, 1);
    const previewed = withJpegSegment(withJpegSegment(await photo(), 0xe4, preview), 0xe4, preview);
    const file = withJpegSegment(previewed, 0xe1, exifSegment(6));
    expect(judged(file)).toMatchObject({ header: { width: 900, orientation: 6 }, ranges: 2 });
  });

  test("of a PNG whose pixels are one chunk: for what follows them", async () => {
    const idat = deflateSync(await canvas().removeAlpha().raw().toBuffer().then(rowsOf), { level: 0 });
    const file = (after: Buffer[]) => png({ ...size, colorType: 2, idat, after });
    expect(judged(file([pngChunk("tIME", Buffer.alloc(7, 1))]))).toMatchObject({
      header: { mimeType: "image/png", ...size },
      ranges: 2,
    });
    for (const odd of [pngChunk("eXIf", exif({ orientation: 6 })), pngChunk("zTXt", "a\0\0b")])
      expect(judged(file([odd]))).toEqual({ header: undefined, ranges: 2 });
    expect(judged(file([]).subarray(0, -12)).header).toBeUndefined();
  });
});

/** Each row behind the number of its filter, as PNG compresses them. */
const rowsOf = (raw: Buffer) =>
  Buffer.concat(
    Array.from({ length: size.height }, (_, y) =>
      Buffer.concat([Buffer.from([0]), raw.subarray(y * size.width * 3, (y + 1) * size.width * 3)]),
    ),
  );

describe("a picture is read whole", () => {
  const odd: Record<string, () => Promise<Buffer> | Buffer> = {
    "a progressive JPEG": () => canvas().jpeg({ progressive: true }).toBuffer(),
    "a JPEG in CMYK": () => canvas().toColorspace("cmyk").jpeg().toBuffer(),
    "a JPEG with another color profile": () => canvas().withIccProfile("p3").jpeg().toBuffer(),
    "a JPEG that lists more pictures": async () => withJpegSegment(await photo(), 0xe2, "MPF\0II*\0"),
    "a JPEG that XMP alone turns": async () =>
      withJpegSegment(await photo(), 0xe1, 'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'),
    "a JPEG with two blocks of EXIF": async () =>
      withJpegSegment(withJpegSegment(await photo(), 0xe1, exifSegment(1)), 0xe1, exifSegment(6)),
    "a JPEG with an orientation that is none": async () =>
      withJpegSegment(await photo(), 0xe1, exifSegment(9)),
    "a JPEG whose EXIF is cut off": async () =>
      withJpegSegment(await photo(), 0xe1, exifSegment(6).subarray(0, 12)),
    "a fax: its pixels are not square": async () => {
      const density = { x: [204, 1], y: [98, 1] } satisfies { x: [number, number]; y: [number, number] };
      const block = Buffer.concat([Buffer.from("Exif\0\0"), exif({ orientation: 1, resolution: density })]);
      const jpeg = await canvas().jpeg().toBuffer();
      return withJpegSegment(jpeg, 0xe1, block);
    },
    "a JPEG without a frame": async () => (await photo()).subarray(0, 20),
    "a PNG of 16 bits": () => png({ ...size, width: 40, height: 30, bitDepth: 16 }),
    "a PNG with alpha": () => canvas().ensureAlpha(0.5).png().toBuffer(),
    "a PNG with flat pixels": () => png({ width: 40, height: 30, before: [physical(5906, 2953)] }),
    "a PNG of many chunks, which may hide something behind them": () =>
      canvas({ width: 900, height: 700 }).png().toBuffer(),
    "an animated PNG": () => png({ width: 40, height: 30, before: [pngChunk("acTL", Buffer.alloc(8, 1))] }),
    "a WebP": () => canvas().webp().toBuffer(),
    "a picture 300 times as long as wide": () => png({ width: 3, height: 900 }),
    "no picture": () => Buffer.from("%PDF-1.7"),
    nothing: () => Buffer.alloc(0),
  };
  test.each(Object.entries(odd))("%s", async (_, make) => {
    expect(judged(await make()).header).toBeUndefined();
  });

  test("above 20 MB, whatever its head is", async () => {
    const head = (await photo()).subarray(0, headBytes);
    expect(judge({ head, total: 21 * 1024 * 1024 })).toBeUndefined();
  });
});

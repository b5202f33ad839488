import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import * as Document from "#core/document/document";
import { AppError } from "#core/error";
import * as Budget from "#core/image/budget";
import { inspect } from "#test/support/inspect";
import { pngChunk, png as pngOf } from "#test/support/picture-parts";

const shared = resolve(import.meta.dirname, "../../../shared/data");
const maxImageTokens = 4096;

/** Noise, so that no encoder can make it small: a truncated file really lacks rows. */
function noise(width: number, height: number) {
  return sharp({
    create: {
      width,
      height,
      channels: 3,
      background: "#fff",
      noise: { type: "gaussian", mean: 128, sigma: 40 },
    },
  });
}

/** A 96 × 64 picture with a red upper left, a blue upper right and a green lower left quarter; the rest is white. */
function marker() {
  const quarter = (background: string) => ({
    create: { width: 48, height: 32, channels: 3 as const, background },
  });
  return sharp({ create: { width: 96, height: 64, channels: 3, background: "#ffffff" } }).composite([
    { input: quarter("#ff0000"), left: 0, top: 0 },
    { input: quarter("#0000ff"), left: 48, top: 0 },
    { input: quarter("#00ff00"), left: 0, top: 32 },
  ]);
}

async function pixels(bytes: Uint8Array) {
  const { data, info } = await sharp(bytes)
    .removeAlpha()
    .toColorspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * info.channels, (y * info.width + x + 1) * info.channels),
  ];
  return { width: info.width, height: info.height, at };
}

/** The dominant color at a point, as a letter: JPEG is not exact. */
function color([r = 0, g = 0, b = 0]: number[]): string {
  if (r > 180 && g > 180 && b > 180) return "white";
  if (r > 180 && g < 90 && b < 90) return "red";
  if (g > 180 && r < 90 && b < 90) return "green";
  if (b > 180 && r < 90 && g < 90) return "blue";
  return `${r},${g},${b}`;
}

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(AppError);
  return thrown as AppError;
}

const prepare = async (bytes: Uint8Array, tokens = maxImageTokens) =>
  await Document.prepare(await inspect(bytes), { maxImageTokens: tokens });

describe("inspect", () => {
  test("every supported type is known by its bytes, with the size of its header", async () => {
    const encoded = {
      "image/jpeg": await noise(120, 80).jpeg().toBuffer(),
      "image/png": await noise(120, 80).png().toBuffer(),
      "image/webp": await noise(120, 80).webp().toBuffer(),
      "image/tiff": await noise(120, 80).tiff().toBuffer(),
      "image/gif": await noise(120, 80).gif().toBuffer(),
    };
    for (const [mimeType, bytes] of Object.entries(encoded)) {
      const image = await inspect(bytes);
      expect(image).toMatchObject({ mimeType, width: 120, height: 80, orientation: 1, pages: 1 });
      expect(image.sha256).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test("bytes that are not a supported picture are 415, whatever the file's name", async () => {
    const others = {
      text: Buffer.from("TOTAL 12.00\n"),
      svg: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
      html: Buffer.from("<html><script>1</script></html>"),
      video: Buffer.from("\0\0\0\x18ftypmp42\0\0\0\0mp42heic", "latin1"),
      zip: Buffer.from("PK\x03\x04aaaaaaaaaaaaaaaaaaaa", "latin1"),
      bmp: Buffer.from("BM\0\0\0\0\0\0\0\0\0\0\0\0", "latin1"),
      oneByte: Buffer.from([0xff]),
      riffWave: Buffer.from("RIFF\0\0\0\0WAVEfmt ", "latin1"),
    };
    for (const bytes of Object.values(others)) {
      const error = await failure(inspect(bytes));
      expect([error.code, error.status]).toEqual(["unsupported_media_type", 415]);
    }
  });

  test("an empty picture and a broken header are invalid_image", async () => {
    const png = await noise(50, 50).png().toBuffer();
    const broken = {
      empty: Buffer.alloc(0),
      magicOnlyJpeg: Buffer.from([0xff, 0xd8, 0xff]),
      magicOnlyPng: png.subarray(0, 8),
      halfHeader: png.subarray(0, 20),
      gif: Buffer.from("GIF89a", "latin1"),
      tiff: Buffer.from("II*\0\xff\xff\xff\xff", "latin1"),
      webp: Buffer.from("RIFF\0\0\0\0WEBPVP8 ", "latin1"),
      textAfterMagic: Buffer.from("\xff\xd8\xffTOTAL 12.00 TOTAL 12.00", "latin1"),
      noSize: pngOf({ width: 0, height: 0, bitDepth: 1, idat: deflateSync(Buffer.alloc(1)) }),
    };
    for (const bytes of Object.values(broken)) {
      const { code, message } = await failure(inspect(bytes));
      expect([code, /vips|libpng|TOTAL/i.test(message)]).toEqual(["invalid_image", false]);
    }
  });

  test("a 30,000 × 30,000 PNG of 100 KB is refused by its header in well under a second", async () => {
    const idat = deflateSync(Buffer.alloc(30_000 * 3_751));
    const bomb = pngOf({ width: 30_000, height: 30_000, bitDepth: 1, idat });
    expect(bomb.length).toBeLessThan(120_000);
    const before = performance.now();
    const error = await failure(inspect(bomb));
    expect(performance.now() - before).toBeLessThan(900);
    expect([error.code, error.status]).toEqual(["image_too_large", 413]);
    expect(error.details).toMatchObject({ limit_megapixels: 100, megapixels: 900 });
  });

  test("bombs in the other formats are refused by their headers too", async () => {
    const gif = await noise(8, 8).gif().toBuffer();
    // The frame's own size counts: the decoder knows that screen sizes lie.
    const frameAt = gif.lastIndexOf(Buffer.from([0x2c, 0, 0, 0, 0]));
    for (const at of [6, 8, frameAt + 5, frameAt + 7]) gif.writeUInt16LE(65_535, at);
    const jpeg = await noise(8, 8).jpeg().toBuffer();
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    jpeg.writeUInt16BE(65_000, frame + 5);
    jpeg.writeUInt16BE(65_000, frame + 7);
    for (const bomb of [gif, jpeg]) {
      const before = performance.now();
      expect((await failure(inspect(bomb))).code).toBe("image_too_large");
      expect(performance.now() - before).toBeLessThan(900);
    }
  });

  test("the first bytes decide the type of a file that is valid as two types, and the rest does no harm", async () => {
    const jpeg = await noise(64, 64).jpeg().toBuffer();
    const tails = ["<html><script>alert(1)</script></html>", "PK\x03\x04", "%PDF-1.7\n1 0 obj\n"];
    for (const tail of tails) {
      const image = await inspect(Buffer.concat([jpeg, Buffer.from(tail, "latin1")]));
      expect(image).toMatchObject({ mimeType: "image/jpeg", width: 64, height: 64 });
      expect(await Document.prepare(image, { maxImageTokens })).toMatchObject({ width: 64, height: 64 });
    }
    const htmlFirst = Buffer.concat([Buffer.from("<html>"), jpeg]);
    expect((await failure(inspect(htmlFirst))).code).toBe("unsupported_media_type");
  });

  test("a picture that the model's processor would refuse for its shape is refused here", async () => {
    const strip = await sharp({ create: { width: 1, height: 20_000, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    const error = await failure(inspect(strip));
    expect(error.code).toBe("invalid_image");
    expect(error.details).toMatchObject({ reason: "aspect_ratio", width: 1, height: 20_000 });
  });
});

describe("prepare", () => {
  test("an upright JPEG or PNG within the budget is sent as it is", async () => {
    for (const bytes of [await noise(300, 200).jpeg().toBuffer(), await noise(300, 200).png().toBuffer()]) {
      const image = await inspect(bytes);
      const prepared = await Document.prepare(image, { maxImageTokens });
      expect(prepared).toEqual({
        bytes: image.bytes,
        mimeType: image.mimeType,
        width: 300,
        height: 200,
        sha256: image.sha256,
        changed: false,
        turned: 0,
      });
    }
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])("EXIF orientation %i is applied", async (orientation) => {
    // Where the stored corners (red upper left, blue upper right, green lower left) must be seen: EXIF 2.32, 4.6.5.A.
    const upright: Record<number, [string, string, string, string]> = {
      1: ["red", "blue", "green", "white"],
      2: ["blue", "red", "white", "green"],
      3: ["white", "green", "blue", "red"],
      4: ["green", "white", "red", "blue"],
      5: ["red", "green", "blue", "white"],
      6: ["green", "red", "white", "blue"],
      7: ["white", "blue", "green", "red"],
      8: ["blue", "white", "red", "green"],
    };
    const stored = await marker()
      .jpeg({ quality: 95, chromaSubsampling: "4:4:4" })
      .withMetadata({ orientation })
      .toBuffer();
    const image = await inspect(stored);
    expect(image).toMatchObject({ width: 96, height: 64, orientation });
    const prepared = await Document.prepare(image, { maxImageTokens });
    const [width, height] = orientation >= 5 ? [64, 96] : [96, 64];
    // EXIF of any kind is only for our own code: readers differ in how they apply it.
    expect(prepared).toMatchObject({ width, height, changed: true });
    const seen = await pixels(prepared.bytes);
    const corners = [
      seen.at(8, 8),
      seen.at(width - 8, 8),
      seen.at(8, height - 8),
      seen.at(width - 8, height - 8),
    ];
    expect(corners.map(color)).toEqual(upright[orientation]);
    expect((await sharp(prepared.bytes).metadata()).orientation).toBeUndefined();
  });

  test("a turned picture is scaled by the sides it has when it is upright", async () => {
    const prepared = await prepare(
      await noise(1600, 400).jpeg().withMetadata({ orientation: 6 }).toBuffer(),
      256,
    );
    expect(prepared.height / prepared.width).toBeCloseTo(4, 0);
    expect(Budget.imageTokens(prepared.width, prepared.height)).toBeLessThanOrEqual(256);
  });

  test("the first frame of a GIF and WebP and the first page of a TIFF are read", async () => {
    const frames: Buffer[] = [];
    for (const background of ["#ff0000", "#0000ff"]) {
      frames.push(
        await sharp({ create: { width: 40, height: 40, channels: 3, background } })
          .png()
          .toBuffer(),
      );
    }
    const joined = () => sharp(frames, { join: { animated: true } });
    for (const bytes of [
      await joined().gif().toBuffer(),
      await joined().webp().toBuffer(),
      await joined().tiff().toBuffer(),
    ]) {
      const image = await inspect(bytes);
      expect(image).toMatchObject({ width: 40, height: 40, pages: 2 });
      const prepared = await Document.prepare(image, { maxImageTokens });
      expect(prepared).toMatchObject({ width: 40, height: 40, changed: true });
      expect(color((await pixels(prepared.bytes)).at(20, 20))).toBe("red");
    }
  });

  test("a JPEG that was cut off and then closed by a tool is refused if rows are lost", async () => {
    const whole = await noise(700, 500).jpeg().toBuffer();
    const closed = (share: number) =>
      Buffer.concat([whole.subarray(0, Math.floor(whole.length * share)), whole.subarray(-2)]);
    for (const share of [0.1, 0.5, 0.9, 0.93]) {
      for (const tokens of [maxImageTokens, 128]) {
        expect((await failure(prepare(closed(share), tokens))).code).toBe("invalid_image");
      }
    }
    // A few blocks of the last row are no lost lines.
    const late = Buffer.concat([whole.subarray(0, -40), whole.subarray(-2)]);
    expect(await prepare(late)).toMatchObject({ width: 700, height: 500 });
    const grey = await sharp({ create: { width: 64, height: 64, channels: 3, background: "#808080" } })
      .jpeg()
      .toBuffer();
    expect((await prepare(grey)).changed).toBe(false);
  });

  test("a JPEG that is cut off anywhere is refused, whether it would be sent unchanged or scaled", async () => {
    const bytes = await noise(700, 500).jpeg().toBuffer();
    const progressive = await noise(700, 500).jpeg({ progressive: true }).toBuffer();
    for (const whole of [bytes, progressive]) {
      for (const share of [0.1, 0.5, 0.9, 0.99, 0.999]) {
        const cut = whole.subarray(0, Math.floor(whole.length * share));
        for (const tokens of [maxImageTokens, 128]) {
          expect((await failure(prepare(cut, tokens))).code).toBe("invalid_image");
        }
      }
      expect((await prepare(whole)).changed).toBe(false);
    }
  });

  test("the other formats do not lose rows silently either", async () => {
    for (const format of ["png", "webp", "tiff", "gif"] as const) {
      const whole = await noise(300, 200).toFormat(format).toBuffer();
      for (const share of [0.2, 0.6, 0.98]) {
        expect((await failure(prepare(whole.subarray(0, Math.floor(whole.length * share))))).code).toBe(
          "invalid_image",
        );
      }
    }
  });

  test("odd but complete files are read: wrong scan parameters, bytes between markers", async () => {
    const jpeg = await noise(64, 64).jpeg().toBuffer();
    const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
    const oddScan = Buffer.from(jpeg);
    oddScan[scan + 5 + (jpeg[scan + 4] ?? 0) * 2] = 1;
    const extraBytes = Buffer.concat([jpeg.subarray(0, -2), Buffer.from([0x12, 0x34]), jpeg.subarray(-2)]);
    for (const bytes of [oddScan, extraBytes])
      expect(await prepare(bytes)).toMatchObject({ width: 64, height: 64 });
  });

  test("encoding again drops the metadata: a changed picture has no position and no camera", async () => {
    const bytes = await noise(100, 60)
      .withExif({
        IFD0: { Make: "CANARY-CAMERA" },
        IFD3: { GPSLatitudeRef: "N", GPSLatitude: "51/1 30/1 0/1" },
      })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    const stored = await sharp(bytes).metadata();
    expect(stored.exif).toBeDefined();
    const prepared = await prepare(bytes);
    const header = await sharp(prepared.bytes).metadata();
    expect([header.exif, header.xmp, header.iptc, header.icc].every((each) => each === undefined)).toBe(true);
    expect(Buffer.from(prepared.bytes).includes("CANARY")).toBe(false);
  });

  test("it can be encoded again, as JPEG or PNG of the same size", async () => {
    const image = await inspect(await noise(300, 200).jpeg().toBuffer());
    for (const encodeAs of ["jpeg", "png"] as const) {
      const prepared = await Document.prepare(image, { maxImageTokens, encodeAs });
      expect(prepared).toMatchObject({
        mimeType: `image/${encodeAs}`,
        width: 300,
        height: 200,
        changed: true,
      });
      expect((await sharp(prepared.bytes).metadata()).format).toBe(encodeAs);
    }
  });

  test("a small picture with many bytes is encoded again", async () => {
    const jpeg = await noise(64, 64).jpeg().toBuffer();
    const heavy = Buffer.concat([jpeg, Buffer.alloc(5 * 1024 * 1024, 0x41)]);
    const prepared = await prepare(heavy);
    expect(prepared.changed).toBe(true);
    expect(prepared.bytes.byteLength).toBeLessThan(100_000);
  });

  test("an animated PNG is sent as one frame", async () => {
    const png = await noise(32, 32).png().toBuffer();
    const animation = pngChunk("acTL", Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]));
    const afterHeader = 8 + 25;
    const apng = Buffer.concat([png.subarray(0, afterHeader), animation, png.subarray(afterHeader)]);
    expect(await prepare(apng)).toMatchObject({ changed: true, mimeType: "image/jpeg" });
  });

  test("tiny pictures and long strips are complete", async () => {
    expect(await prepare(await noise(1, 1).png().toBuffer())).toMatchObject({ width: 1, height: 1 });
    const strip = await prepare(await noise(100, 20_000).jpeg().toBuffer(), 256);
    expect(strip.height / strip.width).toBeGreaterThan(50);
    expect(Budget.imageTokens(strip.width, strip.height)).toBeLessThanOrEqual(256);
  });

  test("the same picture gives the same bytes, so that the model server can use its cache", async () => {
    const bytes = await noise(900, 700).webp().toBuffer();
    const [a, b] = [await prepare(bytes, 300), await prepare(bytes, 300)];
    expect(a.sha256).toBe(b.sha256);
    expect(a.changed).toBe(true);
  });

  test("an abort ends the wait at once, with the caller's own error where it gave one", async () => {
    const image = await inspect(await noise(1200, 1200).png().toBuffer());
    expect(
      (await failure(Document.prepare(image, { maxImageTokens, signal: AbortSignal.abort() }))).code,
    ).toBe("inference_timeout");
    const controller = new AbortController();
    const started = performance.now();
    const running = failure(Document.prepare(image, { maxImageTokens, signal: controller.signal }));
    const reason = new AppError("conflict", "canceled");
    setImmediate(() => controller.abort(reason));
    expect(await running).toBe(reason);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test.skipIf(!existsSync(shared))(
    "real files: every format, and the EXIF-turned receipt (needs ../shared)",
    async () => {
      for (const name of ["receipt.png", "receipt.tif", "receipt.webp", "receipt.heic"]) {
        const prepared = await prepare(await readFile(join(shared, "formats", name)));
        expect(prepared).toMatchObject({ width: 800, height: 1066 });
      }
      const turned = await inspect(await readFile(join(shared, "derived/exif6_cord_00058.jpg")));
      expect(turned.orientation).toBe(6);
      const upright = await Document.prepare(turned, { maxImageTokens });
      expect(upright.height).toBeGreaterThan(upright.width);
    },
  );
});

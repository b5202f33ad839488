import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { isPlainJpeg, isPlainPng, withoutMetadata } from "#core/image/plain";
import { profileOf } from "#core/image/srgb";
import * as Walk from "#core/image/walk";
import { exif, physical, png, pngChunk, withJpegSegment } from "#test/support/picture-parts";

const size = { width: 40, height: 30 };
const canvas = () => sharp({ create: { ...size, channels: 3, background: "#c04020" } });
const large = (name: string, key: string, bytes = 1_100_000) =>
  pngChunk(name, Buffer.concat([Buffer.from(key, "latin1"), deflateSync(Buffer.alloc(bytes, 0x61))]));

describe("a PNG", () => {
  test("is plain as encoders write it, also with short chunks that change nothing", async () => {
    const encoded = [
      await canvas().png().toBuffer(),
      await canvas().png({ palette: true }).toBuffer(),
      await canvas().png({ progressive: true }).toBuffer(),
      await canvas().greyscale().toColorspace("b-w").png().toBuffer(),
      await canvas().png({ palette: true, colors: 2 }).toBuffer(),
      png({
        ...size,
        before: [
          pngChunk("gAMA", Buffer.from([0, 0, 0xb1, 0x8f])),
          pngChunk("sRGB", Buffer.from([0])),
          physical(5906, 5906),
          pngChunk("tEXt", "Software\0Scanner 1.2"),
        ],
        after: [pngChunk("tIME", Buffer.alloc(7, 1))],
      }),
    ];
    for (const bytes of encoded) expect(isPlainPng(bytes)).toBe(true);
  });

  const odd: Record<string, Buffer> = {
    "text of 1.1 MB, packed": png({ ...size, before: [large("zTXt", "Comment\0\0")] }),
    "text of 1.1 MB behind the pixels": png({ ...size, after: [large("zTXt", "Comment\0\0")] }),
    "international text": png({ ...size, before: [large("iTXt", "XML:com.adobe.xmp\0\x01\0\0\0")] }),
    "a color profile": png({ ...size, before: [large("iCCP", "p\0\0")] }),
    "plain text of a kilobyte": png({ ...size, before: [pngChunk("tEXt", `a\0${"b".repeat(1024)}`)] }),
    "text without a key": png({ ...size, before: [pngChunk("tEXt", "no end of the key")] }),
    "EXIF in text": png({ ...size, before: [pngChunk("tEXt", "Raw profile type exif\0\nexif\n")] }),
    EXIF: png({ ...size, before: [pngChunk("eXIf", exif({ orientation: 1 }))] }),
    "transparency by a color": png({ ...size, before: [pngChunk("tRNS", Buffer.from([0, 255]))] }),
    animation: png({ ...size, before: [pngChunk("acTL", Buffer.alloc(8, 1))] }),
    "a wrong CRC of a harmless chunk": png({
      ...size,
      before: [pngChunk("tEXt", "a\0b", { badCrc: true })],
    }),
    "a wrong CRC of an unknown chunk": png({ ...size, before: [pngChunk("quUx", "x", { badCrc: true })] }),
    "an unknown chunk": png({ ...size, before: [pngChunk("quUx", "x")] }),
    "a known chunk of another size": png({ ...size, before: [pngChunk("pHYs", "12345")] }),
    "16 bits": png({ ...size, bitDepth: 16 }),
    alpha: png({ ...size, colorType: 4, pixel: () => [255, 255] }),
    "color with alpha": png({ ...size, colorType: 6, pixel: () => [1, 2, 3, 255] }),
    "a palette that is missing": png({ ...size, colorType: 3 }),
    "bytes behind the end": Buffer.concat([png(size), Buffer.from("PK")]),
    "no end": png(size).subarray(0, -12),
    "half an end": png(size).subarray(0, -1),
    "pixels in two places": png({ ...size, after: [pngChunk("tIME", Buffer.alloc(7)), pngChunk("IDAT")] }),
    "no pixels": Buffer.concat([png(size).subarray(0, 33), pngChunk("IEND")]),
    "a second header": png({ ...size, before: [png(size).subarray(8, 33)] }),
    "the magic number alone": png(size).subarray(0, 8),
  };
  test.each(Object.entries(odd))("is not plain: %s", (_name, bytes) => {
    expect(isPlainPng(bytes)).toBe(false);
  });
});

describe("a JPEG", () => {
  test("is plain as encoders write it: baseline, progressive, grey, restart markers, a comment", async () => {
    const baseline = await canvas().jpeg().toBuffer();
    const encoded = [
      baseline,
      await canvas().jpeg({ progressive: true, chromaSubsampling: "4:4:4" }).toBuffer(),
      await canvas().greyscale().jpeg({ mozjpeg: true }).toBuffer(),
      withJpegSegment(baseline, 0xfe, "made by a till"),
      withJpegSegment(baseline, 0xee, "Adobe\0\x64\0\0\0\0\x01"),
    ];
    for (const bytes of encoded) expect(isPlainJpeg(bytes)).toBe(true);
  });

  test("is not plain with a segment that readers obey or refuse in their own ways, nor without its end", async () => {
    const jpeg = await canvas().jpeg().toBuffer();
    const odd: Record<string, Buffer> = {
      EXIF: withJpegSegment(jpeg, 0xe1, Buffer.concat([Buffer.from("Exif\0\0"), exif({ orientation: 1 })])),
      XMP: withJpegSegment(jpeg, 0xe1, 'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'),
      profile: withJpegSegment(jpeg, 0xe2, "ICC_PROFILE\0\x01\x01"),
      "several pictures": withJpegSegment(jpeg, 0xe2, "MPF\0II*\0"),
      Photoshop: withJpegSegment(jpeg, 0xed, "Photoshop 3.0\x008BIM"),
      thumbnail: withJpegSegment(jpeg, 0xe0, "JFXX\0\x10"),
      "half a JFIF": withJpegSegment(jpeg, 0xe0, "JFIF\0"),
      "half of Adobe's mark": withJpegSegment(jpeg, 0xee, "Adobe"),
      "Adobe's mark of CMYK": withJpegSegment(jpeg, 0xee, "Adobe\0\x64\0\0\0\0\x02"),
      "fill bytes": Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xff]), jpeg.subarray(2)]),
      "bytes behind the end": Buffer.concat([jpeg, Buffer.from("PK")]),
      "no end": jpeg.subarray(0, -2),
      "half an end": jpeg.subarray(0, -1),
      nothing: jpeg.subarray(0, 2),
    };
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    const arithmetic = Buffer.from(jpeg);
    arithmetic[frame + 1] = 0xc9;
    const twelveBits = Buffer.from(jpeg);
    twelveBits[frame + 4] = 12;
    const heightLater = Buffer.from(jpeg);
    heightLater.writeUInt16BE(0, frame + 5);
    Object.assign(odd, {
      "arithmetic codes": arithmetic,
      "12 bits": twelveBits,
      "height later": heightLater,
    });
    for (const [name, bytes] of Object.entries(odd))
      expect([name, isPlainJpeg(bytes)]).toEqual([name, false]);
    expect(isPlainJpeg(jpeg)).toBe(true);
    expect(isPlainJpeg(await canvas().toColorspace("cmyk").jpeg().toBuffer())).toBe(false);
  });
});

describe("a JPEG with metadata", () => {
  const within = (jpeg: Buffer, profile: Uint8Array) =>
    withJpegSegment(jpeg, 0xe2, Buffer.concat([Buffer.from("ICC_PROFILE\0\x01\x01", "latin1"), profile]));

  test("is the same picture without it, its pixels byte for byte", async () => {
    const jpeg = await canvas().jpeg().toBuffer();
    const srgb = await canvas().withIccProfile("srgb").jpeg().toBuffer();
    expect(profileOf(srgb)).toBe("srgb");
    const described: Record<string, Buffer> = {
      EXIF: withJpegSegment(jpeg, 0xe1, Buffer.concat([Buffer.from("Exif\0\0"), exif({ orientation: 1 })])),
      XMP: withJpegSegment(jpeg, 0xe1, "http://ns.adobe.com/xap/1.0/\0<x/>"),
      Photoshop: withJpegSegment(jpeg, 0xed, "Photoshop 3.0\x008BIM"),
      thumbnail: withJpegSegment(jpeg, 0xe0, "JFXX\0\x10"),
      "several pictures": withJpegSegment(jpeg, 0xe2, "MPF\0II*\0"),
      "a comment and EXIF": withJpegSegment(
        withJpegSegment(jpeg, 0xe1, "Exif\0\0"),
        0xfe,
        "where it was taken",
      ),
      "bytes behind the end": Buffer.concat([jpeg, Buffer.from("PK")]),
      "the profile that is the default": srgb,
    };
    for (const [name, bytes] of Object.entries(described)) {
      const bare = withoutMetadata(bytes);
      expect([name, bare && jpeg.equals(bare)]).toEqual([name, true]);
    }
  });

  test("is not cut where that would change its colors or leave it broken", async () => {
    const jpeg = await canvas().jpeg().toBuffer();
    const p3 = await canvas().withIccProfile("p3").jpeg().toBuffer();
    const parts = withJpegSegment(jpeg, 0xe2, "ICC_PROFILE\0\x01\x02");
    const odd: Record<string, Uint8Array> = {
      "a wide profile": p3,
      "a profile in parts": parts,
      "a profile that is cut": within(jpeg, Buffer.alloc(60)),
      "a profile whose tags point outside": within(jpeg, Buffer.alloc(140, "RGB XYZ ")),
      "Adobe's mark of CMYK": withJpegSegment(jpeg, 0xee, "Adobe\0\x64\0\0\0\0\x02"),
      CMYK: await canvas().toColorspace("cmyk").jpeg().toBuffer(),
      "no end": jpeg.subarray(0, -2),
      nothing: jpeg.subarray(0, 2),
    };
    for (const [name, bytes] of Object.entries(odd))
      expect([name, withoutMetadata(bytes)]).toEqual([name, undefined]);
  });
});

test("no walk is endless: in a file of 100,000 empty parts it ends after the first 20,000", () => {
  const chunk = pngChunk("tEXt", "a\0b");
  const parts = png({ ...size, before: Array.from({ length: 100_000 }, () => chunk) });
  expect([...Walk.pngChunks(parts)].length).toBe(Walk.mostParts);
  expect(isPlainPng(parts)).toBe(false);
  const segments = Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    Buffer.alloc(400_000, Buffer.from([0xff, 0xfe, 0, 2])),
  ]);
  expect([...Walk.jpegSegments(segments)].length).toBe(Walk.mostParts);
  expect(isPlainJpeg(segments)).toBe(false);
});

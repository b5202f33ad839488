import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Document from "#core/document/document";
import { inspect } from "#test/support/inspect";
import { exif, physical, png, pngChunk, rawProfile, withJpegSegment } from "#test/support/picture-parts";

/*
 * vLLM opens pictures by Pillow with its defaults, turns them as EXIF says and makes them RGB. Debian's package
 * python3-pil is a Pillow that CI machines can have; without it these tests are skipped.
 */

const run = promisify(execFile);
const cases = resolve(import.meta.dirname, "../../../shared/cases");

const script = `
import json, sys
from PIL import Image, ImageOps
seen = []
for path in json.load(sys.stdin):
    try:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        wide, high = image.size
        corners = [image.getpixel((x, y)) for y in (high // 8, high - 1 - high // 8) for x in (wide // 8, wide - 1 - wide // 8)]
        seen.append({"size": image.size, "corners": corners})
    except Exception as error:
        seen.append({"error": repr(error)[:200]})
print(json.dumps(seen))
`;

async function findPython(): Promise<string | undefined> {
  for (const python of ["/usr/bin/python3", "python3", "python"]) {
    const found = await run(python, ["-c", "import PIL"]).then(
      () => true,
      () => false,
    );
    if (found) return python;
  }
  return undefined;
}

interface Seen {
  size?: [number, number];
  corners?: number[][];
  error?: string;
}

const python = await findPython();
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ocrlty-pillow-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Pillow's result for each of the pictures, in one process. */
async function opened(pictures: Record<string, Uint8Array>): Promise<Record<string, Seen>> {
  const names = Object.keys(pictures);
  const paths = names.map((_, index) => join(folder, String(index)));
  await Promise.all(Object.values(pictures).map((bytes, index) => writeFile(paths[index] ?? "", bytes)));
  const child = run(python ?? "", ["-W", "ignore", "-c", script]);
  child.child.stdin?.end(JSON.stringify(paths));
  const seen = JSON.parse((await child).stdout) as Seen[];
  return Object.fromEntries(names.map((name, index) => [name, seen[index] ?? {}]));
}

async function sentOf(pictures: Record<string, Uint8Array>): Promise<Record<string, Document.Prepared>> {
  const sent: Record<string, Document.Prepared> = {};
  for (const [name, bytes] of Object.entries(pictures)) {
    sent[name] = await Document.prepare(await inspect(bytes), { maxImageTokens: 4096 });
  }
  return sent;
}

const width = 96;
const height = 64;
/** Red, blue, green and white quarters, in reading order. */
const rgb = (x: number, y: number): number[] => {
  if (y < height / 2) return x < width / 2 ? [255, 0, 0] : [0, 0, 255];
  // A green that is no brighter than CMYK can show.
  return x < width / 2 ? [0, 160, 80] : [255, 255, 255];
};
const grey = (x: number, y: number) => (y < height / 2 || x < width / 2 ? [85] : [255]);
const quarters = { color: ["red", "blue", "green", "white"], grey: ["85", "85", "85", "255"] };

function name([r = 0, g = 0, b = 0]: number[]): string {
  if (Math.max(r, g, b) - Math.min(r, g, b) < 20) return r > 235 ? "white" : "grey";
  if (r > 150 && g < 110 && b < 110) return "red";
  if (g > 130 && r < 130 && b < 130) return "green";
  return b > 110 && r < 110 && g < 110 ? "blue" : `${r},${g},${b}`;
}

const colorPng = (before: Buffer[] = [], after: Buffer[] = []) =>
  png({ width, height, colorType: 2, pixel: rgb, before, after });
const packed = (key: string, bytes: number) =>
  Buffer.concat([Buffer.from(key, "latin1"), deflateSync(Buffer.alloc(bytes, 0x61))]);

/** Stored so that EXIF orientation 6 makes it upright: turned back by a quarter. */
const lying = (more: Buffer[], behind: Buffer[] = []) =>
  png({
    width: height,
    height: width,
    colorType: 2,
    pixel: (x, y) => rgb(width - 1 - y, x),
    before: more,
    after: behind,
  });

const deep = (before: Buffer[] = []) =>
  png({ width, height, bitDepth: 16, colorType: 2, pixel: rgb, before });

async function colorPictures(): Promise<Record<string, Uint8Array>> {
  const pixels = Buffer.from(
    Array.from({ length: width * height }, (_, at) => rgb(at % width, Math.floor(at / width))).flat(),
  );
  const marker = () => sharp(pixels, { raw: { width, height, channels: 3 } });
  const jpeg = await marker().jpeg({ chromaSubsampling: "4:4:4" }).toBuffer();
  const { icc } = await sharp(await marker().withIccProfile("srgb").png().toBuffer()).metadata();
  const profile = pngChunk(
    "iCCP",
    Buffer.concat([Buffer.from("p\0\0"), deflateSync(icc ?? Buffer.alloc(0))]),
  );
  const turned = exif({ orientation: 6 });
  const named = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), turned]);
  const megabyte = pngChunk("zTXt", packed("Comment\0\0", 1_000_000));
  const segment = (marker: number, data: string) => withJpegSegment(jpeg, marker, data);
  return {
    jpeg,
    "progressive JPEG": await marker().jpeg({ progressive: true }).toBuffer(),
    "CMYK JPEG": await marker().toColorspace("cmyk").jpeg().toBuffer(),
    "JPEG with broken EXIF": segment(0xe1, "Exif\0\0not a TIFF at all"),
    "JPEG with XMP that turns it": segment(0xe1, 'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'),
    "JPEG with half a JFIF": segment(0xe0, "JFIF\0"),
    "JPEG with half of Adobe's mark": segment(0xee, "Adobe"),
    "JPEG with half a profile": segment(0xe2, "ICC_PROFILE\0\x01\x02half"),
    "JPEG of several pictures": segment(0xe2, "MPF\0II*\0nonsense"),
    "JPEG with Photoshop's block": segment(0xed, "Photoshop 3.0\x008BIM\x04\x04nonsense"),
    "JPEG with a tail": Buffer.concat([jpeg, Buffer.from("PK\x03\x04")]),
    png: colorPng(),
    "palette PNG": await marker().png({ palette: true }).toBuffer(),
    "interlaced PNG": await marker().png({ progressive: true }).toBuffer(),
    "PNG, text of 1.1 MB packed": colorPng([pngChunk("zTXt", packed("Comment\0\0", 1_100_000))]),
    "PNG, that text behind the pixels": colorPng([], [pngChunk("zTXt", packed("Comment\0\0", 1_100_000))]),
    "PNG, XMP of 1.1 MB packed": colorPng([pngChunk("iTXt", packed("XMP\0\x01\0\0\0", 1_100_000))]),
    "PNG, 70 texts of 1 MB": colorPng(Array.from({ length: 70 }, () => megabyte)),
    "PNG, profile of 1.1 MB packed": colorPng([pngChunk("iCCP", packed("p\0\0", 1_100_000))]),
    "PNG, wrong CRC of a text": colorPng([pngChunk("tEXt", "a\0b", { badCrc: true })]),
    "PNG, wrong CRC of an unknown chunk": colorPng([pngChunk("quUx", "ab", { badCrc: true })]),
    "PNG, wrong CRC behind the pixels": colorPng([], [pngChunk("tIME", Buffer.alloc(7), { badCrc: true })]),
    "PNG, half a transparency": colorPng([pngChunk("tRNS", "\0")]),
    "PNG, half a resolution": colorPng([pngChunk("pHYs", "\0\0")]),
    "PNG without its end": colorPng().subarray(0, -12),
    "16-bit PNG": deep(),
    "16-bit PNG with sRGB's profile": deep([profile]),
    "PNG with alpha": png({ width, height, colorType: 6, pixel: (x, y) => [...rgb(x, y), 255] }),
    "lying PNG": lying([pngChunk("eXIf", turned)]),
    "lying PNG, JPEG's name in front": lying([pngChunk("eXIf", named)]),
    "lying PNG, EXIF behind the pixels": lying([], [pngChunk("eXIf", turned)]),
    "lying PNG, ImageMagick's text": lying([rawProfile(named)]),
    webp: await marker().webp({ lossless: true }).toBuffer(),
    gif: await marker().gif().toBuffer(),
    "TIFF, LZW": await marker().tiff({ compression: "lzw" }).toBuffer(),
    "TIFF, JPEG inside": await marker().tiff({ compression: "jpeg", quality: 95 }).toBuffer(),
  };
}

describe.skipIf(python === undefined)(
  "sent pictures open in Pillow with its defaults (needs python3-pil)",
  () => {
    test("every kind of color picture, upright, in its colors, in the size that was recorded", async () => {
      const sent = await sentOf(await colorPictures());
      const seen = await opened(
        Object.fromEntries(Object.entries(sent).map(([key, { bytes }]) => [key, bytes])),
      );
      for (const [key, prepared] of Object.entries(sent)) {
        expect([key, seen[key]?.error]).toEqual([key, undefined]);
        expect([key, seen[key]?.size]).toEqual([key, [prepared.width, prepared.height]]);
        expect([key, [prepared.width, prepared.height]]).toEqual([key, [width, height]]);
        expect([key, seen[key]?.corners?.map(name)]).toEqual([key, quarters.color]);
      }
      expect(sent.jpeg?.changed).toBe(false);
      expect(sent.png?.changed).toBe(false);
    });

    test("grey keeps its levels in 8 and 16 bits, and unequal resolutions their shape", async () => {
      const pictures = {
        grey: png({ width, height, pixel: grey }),
        "16-bit grey": png({ width, height, bitDepth: 16, pixel: grey }),
        "16-bit grey with alpha": png({
          width,
          height,
          bitDepth: 16,
          colorType: 4,
          pixel: (x, y) => [...grey(x, y), 255],
        }),
        fax: png({ width, height, pixel: grey, before: [physical(8031, 4016)] }),
      };
      const sent = await sentOf(pictures);
      const seen = await opened(
        Object.fromEntries(Object.entries(sent).map(([key, { bytes }]) => [key, bytes])),
      );
      for (const [key, { corners = [] }] of Object.entries(seen)) {
        const levels = corners.map(([level = 0, ...others]) => {
          expect(others).toEqual([level, level]);
          return Math.abs(level - 85) < 4 ? "85" : String(level);
        });
        expect([key, levels]).toEqual([key, quarters.grey]);
      }
      expect(seen.fax?.size).toEqual([width, height * 2]);
    });

    test.skipIf(!existsSync(cases))(
      "the pictures of ../shared/cases, which Pillow refuses as they are",
      async () => {
        const names = ["i03-ztxt.png", "i03b-itxt.png"];
        const pictures: Record<string, Uint8Array> = {};
        for (const each of names) pictures[each] = await readFile(join(cases, each));
        const sent = await sentOf(pictures);
        for (const [key, { error, size }] of Object.entries(
          await opened(Object.fromEntries(Object.entries(sent).map(([each, { bytes }]) => [each, bytes]))),
        )) {
          expect([key, error, size]).toEqual([key, undefined, [620, 312]]);
        }
        for (const { error } of Object.values(await opened(pictures))) expect(error).toBeDefined();
      },
    );
  },
);

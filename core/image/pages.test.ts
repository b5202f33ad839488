import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import * as Pages from "#core/image/pages";
import { inspect } from "#test/support/inspect";

/** A TIFF, or a BigTIFF, of directories alone; each with its NewSubfileType, if it says one. */
function tiff(pages: (number | undefined)[], { big = false, little = true, loop = false } = {}): Buffer {
  const size = (fields: number) => (big ? 8 + 20 * fields + 8 : 2 + 12 * fields + 4);
  const bytes = Buffer.alloc((big ? 16 : 8) + pages.length * size(2));
  const u16 = (value: number, at: number) =>
    little ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    little ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
  const word = (value: number, at: number) => (big ? u32(value, little ? at : at + 4) : u32(value, at));
  bytes.write(little ? "II" : "MM", "latin1");
  u16(big ? 43 : 42, 2);
  if (big) u16(8, 4);
  let at = big ? 16 : 8;
  word(at, big ? 8 : 4);
  for (const [i, type] of pages.entries()) {
    const fields: [tag: number, value: number][] = [
      ...(type === undefined ? [] : [[254, type] as [number, number]]),
      [256, 1],
    ];
    if (big) u32(fields.length, little ? at : at + 4);
    else u16(fields.length, at);
    for (const [j, [tag, value]] of fields.entries()) {
      const field = at + (big ? 8 + 20 * j : 2 + 12 * j);
      u16(tag, field);
      u16(4, field + 2);
      u32(value, field + (big ? 12 : 8));
    }
    const next = at + size(fields.length);
    word(i < pages.length - 1 ? next : loop ? (big ? 16 : 8) : 0, next - (big ? 8 : 4));
    at = next;
  }
  return bytes;
}

describe("pages of a TIFF", () => {
  const count = (bytes: Buffer) => Pages.count(bytes, "image/tiff", 9);
  test.each([{}, { big: true }, { little: false }, { big: true, little: false }])(
    "are counted: %j",
    (form) => {
      expect(count(tiff([undefined, undefined, 2], form))).toBe(3);
      // A preview, a mask and a mask of a preview are no pages; the first directory always is one.
      expect(count(tiff([0, 1, 4, 5], form))).toBe(1);
      expect(count(tiff([1, 0], form))).toBe(2);
      expect(count(tiff([0, 0], { ...form, loop: true }))).toBe(2);
    },
  );

  test("are as many as the decoder counts if a table points outside of the file", () => {
    expect(count(tiff([0, 0]).subarray(0, 40))).toBe(9);
    expect(Pages.count(tiff([0, 0]), "image/tiff", 1)).toBe(1);
  });
});

const chunk = (name: string, data: number[]) => {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(name, 4, "latin1");
  Buffer.from(data).copy(bytes, 8);
  return bytes;
};
const frames = (count: number) => chunk("acTL", [0, 0, 0, count, 0, 0, 0, 0]);

test("frames of an APNG are counted; the picture before them counts only if it is a frame", () => {
  const png = (...chunks: Buffer[]) =>
    Pages.count(Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...chunks]), "image/png", 1);
  expect(png(chunk("IHDR", []), frames(3), chunk("fcTL", []), chunk("IDAT", []))).toBe(3);
  expect(png(chunk("IHDR", []), frames(3), chunk("IDAT", []), chunk("fcTL", []))).toBe(4);
  expect(png(chunk("IHDR", []), frames(1), chunk("fcTL", []), chunk("IDAT", []))).toBe(1);
  expect(png(chunk("IHDR", []), chunk("IDAT", []), frames(3))).toBe(1);
});

test("pictures of an MPO are counted; previews and gain maps are not", () => {
  const mpo = (...types: number[]) => {
    const index = Buffer.alloc(8 + 2 + 12 + 4 + 16 * types.length);
    index.write("MM\0*", "latin1");
    index.writeUInt32BE(8, 4);
    index.writeUInt16BE(1, 8);
    index.writeUInt16BE(0xb002, 10);
    index.writeUInt32BE(16 * types.length, 14);
    index.writeUInt32BE(26, 18);
    for (const [i, type] of types.entries()) index.writeUInt32BE((0x80000000 | type) >>> 0, 26 + 16 * i);
    const head = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xe2, 0, 2 + 4 + index.length]);
    return Pages.count(
      Buffer.concat([head, Buffer.from("MPF\0"), index, Buffer.from([0xff, 0xda, 0, 2])]),
      "image/jpeg",
      1,
    );
  };
  expect(mpo(0x030000, 0x020002)).toBe(2);
  expect(mpo(0x030000, 0x010001, 0)).toBe(1);
  expect(mpo(0x020001, 0x020001, 0x020001)).toBe(3);
});

test("a picture of an MPO without a type is a page where it is as large as the first and no gain map", () => {
  const frame = (width: number, words = "") => {
    const said = Buffer.from(words, "latin1");
    return Buffer.concat([
      Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0, 2 + said.length]),
      said,
      Buffer.from([0xff, 0xc0, 0, 8, 8, 0, 20, 0, width, 0, 0xff, 0xda, 0, 2, 0xff, 0xd9]),
    ]);
  };
  const mpo = (second: Buffer) => {
    const index = Buffer.alloc(58);
    index.write("II*\0", "latin1");
    index.writeUInt32LE(8, 4);
    index.writeUInt16LE(1, 8);
    index.writeUInt16LE(0xb002, 10);
    index.writeUInt32LE(32, 14);
    index.writeUInt32LE(26, 18);
    index.writeUInt32LE(0x030000, 26);
    const segment = Buffer.concat([
      Buffer.from([0xff, 0xe2, 0, 6 + index.length]),
      Buffer.from("MPF\0"),
      index,
    ]);
    const first = frame(40);
    const whole = Buffer.concat([first.subarray(0, 2), segment, first.subarray(2), second]);
    // Offsets count from the index's own beginning.
    whole.writeUInt32LE(whole.length - second.length - 10, 10 + 26 + 16 + 8);
    return Pages.count(whole, "image/jpeg", 1);
  };
  expect(mpo(frame(40))).toBe(2);
  expect(mpo(frame(20))).toBe(1);
  expect(mpo(frame(40, 'http://ns.adobe.com/xap/1.0/\0 hdrgm:Version="1.0"'))).toBe(1);
  expect(mpo(Buffer.from("nonsense"))).toBe(1);
});

const case6 = resolve(import.meta.dirname, "../../../shared/cases/i06-two-pages.tif");
test.skipIf(!existsSync(case6))("of a scan of two pages are two for the decoder and for us", async () => {
  expect(await inspect(await readFile(case6))).toMatchObject({ mimeType: "image/tiff", pages: 2 });
});

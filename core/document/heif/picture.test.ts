import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AppError } from "#core/error";
import { guards } from "#spec/guards";
import { box, gridData, heif, type ItemParts, u32 } from "#test/support/heif-parts";
import { look } from "./picture.ts";

/**
 * Harmless files just above limits that the tests lower: files are refused for their structure, not for the time that
 * they take.
 */

const told = (bytes: Buffer, bounds: Partial<typeof guards.heif> = {}) => {
  try {
    const { width, height, pictures } = look(bytes, { ...guards.heif, ...bounds });
    return { width, height, pictures };
  } catch (error) {
    return error instanceof AppError ? [error.code, error.details?.reason] : error;
  }
};
const tile: ItemParts = { type: "hvc1", size: [64, 64] };
const grid = (rows: number, columns: number): ItemParts[] => {
  const size: [number, number] = [64 * columns, 64 * rows];
  const of = Array.from({ length: rows * columns }, (_, i) => i + 2);
  return [{ type: "grid", size, of, data: gridData(rows, columns, size) }, ...of.map(() => tile)];
};
const refused = (reason: string) => ["invalid_image", reason];

describe("the cost of a HEIC is determined from its tables, before a decoder reads it", () => {
  test("the number of its items and of its tiles", () => {
    expect(told(heif(grid(3, 4)), { items: 13 })).toEqual({ width: 256, height: 192, pictures: 1 });
    expect(told(heif(grid(3, 4)), { items: 12 })).toEqual(refused("too_many_parts"));
    // One tile in all places: few items, many tiles.
    const [first, ...others] = grid(3, 4);
    const same = [{ ...(first as ItemParts), of: others.map(() => 2) }, tile];
    expect(told(heif(same), { items: 12 })).toEqual({ width: 256, height: 192, pictures: 1 });
    expect(told(heif(same), { items: 11 })).toEqual(refused("too_many_parts"));
  });

  test("the pixels of all its parts together, counted as often as they are used", () => {
    const megapixel: ItemParts = { type: "hvc1", size: [1000, 1000] };
    const of = [2, 2, 2];
    const layers = heif([{ type: "iovl", size: [1000, 1000], of }, megapixel]);
    expect(told(layers, { decodedMegapixels: 4 })).toMatchObject({ width: 1000 });
    expect(told(layers, { decodedMegapixels: 3.9 })).toEqual(refused("too_much_to_decode"));
    // Layers of layers: 3 to the power of 8, of which each is counted once.
    const deep = Array.from(
      { length: 8 },
      (_, i): ItemParts => ({ type: "iovl", size: [8, 8], of: Array(3).fill(i + 2) }),
    );
    expect(told(heif([...deep, megapixel]))).toEqual(refused("too_much_to_decode"));
  });

  test("the pixels of an AVIF, which take more memory", () => {
    const megapixel = heif([{ type: "av01", size: [1000, 1000] }]);
    expect(told(megapixel, { av1Megapixels: 1 })).toMatchObject({ width: 1000 });
    expect(told(megapixel, { av1Megapixels: 0.9 })).toEqual(refused("too_much_to_decode"));
    expect(told(heif([{ ...tile, size: [1000, 1000] }]), { av1Megapixels: 0.9 })).toMatchObject({
      width: 1000,
    });
  });

  test("the size that the coded picture has by its own parameters, whatever the container says", () => {
    const file = readFileSync(new URL("./fixtures/plain.heic", import.meta.url));
    expect(told(file, { decodedMegapixels: 0.01 })).toMatchObject({ width: 96, height: 64 });
    const smaller = Buffer.from(file);
    const ispe = smaller.indexOf("ispe");
    smaller.writeUInt32BE(8, ispe + 8);
    smaller.writeUInt32BE(8, ispe + 12);
    expect(told(smaller, { decodedMegapixels: 0.006 })).toEqual(refused("too_much_to_decode"));
  });

  test("parts that contain themselves, and parts nested too deep", () => {
    const loop: ItemParts[] = [
      { type: "iden", size: [8, 8], of: [2] },
      { type: "iden", size: [8, 8], of: [1] },
    ];
    expect(told(heif(loop))).toEqual(refused("parts_in_a_circle"));
    const chain = (length: number) =>
      heif([
        ...Array.from({ length }, (_, i): ItemParts => ({ type: "iden", size: [64, 64], of: [i + 2] })),
        tile,
      ]);
    expect(told(chain(4), { depth: 4 })).toMatchObject({ width: 64 });
    expect(told(chain(5), { depth: 4 })).toEqual(refused("nested_too_deep"));
  });

  test("boxes within boxes, and many of them", () => {
    const nested = (depth: number): Buffer => (depth === 0 ? box("free") : box("udta", nested(depth - 1)));
    const behind = (depth: number) => heif([tile], { after: [nested(depth)] });
    expect(told(behind(3), { depth: 4 })).toMatchObject({ width: 64 });
    expect(told(behind(4), { depth: 4 })).toEqual(refused("nested_too_deep"));
    const many = (count: number) => heif([tile], { after: Array<Buffer>(count).fill(box("free")) });
    const least = 16;
    expect(told(many(30), { boxes: 30 + least })).toMatchObject({ width: 64 });
    expect(told(many(30 + least), { boxes: 30 + least })).toEqual(refused("too_many_parts"));
  });

  test("the largest accepted file is checked within a moment", () => {
    const began = performance.now();
    expect(told(heif(grid(27, 37)))).toEqual({ width: 2368, height: 1728, pictures: 1 });
    expect(told(heif([tile], { after: Array<Buffer>(19_900).fill(box("free")) }))).toMatchObject({
      width: 64,
    });
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe("tables that point nowhere are refused with a reason", () => {
  const file = heif(grid(2, 2));
  const changed = (name: string, offset: number, value: number) => {
    const bytes = Buffer.from(file);
    bytes.writeUInt32BE(value, bytes.indexOf(name) + offset);
    return bytes;
  };
  test.each([
    ["a box longer than what it is in", changed("iprp", -4, 9_999), "broken_header"],
    ["a box shorter than its header", changed("iref", -4, 3), "broken_header"],
    ["a primary item that is none", changed("pitm", 4, 0x4e200000), "broken_header"],
    [
      "a grid of fewer parts than tiles",
      heif([{ ...(grid(2, 2)[0] as ItemParts), of: [2] }, tile]),
      "broken_header",
    ],
    ["a cut in the tables", file.subarray(0, 200), "damaged"],
    ["no tables", Buffer.concat([file.subarray(0, 24), box("mdat", Buffer.alloc(64))]), "no_still_picture"],
    ["a codec that is not read", heif([{ type: "vvc1", size: [8, 8] }]), "codec_not_read"],
    ["an item that is not a picture", heif([{ type: "Exif", size: [8, 8] }]), "codec_not_read"],
  ])("%s", (_, bytes, reason) => expect(told(bytes)).toEqual(refused(reason)));

  test("pixels that are cut off", () => {
    const whole = readFileSync(new URL("./fixtures/grid.heic", import.meta.url));
    expect(told(whole)).toMatchObject({ width: 160, height: 96 });
    expect(told(whole.subarray(0, whole.length - 10))).toEqual(refused("damaged"));
    // Data that programs append after the picture is ignored.
    expect(told(Buffer.concat([whole, Buffer.from("\x7f\xff\xff\xffSEFHmotion")]))).toMatchObject({
      width: 160,
    });
  });

  test("whichever byte is changed, the outcome is a picture or an error with a reason", () => {
    for (let at = 8; at < file.length; at += 1)
      for (const value of [0, 0x7f, 0xff]) {
        const bytes = Buffer.from(file);
        bytes[at] = value;
        const answer = told(bytes);
        expect(answer, `${at}: ${value}`).not.toBeInstanceOf(Error);
      }
  });
});

test("pictures are counted as in a viewer: without tiles, previews, planes and gain maps", () => {
  const reference = (type: string, from: number, to: number) =>
    box(type, Buffer.from([0, from, 0, 1, 0, to]));
  const of = (types: string[], references: Buffer[], groups: Buffer[] = []) => {
    const file = heif(types.map((type) => ({ ...tile, type })));
    const iref = box("iref", u32(0), ...references);
    // The walk takes the last box of a name.
    const meta = file.indexOf("meta") - 4;
    const added = [iref, ...(groups.length > 0 ? [box("grpl", ...groups)] : [])];
    const longer = Buffer.concat([file, ...added]);
    longer.writeUInt32BE(longer.length - meta, meta);
    return told(longer);
  };
  const one = { width: 64, height: 64, pictures: 1 };
  expect(of(["hvc1", "hvc1", "hvc1"], [])).toEqual({ ...one, pictures: 3 });
  expect(of(["hvc1", "hvc1", "hvc1"], [reference("thmb", 2, 1), reference("auxl", 3, 1)])).toEqual(one);
  // Apple's HDR: `tmap` is made of the picture and of its gain map, and is an alternative of the picture.
  const group = (type: string, ...ids: number[]) =>
    box(type, u32(0), u32(9), u32(ids.length), ...ids.map(u32));
  expect(of(["hvc1", "hvc1", "tmap"], [box("dimg", Buffer.from([0, 3, 0, 2, 0, 1, 0, 2]))])).toEqual(one);
  expect(of(["hvc1", "hvc1"], [], [group("ster", 1, 2)])).toEqual(one);
  expect(of(["hvc1", "hvc1"], [], [group("brst", 1, 2)])).toEqual({ ...one, pictures: 2 });
});

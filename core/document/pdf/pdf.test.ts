import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { firstAfter, foreignFont, lines, pages, scanned } from "#test/support/pdf";
import type { Pixels } from "../format/format.ts";
import { open } from "./pdf.ts";

const afterOne = firstAfter(1);

/** Draws the page of these bytes with this many pixels per point. */
async function drawn(bytes: Uint8Array, index = 0, scale = 2) {
  const document = await open(bytes, {});
  const { width, height } = await document.shape(index);
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  const raster = await document.raster(index, size);
  const notes = document.text(index);
  document.close();
  return { document, shape: { width, height }, size, raster, notes };
}

function pixels(raster: { kind: string }): Pixels {
  expect(raster.kind).toBe("pixels");
  return raster as Pixels;
}

/** The box of everything dark, in parts of the picture. */
function ink({ data, width, height, channels }: Pixels) {
  const box = { left: 1, top: 1, right: 0, bottom: 0 };
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      if ((data[(y * width + x) * channels] as number) > 128) continue;
      box.left = Math.min(box.left, x / width);
      box.right = Math.max(box.right, x / width);
      box.top = Math.min(box.top, y / height);
      box.bottom = Math.max(box.bottom, y / height);
    }
  return box;
}

describe("the shape of a page", () => {
  const content = "0 0 0 rg 20 150 100 30 re f";
  test("is that of its MediaBox, and both sides are drawn as asked", async () => {
    const { shape, raster, notes } = await drawn(pages([{ content }]));
    expect(shape).toEqual({ width: 400, height: 200 });
    expect(pixels(raster)).toMatchObject({ width: 800, height: 400, channels: 1 });
    const box = ink(pixels(raster));
    expect(box.left).toBeCloseTo(0.05, 2);
    expect(box.top).toBeCloseTo(0.1, 2);
    expect(notes).toMatchObject({ words: [], undrawn: [] });
  });

  test("follows /Rotate, CropBox and UserUnit", async () => {
    const turned = await drawn(pages([{ content, extra: "/Rotate 90" }]));
    expect(turned.shape).toEqual({ width: 200, height: 400 });
    // The mark that was at the top left is at the top right.
    expect(ink(pixels(turned.raster)).right).toBeCloseTo(0.9, 2);
    expect(ink(pixels(turned.raster)).top).toBeCloseTo(0.05, 2);
    const cropped = await drawn(pages([{ content, extra: "/CropBox [20 150 120 180]" }]));
    expect(cropped.shape).toEqual({ width: 100, height: 30 });
    const scaled = await drawn(pages([{ content, extra: "/UserUnit 2.5" }]), 0, 1);
    expect(scaled.shape).toEqual({ width: 1000, height: 500 });
    expect(ink(pixels(scaled.raster)).left).toBeCloseTo(0.05, 2);
  });

  test("may differ from page to page", async () => {
    const bytes = pages([{ content }, { content, box: "0 0 100 300" }]);
    const document = await open(bytes, {});
    expect(document.pages).toBe(2);
    expect(await document.shape(1)).toMatchObject({ width: 100, height: 300, unit: "points" });
    document.close();
  });
});

describe("what is drawn", () => {
  test("colors stay colors; an empty page is blank", async () => {
    const red = await drawn(pages([{ content: "1 0 0 rg 0 0 400 200 re f" }]));
    expect([...pixels(red.raster).data.subarray(0, 3)]).toEqual([255, 0, 0]);
    const empty = await drawn(pages([{ content: "" }]));
    expect(new Set(pixels(empty.raster).data)).toEqual(new Set([255]));
  });

  test("a form field without an appearance, and an annotation with one", async () => {
    const field = `<< /Type /Annot /Subtype /Widget /FT /Tx /T (total) /V (12.50) /Rect [100 80 300 120] /F 4 /DA (/Helv 20 Tf 0 g) /P 4 0 R >>`;
    const first = afterOne;
    const form = `/AcroForm << /Fields [${first} 0 R] /DR << /Font << /Helv 3 0 R >> >> /DA (/Helv 20 Tf 0 g) >>`;
    const filled = await drawn(
      pages([{ content: "", extra: `/Annots [${first} 0 R]` }], { more: [field], catalog: form }),
    );
    const box = ink(pixels(filled.raster));
    expect(box.left).toBeGreaterThan(0.24);
    expect(box.right).toBeLessThan(0.76);
    // The background of the field is that of paper.
    expect(pixels(filled.raster).data[0]).toBe(255);
    const look = { dict: "/Type /XObject /Subtype /Form /BBox [0 0 50 50]", data: "0 g 0 0 50 50 re f" };
    const stamp = `<< /Type /Annot /Subtype /Stamp /Rect [200 100 250 150] /F 4 /AP << /N ${first + 1} 0 R >> >>`;
    const stamped = await drawn(
      pages([{ content: "", extra: `/Annots [${first} 0 R]` }], { more: [stamp, look] }),
    );
    expect(ink(pixels(stamped.raster)).left).toBeCloseTo(0.5, 2);
  });

  test("thin strokes of a scan with one bit a pixel survive", async () => {
    // 1,600 pixels wide, a line of one pixel each 16.
    const row = Buffer.from(Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 0x7f : 0xff)));
    const data = Buffer.concat(Array.from({ length: 800 }, () => row));
    const picture = {
      dict: "/Type /XObject /Subtype /Image /Width 1600 /Height 800 /BitsPerComponent 1 /ColorSpace /DeviceGray",
      data,
    };
    const { raster, size } = await drawn(pages([scanned(afterOne)], { more: [picture] }), 0, 1);
    expect(size).toEqual({ width: 400, height: 200 });
    const { width, height, data: own } = pixels(raster);
    expect([width, height]).toEqual([1600, 800]);
    expect(own.subarray(0, 1600).filter((value) => value < 128).length).toBe(100);
  });
});

describe("a page that is one scanned picture", () => {
  let jpeg: Uint8Array;
  let picture: { dict: string; data: Uint8Array };
  beforeAll(async () => {
    const raw = { width: 400, height: 200, channels: 3 as const, background: "#a0b0c0" };
    jpeg = await sharp({ create: raw }).jpeg().toBuffer();
    picture = {
      dict: "/Type /XObject /Subtype /Image /Width 400 /Height 200 /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode",
      data: jpeg,
    };
  });
  const scan = async (page = {}, dict = "") =>
    (
      await drawn(
        pages([scanned(afterOne, page)], { more: [{ ...picture, dict: `${picture.dict} ${dict}` }] }),
      )
    ).raster;

  test("gives its JPEG byte for byte", async () => {
    const upright = { kind: "file", mimeType: "image/jpeg", orientation: 1 };
    const raster = await scan();
    expect(raster).toMatchObject(upright);
    expect(Buffer.from((raster as { bytes: Uint8Array }).bytes).equals(jpeg)).toBe(true);
    // Variants: with margins, with a clip of the whole page, with an OCR layer, with a link.
    expect(await scan({ matrix: "380 0 0 190 10 5" })).toMatchObject(upright);
    expect(await scan({ matrix: "1 0 0 1 0 0 cm 0 0 400 200 re W n 400 0 0 200 0 0" })).toMatchObject(
      upright,
    );
    expect(await scan({ content: "BT 3 Tr /F1 10 Tf 20 20 Td (Total) Tj ET" })).toMatchObject(upright);
    const link = "/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] >>]";
    expect(await scan({ extra: link })).toMatchObject(upright);
  });

  test.each([
    ["/Rotate 90", "400 0 0 200 0 0", "0 0 400 200", 6],
    ["/Rotate 180", "400 0 0 200 0 0", "0 0 400 200", 3],
    ["/Rotate 270", "400 0 0 200 0 0", "0 0 400 200", 8],
    ["", "0 -400 200 0 0 400", "0 0 200 400", 6],
    ["/Rotate 270", "0 -400 200 0 0 400", "0 0 200 400", 1],
  ])("turned by %s and %s it has the right rotation", async (extra, matrix, box, orientation) => {
    expect(await scan({ extra, matrix, box })).toMatchObject({ kind: "file", orientation });
  });

  test.each([
    ["a text on it", { content: "BT /F1 30 Tf 20 20 Td (Paid) Tj ET" }, ""],
    ["a line on it", { content: "0 0 m 400 200 l S" }, ""],
    ["a stamp", { extra: "/Annots [<< /Type /Annot /Subtype /Stamp /Rect [0 0 9 9] >>]" }, ""],
    ["a clip", { matrix: "1 0 0 1 0 0 cm 0 0 200 200 re W n 400 0 0 200 0 0" }, ""],
    ["a mirrored picture", { matrix: "-400 0 0 200 400 0" }, ""],
    ["a skewed picture", { matrix: "390 20 -10 180 10 0" }, ""],
    ["a squeezed picture", { matrix: "300 0 0 200 0 0" }, ""],
    ["a picture larger than the page", { matrix: "800 0 0 400 0 0" }, ""],
    ["a small picture", { matrix: "200 0 0 100 0 0" }, ""],
    ["inverted values", {}, "/Decode [1 0 1 0 1 0]"],
    ["a mask of colors", {}, "/Mask [0 1 0 1 0 1]"],
  ])("is drawn with %s", async (_, page, dict) => {
    expect((await scan(page, dict)).kind).toBe("pixels");
  });
});

describe("the text layer", () => {
  test("has words with boxes on the seen page", async () => {
    const { notes } = await drawn(
      pages([{ content: lines(["Invoice 4711", "Total 12.50"]), extra: "/Rotate 180" }]),
    );
    expect(notes.words.map(({ text }) => text)).toEqual(["Invoice", "4711", "Total", "12.50"]);
    const [invoice] = notes.words;
    // At the top left of the page, which is upside down.
    expect((invoice?.x ?? 0) + (invoice?.width ?? 0)).toBeCloseTo(1 - 30 / 400, 1);
    expect((invoice?.y ?? 0) + (invoice?.height ?? 0)).toBeCloseTo(1 - 25 / 200, 1);
    expect(notes.undrawn).toEqual([]);
  });

  const { more, resources, show } = foreignFont(afterOne);
  const foreign = (how: string) =>
    drawn(pages([{ content: `${how} ${show("50 100")}`, resources }], { more }));

  test("reports missing fonts of visible text", async () => {
    const { notes } = await foreign("");
    expect(notes).toMatchObject({ undrawn: [0], hidden: [] });
    expect(notes.words.map(({ text }) => text)).toEqual(["合计金额"]);
    // Invisible and white text is not visible, so its fonts do not matter.
    expect((await foreign("3 Tr")).notes.undrawn).toEqual([]);
    expect((await foreign("1 g")).notes.undrawn).toEqual([]);
  });

  test("distinguishes drawn words from hidden ones if fonts are missing", async () => {
    const hidden = "BT 3 Tr /F1 18 Tf 30 20 Td (invisible) Tj 0 Tr 1 g 150 0 Td (white) Tj ET 0 g";
    const { notes } = await foreign(`${lines(["Total 12.50"])} ${hidden}`);
    const texts = (indices: number[]) => indices.map((i) => notes.words[i]?.text);
    expect(texts(notes.undrawn)).toEqual(["合计金额"]);
    expect(texts(notes.hidden).toSorted()).toEqual(["invisible", "white"]);
  });
});

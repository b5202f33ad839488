import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import * as Drawn from "#core/document/fixtures/drawn";

/** Documents of a format's module, through the interface in ./format/format.ts. */

let decoder: Decoder;
beforeEach(() => {
  decoder = new Decoder({ program: async () => Drawn.url });
});
afterEach(() => decoder.end());

const gif = (background = "#ffffff") =>
  sharp({ create: { width: 8, height: 8, channels: 3, background } })
    .gif()
    .toBuffer();
const gray = async (bytes: Uint8Array, x: number) => {
  const { data, info } = await sharp(bytes).greyscale().raw().toBuffer({ resolveWithObject: true });
  return data[Math.floor(info.height / 2) * info.width + x];
};

test("a drawn page has the resolution that the budget allows, at most 300 dots an inch", async () => {
  const document = await Document.open(await gif(), { decoder });
  expect(document).toMatchObject({ kind: "pdf", pages: 3, frames: 3, first: { unit: "points", width: 72 } });
  const large = await Document.prepare(document.first, { maxImageTokens: 4096 });
  expect(large).toMatchObject({ width: 300, height: 150, mimeType: "image/jpeg", changed: true });
  const small = await Document.prepare(document.first, { maxImageTokens: 8 });
  expect(small).toMatchObject({ width: 128, height: 64 });
  expect(await gray(small.bytes, 5)).toBe(50);
});

test("orders about one file open it once; an order about another file opens that one", async () => {
  const document = await Document.open(await gif(), { decoder });
  await Document.prepare(document.first, { maxImageTokens: 64 });
  await Document.page(document, 3);
  expect(await gray((await Document.prepare(document.first, { maxImageTokens: 64 })).bytes, 5)).toBe(50);
  const other = await Document.open(await gif("#000000"), { decoder });
  expect(await gray((await Document.prepare(other.first, { maxImageTokens: 64 })).bytes, 5)).toBe(100);
});

test("a page that is a single picture is sent as that picture, with the page's rotation; a small one is not enlarged", async () => {
  const document = await Document.open(await gif(), { decoder });
  const second = await Document.prepare(await Document.page(document, 2), { maxImageTokens: 4096 });
  expect(second).toMatchObject({ width: 120, height: 60, changed: true });
  expect([await gray(second.bytes, 10), await gray(second.bytes, 110)]).toEqual([0, 255]);
  const third = await Document.page(document, 3);
  expect(third).toMatchObject({ number: 3, unit: "pixels", width: 40, height: 10 });
  expect(await Document.prepare(third, { maxImageTokens: 4096 })).toMatchObject({ width: 40, height: 10 });
});

test("a refusal of the module is the caller's error, and the password reaches nothing but the module", async () => {
  const opening = Document.open(await gif(), { decoder, password: "wrong" });
  await expect(opening).rejects.toMatchObject({
    code: "invalid_image",
    details: { reason: "pdf_encrypted" },
  });
});

test("a file that was opened with a password is not read with another one or without one, although the file is the same", async () => {
  const opened = await Document.open(await gif(), { decoder, password: "right" });
  const grayOf = async (document: Document.Document) =>
    gray((await Document.prepare(document.first, { maxImageTokens: 64 })).bytes, 5);
  expect(await grayOf(opened)).toBe(50);
  // The decoder still holds the bytes.
  expect(await grayOf(await Document.open(await gif(), { decoder }))).toBe(100);
  const wrong = Document.open(await gif(), { decoder, password: "wrong" });
  await expect(wrong).rejects.toMatchObject({ details: { reason: "pdf_encrypted" } });
  expect(await grayOf(await Document.open(await gif(), { decoder, password: "right" }))).toBe(150);
});

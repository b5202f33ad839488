import sharp from "sharp";
import { expect, test } from "vitest";
import * as Document from "#core/document/document";
import { draw } from "#test/support/look/receipts";
import { qualityOf } from "./quality.ts";

async function qualityAt(bytes: Uint8Array, maxImageTokens = 4096) {
  const { first } = await Document.open(bytes);
  const look = await Document.look(first);
  return qualityOf(look.legibility, await Document.prepare(first, { maxImageTokens, look }));
}

test("a clean receipt has no fault, and each fault of a worn copy is named", async () => {
  const { bytes } = await draw(3, { fonts: ["monospace", "sans-serif"], mostTilt: 0, wear: 0.5 });
  expect(await qualityAt(bytes)).toEqual({ ok: true, reasons: [] });
  const blurred = await sharp(bytes).blur(8).jpeg().toBuffer();
  expect((await qualityAt(blurred)).reasons).toContain("blurred");
  const dark = await sharp(bytes).linear(0.22, 0).jpeg().toBuffer();
  expect((await qualityAt(dark)).reasons).toContain("dark");
  // Only the size of the picture that the model gets counts.
  expect(await qualityAt(bytes, 130)).toEqual({ ok: false, reasons: ["text_too_small"] });
});

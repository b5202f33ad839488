import sharp, { type TiffOptions } from "sharp";
import { expect, test } from "vitest";
import * as Document from "#core/document/document";
import { tiffOf } from "#test/support/tiff";

/** Pages of a TIFF that differ in size, orientation and shape of pixels, which libvips cannot join. */

const page = (
  background: string,
  width: number,
  height: number,
  options: TiffOptions = {},
  orientation = 1,
) =>
  sharp({ create: { width, height, channels: 3, background } })
    .withMetadata({ orientation })
    .tiff({ compression: "none", ...options })
    .toBuffer();

test("each page has its own size, orientation and shape", async () => {
  const bytes = tiffOf([
    await page("#ff0000", 60, 40),
    await page("#00ff00", 30, 90, {}, 6),
    await page("#0000ff", 204, 98, { xres: 204 / 25.4, yres: 98 / 25.4 }),
  ]);
  const document = await Document.open(bytes);
  expect(document).toMatchObject({ kind: "picture", pages: 3, first: { width: 60, height: 40 } });
  const pages = [document.first, await Document.page(document, 2), await Document.page(document, 3)];
  expect(pages.map(({ number, width, height, orientation }) => [number, width, height, orientation])).toEqual(
    [
      [1, 60, 40, 1],
      [2, 30, 90, 6],
      [3, 204, 98, 1],
    ],
  );
  const seen = [];
  for (const each of pages) {
    const { bytes: sent, width, height } = await Document.prepare(each, { maxImageTokens: 4096 });
    const { dominant } = await sharp(sent).stats();
    seen.push([width, height, Object.entries(dominant).toSorted(([, a], [, b]) => b - a)[0]?.[0]]);
  }
  expect(seen).toEqual([
    [60, 40, "r"],
    [90, 30, "g"],
    [204, 204, "b"],
  ]);
});

test("a page whose strips exceed the file is refused when this page is read, not before", async () => {
  const first = await page("#ffffff", 60, 40);
  const second = await page("#ffffff", 60, 40, { predictor: "none" });
  const bytes = tiffOf([first, second]);
  const document = await Document.open(bytes);
  const at = document.places[1]?.directory ?? 0;
  // StripByteCounts of the second page: as long as the file and one byte more.
  for (let field = at + 2; field < bytes.length - 12; field += 12) {
    if (bytes.readUInt16LE(field) !== 279) continue;
    bytes.writeUInt16LE(4, field + 2);
    bytes.writeUInt32LE(1, field + 4);
    bytes.writeUInt32LE(bytes.length + 1, field + 8);
    break;
  }
  const again = await Document.open(bytes);
  await expect(Document.page(again, 2)).rejects.toMatchObject({ details: { reason: "overlapping_strips" } });
});

import { describe, expect, test } from "vitest";
import * as Document from "#core/document/document";
import { AppError } from "#core/error";
import { guards } from "#spec/guards";
import { inspect } from "#test/support/inspect";
import { scannedJpeg, stripedTiff } from "#test/support/picture-parts";

const { jpegScans: mostScans, tiffDirectories: mostDirectories } = guards.picture;

/** Harmless pictures just above the limits: what is refused is the shape, not the time that it takes. */

const inspected = async (bytes: Buffer) =>
  await inspect(bytes).then(
    ({ width, height, pages }) => ({ width, height, pages }),
    (error: unknown) => (error instanceof AppError ? [error.code, error.retry, error.details] : error),
  );

describe("files whose parts make a decoder do the same again and again are refused by their tables", () => {
  test("a JPEG of more than 100 scans", async () => {
    expect(await inspected(scannedJpeg(mostScans))).toEqual({ width: 8, height: 8, pages: 1 });
    expect(await inspected(scannedJpeg(mostScans + 1))).toEqual([
      "invalid_image",
      false,
      { reason: "too_many_scans", limit_scans: 100 },
    ]);
  });

  test("a JPEG of 100 scans is read to its end", async () => {
    const image = await inspect(scannedJpeg(mostScans));
    expect(await Document.prepare(image, { maxImageTokens: 256 })).toMatchObject({ width: 8, height: 8 });
  });

  test("a TIFF of more than 10,000 directories; one of 1,000 is accepted as a scan", async () => {
    const of = (pages: number) => stripedTiff({ width: 8, height: 8, pages });
    expect(await inspected(of(1_000))).toEqual({ width: 8, height: 8, pages: 1_000 });
    expect(await inspected(of(mostDirectories + 1))).toEqual([
      "invalid_image",
      false,
      { reason: "too_many_pages", limit_pages: 10_000 },
    ]);
  });

  test("a TIFF whose strips overlap, so that together they are longer than the file", async () => {
    expect(await inspected(stripedTiff({ width: 60, height: 40 }))).toEqual({
      width: 60,
      height: 40,
      pages: 1,
    });
    expect(await inspected(stripedTiff({ width: 60, height: 40, overlap: 2_400 }))).toEqual([
      "invalid_image",
      false,
      { reason: "overlapping_strips" },
    ]);
  });
});

import sharp, { type Sharp } from "sharp";
import { expect, test } from "vitest";
import { draw } from "#test/support/look/receipts";
import { type Corner, drawSheet } from "#test/support/look/sheets";
import { type Grey, reducedSize } from "./grey.ts";
import { inkOf } from "./ink.ts";
import { papersOf } from "./papers.ts";

const fonts = ["sans-serif"];

async function greyOf(picture: Sharp): Promise<Grey> {
  const bytes = await picture.png().toBuffer();
  const { width, height } = await sharp(bytes).metadata();
  const size = reducedSize(width, height);
  const { data, info } = await sharp(bytes)
    .resize(size.width, size.height, { fit: "fill" })
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

const found = (grey: Grey) => papersOf(grey, inkOf(grey));

test("receipts on a table are found, each with all of its print and without print of others, in reading order", async () => {
  const { bytes, papers, width, height } = await drawSheet(21_002, { receipts: 3, ground: "table", fonts });
  const receipts = found(await greyOf(sharp(bytes)));
  expect(receipts).toHaveLength(papers.length);
  for (const { corners, turn } of receipts) {
    expect(Math.abs(turn)).toBeLessThanOrEqual(45);
    const here = corners.map(({ x, y }) => ({ x: x * width, y: y * height }));
    const inside = papers.filter((paper) => paper.every((corner) => isInside(here, corner, 14)));
    expect(inside).toHaveLength(1);
    const touched = papers.filter((paper) => isInside(here, middleOf(paper), 0));
    expect(touched).toEqual(inside);
  }
  const tops = receipts.map(({ corners }) => Math.min(...corners.map(({ y }) => y)));
  expect(tops.at(-1)).toBeGreaterThan(tops[0] as number);
});

/** Within a rectangle, or nearer to it than so many pixels. */
function isInside(rectangle: readonly Corner[], { x, y }: Corner, off: number): boolean {
  return rectangle.every((from, at) => {
    const to = rectangle[(at + 1) % rectangle.length] as Corner;
    const far = (to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x);
    return far >= -off * Math.hypot(to.x - from.x, to.y - from.y);
  });
}

const middleOf = (corners: readonly Corner[]): Corner => ({
  x: corners.reduce((sum, { x }) => sum + x, 0) / corners.length,
  y: corners.reduce((sum, { y }) => sum + y, 0) / corners.length,
});

test("a single receipt is never cut: undamaged, folded with a dark crease, or torn in two", async () => {
  const { bytes } = await draw(30_002, { fonts, mostTilt: 0, wear: 0.3 });
  const { width = 0, height = 0 } = await sharp(bytes).metadata();
  expect(found(await greyOf(sharp(bytes)))).toEqual([]);
  const crease = Buffer.from(
    `<svg width="${width}" height="${height}"><rect y="${height * 0.48}" width="${width}" height="6" fill="#000" opacity="0.6"/><rect width="${width}" height="${height * 0.48}" fill="#000" opacity="0.15"/></svg>`,
  );
  expect(
    found(
      await greyOf(
        sharp(
          await sharp(bytes)
            .composite([{ input: crease }])
            .png()
            .toBuffer(),
        ),
      ),
    ),
  ).toEqual([]);
  const half = Math.floor(height / 2);
  const upper = await sharp(bytes).extract({ left: 0, top: 0, width, height: half }).png().toBuffer();
  const lower = await sharp(bytes)
    .extract({ left: 0, top: half, width, height: height - half })
    .png()
    .toBuffer();
  const torn = sharp({
    create: { width: width + 8, height: height + 14, channels: 3, background: "#333333" },
  }).composite([
    { input: upper, left: 0, top: 0 },
    { input: lower, left: 8, top: half + 14 },
  ]);
  expect(found(await greyOf(torn))).toEqual([]);
});

/** Names at the left and amounts far from them, a fold through both, on a table with dark marks of its own beside it. */
function folded(fold: number): Sharp {
  const rows = Array.from({ length: 16 }, (_, n) => {
    const y = 120 + n * 34 + (n < 8 ? 0 : fold);
    return `<text x="100" y="${y}">Milk and bread ${n}</text><text x="420" y="${y}">${n},50</text>`;
  });
  const at = 120 + 7 * 34 + 12 + fold / 2;
  const knots = Array.from(
    { length: 70 },
    (_, n) => `<rect x="${580 + (n % 3) * 14}" y="${20 + n * 11}" width="8" height="7" fill="#0a0a0a"/>`,
  );
  return sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="840" font-family="sans-serif" font-size="22"><rect width="640" height="840" fill="#444"/>${knots.join("")}<rect x="60" y="60" width="460" height="720" fill="#eee"/><path d="M50 ${at}h480" stroke="#444" stroke-width="5"/>${rows.join("")}</svg>`,
    ),
  );
}

test("a fold through names and amounts splits no receipt, and marks on a dark table beside it are no receipt", async () => {
  for (const fold of [0, 16, 30]) expect(found(await greyOf(folded(fold)))).toEqual([]);
});

test("a page of two columns and an invoice with its address beside its number are one document", async () => {
  const rows = Array.from({ length: 22 }, (_, n) => {
    const y = 420 + n * 26;
    return `<text x="80" y="${y}">Position ${n + 1} Beton und Kies</text><text x="860" y="${y}">${n * 7},00</text>`;
  });
  const column = (x: number) =>
    Array.from(
      { length: 26 },
      (_, n) => `<text x="${x}" y="${120 + n * 27}">Line ${n} of a text in a column</text>`,
    ).join("");
  const page = (content: string) =>
    greyOf(
      sharp(
        Buffer.from(
          `<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="1414" font-family="sans-serif" font-size="20"><rect width="1000" height="1414" fill="#fff"/>${content}</svg>`,
        ),
      ),
    );
  const invoice = `<text x="80" y="120">Muster Bau GmbH</text><text x="80" y="146">Musterweg 3</text><text x="700" y="220">Rechnung RE-17</text><text x="700" y="246">Datum 23.11.2026</text>${rows.join("")}<text x="80" y="1300">Bank DE02 1203 0000 0000 2020 51</text>`;
  expect(found(await page(invoice))).toEqual([]);
  expect(
    found(
      await page(
        `<text x="80" y="80">A title over both columns of this page</text>${column(80)}${column(540)}`,
      ),
    ),
  ).toEqual([]);
});

import sharp from "sharp";
import { firstAfter, type Page, pages, scanned } from "#test/support/pdf";
import * as Tags from "./tags.ts";

/*
 * Fifty receipts of 5 to 500 rows: pictures and PDFs, sharp and upright, turned, tilted, blurred, scanned, with sums that
 * are carried from page to page. Everything follows from the number of the receipt.
 */

export interface Row {
  name: string;
  quantity: string | null;
  unit_price: null;
  price: string;
}

export type Kind = "picture" | "PDF" | "turned" | "blurred" | "tilted" | "scanned PDF";

export interface Receipt {
  number: number;
  kind: Kind;
  rows: Row[];
  total: string;
  /** What the lines with these numbers say; rows have the numbers from 0 on. */
  notes: Map<number, Note>;
  bytes: Uint8Array;
}

/** A line that is no row. */
type Note = { is: "head" | "total" | "count" } | { is: "carried"; name: string; price: string };

interface Line {
  number: number;
  left: string;
  right: string;
}

const firstNote = 2048;
const goods = ["Milk", "Bread", "Butter", "Soap", "Coffee", "Apples", "Cheese"];
const money = (cents: number) => (cents / 100).toFixed(2);
const centsOf = ({ price }: Row) => Math.round(Number(price) * 100);

/** Rows of each of the fifty: short and long ones in each kind. */
const sizes = [5, 12, 30, 60, 100, 150, 220, 300, 400, 500];
const kinds: readonly [Kind, readonly number[]][] = [
  ["picture", sizes],
  ["PDF", sizes],
  ["turned", [5, 20, 60, 120, 250, 500, 40, 90, 180]],
  ["blurred", [8, 25, 70, 140, 300, 400, 35, 80]],
  ["tilted", [10, 30, 45, 60, 25, 50, 15]],
  ["scanned PDF", [20, 60, 110, 200, 350, 500]],
];

/** Each receipt as it comes; all of them together are too large to hold. */
export async function* receipts(): AsyncGenerator<Receipt> {
  let number = 0;
  for (const [kind, counts] of kinds)
    for (const count of counts) {
      yield await receiptOf(number, kind, count);
      number += 1;
    }
}

async function receiptOf(number: number, kind: Kind, count: number): Promise<Receipt> {
  const rows = rowsOf(number, count);
  const total = money(rows.reduce((sum, row) => sum + centsOf(row), 0));
  const notes = new Map<number, Note>();
  const parts = pagesOf(rows, { number, kind, total, notes });
  return { number, kind, rows, total, notes, bytes: await drawn(kind, parts, number) };
}

/** Every ninth row is followed by two that say the same: equal neighbors are real. */
function rowsOf(number: number, count: number): Row[] {
  return Array.from({ length: count }, (_, at) => {
    const of = at - (at % 9 < 3 ? at % 9 : 0);
    const name = `T${of} ${goods[(of + number) % goods.length]}`;
    return { name, quantity: "1", unit_price: null, price: money(95 + ((of * 37 + number * 11) % 900)) };
  });
}

const rowsOfPage = 42;

/** The lines of each page; one page but for PDFs. */
function pagesOf(
  rows: readonly Row[],
  of: { number: number; kind: Kind; total: string; notes: Map<number, Note> },
): Line[][] {
  const { number, kind, total, notes } = of;
  const isGerman = number % 2 === 1;
  const note = (said: Note, left: string, right = ""): Line => {
    const line = { number: firstNote + notes.size, left, right };
    notes.set(line.number, said);
    return line;
  };
  const carried = (name: string, upTo: number): Line => {
    const price = money(rows.slice(0, upTo).reduce((sum, row) => sum + centsOf(row), 0));
    return note({ is: "carried", name, price }, name, price);
  };
  const said = isGerman ? `Posten: ${rows.length}` : `ITEMS ${rows.length}`;
  const counted = number % 3 === 0 ? [note({ is: "count" }, said)] : [];
  const most = kind === "PDF" || kind === "scanned PDF" ? rowsOfPage : rows.length;
  const made: Line[][] = [];
  for (let start = 0; start < rows.length; start += most) {
    const end = Math.min(rows.length, start + most);
    const lines = rows
      .slice(start, end)
      .map(({ name, price }, at) => ({ number: start + at, left: `1 ${name}`, right: price }));
    const above =
      start === 0
        ? [note({ is: "head" }, isGerman ? "MARKT AM TOR" : "MARKET CENTRE")]
        : [carried(isGerman ? "Übertrag" : "Brought forward", start)];
    const below =
      end === rows.length
        ? [note({ is: "total" }, isGerman ? "SUMME EUR" : "TOTAL", total), ...counted]
        : [carried(isGerman ? "Übertrag" : "Carried forward", end)];
    made.push([...above, ...lines, ...below]);
  }
  return made;
}

async function drawn(kind: Kind, parts: readonly Line[][], number: number): Promise<Uint8Array> {
  if (kind === "PDF") return pages(parts.map(pdfPage));
  if (kind === "scanned PDF") return await scans(parts);
  const [lines = []] = parts;
  const paper = await picture(lines);
  const jpeg = () => sharp(paper, { limitInputPixels: false });
  if (kind === "turned")
    return await jpeg()
      .rotate([90, 180, 270][number % 3])
      .jpeg({ quality: 90 })
      .toBuffer();
  if (kind === "blurred") return await jpeg().blur(1.2).jpeg({ quality: 88 }).toBuffer();
  if (kind === "tilted")
    return await jpeg()
      .rotate([-6, -3, 3, 5, 7][number % 5] as number, { background: "#ffffff" })
      .jpeg({ quality: 90 })
      .toBuffer();
  return paper;
}

const margin = 16;
const { wide, high } = Tags.shape;
const text = { left: margin + wide + 12, wide: 380, pitch: 24, size: 17 };
const width = text.left + text.wide + margin;
/** librsvg draws at most 32,767 pixels of height. */
const linesOfSheet = 120;

/** A PNG of lines below each other. */
async function picture(lines: readonly Line[]): Promise<Buffer> {
  const sheets: Buffer[] = [];
  for (let start = 0; start < lines.length; start += linesOfSheet)
    sheets.push(await sheet(lines.slice(start, start + linesOfSheet)));
  const height = 2 * margin + lines.length * text.pitch;
  const composed = sheets.map((input, at) => ({
    input,
    left: 0,
    top: margin + at * linesOfSheet * text.pitch,
  }));
  return await sharp({ create: { width, height, channels: 3, background: "#ffffff" } })
    .composite(composed)
    .png({ compressionLevel: 3 })
    .toBuffer();
}

async function sheet(lines: readonly Line[]): Promise<Buffer> {
  const parts = lines.map(({ number, left, right }, at) => {
    const y = at * text.pitch;
    const rects = Tags.rects(number).map(
      ({ x, wide, color }) =>
        `<rect x="${margin + x}" y="${y + 4}" width="${wide}" height="${high}" fill="rgb(${color.join(",")})"/>`,
    );
    const said = (x: number, anchor: string, what: string) =>
      `<text x="${x}" y="${y + text.size - 1}" text-anchor="${anchor}">${what}</text>`;
    return `${rects.join("")}${said(text.left, "start", left)}${said(text.left + text.wide, "end", right)}`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${lines.length * text.pitch}"><rect width="100%" height="100%" fill="#fff"/><g font-family="monospace" font-size="${text.size}" fill="#222">${parts.join("")}</g></svg>`;
  return await sharp(Buffer.from(svg), { unlimited: true }).png().toBuffer();
}

const a4 = { width: 595, height: 842, top: 800, pitch: 17 };
/** Points for a pixel of the picture. */
const scale = 0.68;

/** A page of text and bars, nothing of it a picture. */
function pdfPage(lines: readonly Line[]): Page {
  const content = lines.map(({ number, left, right }, at) => {
    const y = a4.top - at * a4.pitch;
    const rects = Tags.rects(number).map(({ x, wide, color }) => {
      const levels = color.map((level) => (level / 255).toFixed(4));
      const [left, across, up] = [margin + 20 + x, wide, high].map((side) => (side * scale).toFixed(2));
      return `${levels.join(" ")} rg ${left} ${y} ${across} ${up} re f`;
    });
    const said = (x: number, what: string) => `BT 0 0 0 rg /F1 12 Tf ${x} ${y} Td (${inLatin(what)}) Tj ET`;
    // Helvetica's digits are 0.556 of its size wide, a point is half of that.
    const wideRight = 12 * [...right].reduce((sum, letter) => sum + (letter === "." ? 0.278 : 0.556), 0);
    return [...rects, said(250, left), right === "" ? "" : said(Math.round(540 - wideRight), right)].join(
      "\n",
    );
  });
  return {
    content: content.join("\n"),
    box: `0 0 ${a4.width} ${a4.height}`,
    resources:
      "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >>",
  };
}

const inLatin = (said: string) => said.replaceAll(/[()\\]/g, "\\$&").replaceAll("Ü", "\\334");

/** Pages that are one JPEG each. */
async function scans(parts: readonly Line[][]): Promise<Uint8Array> {
  const first = firstAfter(parts.length);
  const more = [];
  const list: Page[] = [];
  for (const [at, lines] of parts.entries()) {
    const { data, info } = await sharp(await picture(lines))
      .jpeg({ quality: 85 })
      .toBuffer({ resolveWithObject: true });
    const dict = `/Type /XObject /Subtype /Image /Width ${info.width} /Height ${info.height} /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode`;
    more.push({ dict, data });
    const [w, h] = [info.width * 0.72, info.height * 0.72];
    list.push(scanned(first + at, { matrix: `${w} 0 0 ${h} 0 0`, box: `0 0 ${w} ${h}` }));
  }
  return pages(list, { more });
}

import { foldsOf, type Paper, paperOf, type Random, random, tableOf, tone, worn } from "./receipts.ts";

/*
 * Sheets with several receipts, drawn by a script, for choosing and judging how they are found (#core/look/papers): at random
 * places, turned by any angle, of several sizes, on a table or on the white lid of a scanner.
 */

/** The background: a dark or patterned table, a bright plain one, or white like the paper. */
export type Ground = "table" | "bright" | "white";

export interface Sheet {
  bytes: Buffer;
  /** Corners of the printed part of each receipt, in pixels. */
  papers: Corner[][];
  width: number;
  height: number;
}

export interface Corner {
  x: number;
  y: number;
}

interface Placed {
  paper: Paper;
  x: number;
  y: number;
  /** Clockwise, in degrees. */
  turn: number;
}

export interface Wish {
  receipts: number;
  ground: Ground;
  fonts: readonly string[];
}

/** The same seed and wish give the same bytes. */
export async function drawSheet(seed: number, { receipts, ground, fonts }: Wish): Promise<Sheet> {
  const r = random(seed);
  const dim = ground === "bright" ? r.between(10, 30) : 0;
  const level = ground === "white" ? r.between(235, 252) : r.between(205, 250);
  const placed = placedOf(r, receipts, fonts);
  const all = placed.flatMap((each) => cornersOf(each, 0));
  const border = r.between(5, 80);
  const left = Math.min(...all.map(({ x }) => x)) - border;
  const top = Math.min(...all.map(({ y }) => y)) - border;
  const width = Math.ceil(Math.max(...all.map(({ x }) => x)) - left + border);
  const height = Math.ceil(Math.max(...all.map(({ y }) => y)) - top + border);
  const back =
    ground === "table"
      ? tableOf(r, width, height)
      : `<rect width="${width}" height="${height}" fill="${tone(r, level - dim)}"/>`;
  const papers = placed.map(({ paper, x, y, turn }) => {
    const edge = ground === "white" && r.chance(0.5) ? 0 : r.between(0.05, 0.4);
    const sheet = `<rect width="${paper.width}" height="${paper.height}" fill="${tone(r, level + (ground === "white" ? 0 : r.between(-10, 4)))}" stroke="#000" stroke-opacity="${edge.toFixed(2)}" stroke-width="2"/>`;
    return `<g transform="translate(${x - left} ${y - top}) rotate(${turn}) translate(${-paper.width / 2} ${-paper.height / 2})">${sheet}${foldsOf(r, paper)}${paper.svg}</g>`;
  });
  const shade = (r.between(0, 60) / 255).toFixed(3);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><defs><linearGradient id="s" gradientTransform="rotate(${r.whole(0, 359)} 0.5 0.5)"><stop offset="0" stop-color="#000" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity="${shade}"/></linearGradient></defs>${back}${papers.join("")}<rect width="${width}" height="${height}" fill="url(#s)"/></svg>`;
  return {
    bytes: await worn(r, Buffer.from(svg), 0.7),
    papers: placed.map((each) =>
      cornersOf(each, each.paper.margin).map(({ x, y }) => ({ x: x - left, y: y - top })),
    ),
    width,
    height,
  };
}

function placedOf(r: Random, receipts: number, fonts: readonly string[]): Placed[] {
  const font = r.between(11, 16);
  const family = r.one(fonts);
  const askew = r.chance(0.4);
  const papers = Array.from({ length: receipts }, () =>
    paperOf(r, { family, font: font * r.between(0.85, 1.2), ink: tone(r, r.between(10, 90)), most: 14 }),
  );
  const space = papers.reduce((sum, { width, height }) => sum + width * height, 0);
  const gap = font * r.between(0.8, 3);
  for (let spread = 1.7; ; spread *= 1.08) {
    const side = Math.sqrt(space * spread);
    const [across, down] = [side * r.between(0.8, 1.5), side];
    const placed: Placed[] = [];
    for (const paper of papers) {
      for (let n = 0; n < 60; n += 1) {
        const turn = askew ? r.between(0, 360) : r.one([0, 0, 0, 90, 180, 270]) + r.between(-8, 8);
        const each = { paper, turn, x: r.between(0, across), y: r.between(0, down) };
        const outside = cornersOf(each, -gap / 2);
        if (placed.some((other) => overlap(outside, cornersOf(other, -gap / 2)))) continue;
        placed.push(each);
        break;
      }
    }
    if (placed.length === papers.length) return placed;
  }
}

/** Corners of a receipt, less this much on each side. */
function cornersOf({ paper, x, y, turn }: Placed, inset: number): Corner[] {
  const [sin, cos] = [Math.sin((turn * Math.PI) / 180), Math.cos((turn * Math.PI) / 180)];
  const [w, h] = [paper.width / 2 - inset, paper.height / 2 - inset];
  return [
    [-w, -h],
    [w, -h],
    [w, h],
    [-w, h],
  ].map(([a = 0, b = 0]) => ({ x: x + a * cos - b * sin, y: y + a * sin + b * cos }));
}

/** Two rectangles overlap if no side of either separates them. */
function overlap(a: readonly Corner[], b: readonly Corner[]): boolean {
  const apart = (one: readonly Corner[], other: readonly Corner[]) =>
    one.some((from, at) => {
      const to = one[(at + 1) % one.length] as Corner;
      return other.every(({ x, y }) => (to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x) < 0);
    });
  return !apart(a, b) && !apart(b, a);
}

import type { Line, Page } from "./page.ts";

/** A recognized piece of text in straightened coordinates: rows of the paper are level. */
export interface Cell {
  text: string;
  confidence: number;
  left: number;
  right: number;
  /** Middle of the text. */
  y: number;
  height: number;
}

/** The segments of one printed row, from left to right. */
export interface Row {
  cells: Cell[];
  text: string;
  y: number;
  height: number;
}

/** PaddleOCR's own bar for a line of text: below it the recognizer guesses. */
const LOWEST_CONFIDENCE = 0.5;
/** A gap of this many text heights between two rows separates two pictures of one request. */
const PAGE_GAP = 20;
/** Only text this much longer than high shows the rotation of the paper. */
const TELLING_ASPECT = 3;

/** Groups the lines of all pages to rows, top to bottom, following tilt, perspective and curl of the paper. */
export function group(pages: Page[]): Row[] {
  let offset = 0;
  return pages.flatMap((page) => {
    const rows = groupPage(page).map((row) => shift(row, offset));
    const last = rows.at(-1);
    if (last) offset = last.y + last.height * PAGE_GAP;
    return rows;
  });
}

/**
 * Full-width forms become ASCII and the stray Chinese characters that a Chinese model sees in noise go.
 * Returns "" for a line of which nothing is left.
 */
export function clean(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/[。·•]/g, ".")
    .replace(/[′’‘`´]/g, "'")
    .replace(/[丨]/g, "|")
    .replace(/[—–一−]/g, "-")
    .replace(/[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u3000-\u30ff①-⓿]/gu, "")
    .replace(/\s+/g, " ")
    .trim();
}

function shift(row: Row, by: number): Row {
  return { ...row, y: row.y + by, cells: row.cells.map((cell) => ({ ...cell, y: cell.y + by })) };
}

interface Shape {
  x: number;
  y: number;
  slope: number;
  length: number;
  height: number;
}

function shapeOf({ points: [topLeft, topRight, bottomRight, bottomLeft] }: Line): Shape {
  const length = Math.hypot(topRight.x - topLeft.x, topRight.y - topLeft.y);
  const height = Math.hypot(bottomLeft.x - topLeft.x, bottomLeft.y - topLeft.y);
  const rise = (topRight.y - topLeft.y + bottomRight.y - bottomLeft.y) / 2;
  const run = (topRight.x - topLeft.x + bottomRight.x - bottomLeft.x) / 2;
  return {
    x: (topLeft.x + topRight.x + bottomRight.x + bottomLeft.x) / 4,
    y: (topLeft.y + topRight.y + bottomRight.y + bottomLeft.y) / 4,
    slope: run > 0 ? rise / run : 0,
    length,
    height: Math.max(1, height),
  };
}

function groupPage(page: Page): Row[] {
  const shapes = page.lines.map(shapeOf);
  const slopeAt = fitSlope(shapes);
  const middle = page.width / 2;
  const cells = page.lines.flatMap((line, index) => {
    const text = clean(line.text);
    const shape = shapes[index];
    if (!shape || text === "" || line.confidence < LOWEST_CONFIDENCE) return [];
    // The slope belongs to the height that the row has in the middle of the paper: two steps suffice.
    let level = shape.y;
    for (let step = 0; step < 2; step++) level = shape.y - slopeAt(level) * (shape.x - middle);
    return [
      {
        text,
        confidence: line.confidence,
        left: shape.x - shape.length / 2,
        right: shape.x + shape.length / 2,
        y: level,
        height: shape.height,
      },
    ];
  });
  return toRows(cells);
}

/**
 * Slope of the text as a straight function of its height on the paper (perspective changes it), by weighted
 * least squares over long lines, once more without the lines that fit badly.
 */
function fitSlope(shapes: Shape[]): (y: number) => number {
  let telling = shapes.filter((shape) => shape.length > TELLING_ASPECT * shape.height);
  let fit = (_y: number) => 0;
  for (let round = 0; round < 3 && telling.length > 0; round++) {
    fit = leastSquares(telling);
    const current = fit;
    const errors = telling.map((shape) => Math.abs(shape.slope - current(shape.y)));
    const bound = Math.max(0.01, 2.5 * median(errors));
    telling = telling.filter((_, index) => (errors[index] ?? 0) <= bound);
  }
  return fit;
}

function leastSquares(shapes: Shape[]): (y: number) => number {
  let weights = 0;
  let sumY = 0;
  let sumSlope = 0;
  for (const { y, slope, length } of shapes) {
    weights += length;
    sumY += length * y;
    sumSlope += length * slope;
  }
  const meanY = sumY / weights;
  const meanSlope = sumSlope / weights;
  let variance = 0;
  let covariance = 0;
  for (const { y, slope, length } of shapes) {
    variance += length * (y - meanY) ** 2;
    covariance += length * (y - meanY) * (slope - meanSlope);
  }
  // Few lines show the rotation of the paper, but not its curvature.
  const bend = shapes.length >= 5 && variance > 0 ? covariance / variance : 0;
  return (y) => meanSlope + bend * (y - meanY);
}

function toRows(cells: Cell[]): Row[] {
  const rows: Row[] = [];
  for (const cell of [...cells].sort((a, b) => a.y - b.y)) {
    const near = rows
      .slice(-4)
      .filter((row) => belongs(cell, row))
      .sort((a, b) => Math.abs(a.y - cell.y) - Math.abs(b.y - cell.y))[0];
    if (near) {
      near.cells.push(cell);
      near.y = near.cells.reduce((sum, each) => sum + each.y, 0) / near.cells.length;
      near.height = median(near.cells.map((each) => each.height));
    } else {
      rows.push({ cells: [cell], text: "", y: cell.y, height: cell.height });
    }
  }
  for (const row of rows) {
    row.cells.sort((a, b) => a.left - b.left);
    row.text = row.cells.map((cell) => cell.text).join(" ");
  }
  return rows.sort((a, b) => a.y - b.y);
}

function belongs(cell: Cell, row: Row): boolean {
  const overlaps = row.cells.some(
    (other) =>
      Math.min(cell.right, other.right) - Math.max(cell.left, other.left) >
      0.4 * Math.min(cell.right - cell.left, other.right - other.left),
  );
  if (overlaps) return false;
  const distance = Math.abs(cell.y - row.y);
  const small = Math.min(cell.height, row.height);
  const large = Math.max(cell.height, row.height);
  // Large and small print on one row share a base line, not a middle.
  const overlap = (cell.height + row.height) / 2 - distance;
  return distance <= 0.5 * small || (overlap >= 0.6 * small && distance <= 0.35 * large);
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

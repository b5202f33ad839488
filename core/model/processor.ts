/**
 * How a model's picture processor turns a picture into tokens, as data. Each kind has its own arithmetic:
 * - `patches`: both sides rounded to whole patches, half to even; a token for each (Qwen, GLM).
 * - `rows`: whole patches, rounded up, and one more token at the end of each row (Mistral).
 * - `grid`: the picture is stretched over the grid of tiles whose shape is nearest to its own, with one small copy of the
 *   whole beside them: its size in pixels hardly matters (InternVL).
 * - `slices`: one small copy of the whole, and as many slices as the picture has pixels for (MiniCPM-V).
 * - `fixed`: every picture takes the same number, or nearly so (Gemma).
 */
export type Processor =
  | { kind: "patches"; side: number; minPixels: number; maxPixels: number }
  | { kind: "rows"; side: number; longestSide: number }
  | { kind: "grid"; tile: number; tokensPerTile: number; mostTiles: number }
  | { kind: "slices"; slice: number; tokensPerSlice: number; mostSlices: number }
  | { kind: "fixed"; tokens: number; pixels: number };

/** The pixels that a receipt needs to be legible: a megapixel. */
const legiblePixels = 1024 * 1024;
/** The side, in pixels, of the smallest square that counts as a picture. */
const tinySide = 32;

/** Tokens of one picture of `width` × `height` pixels. */
export function tokens(processor: Processor, width: number, height: number): number {
  switch (processor.kind) {
    case "patches":
      return patchTokens(processor, width, height);
    case "rows": {
      const reduce = Math.max(1, width / processor.longestSide, height / processor.longestSide);
      const patches = (pixels: number) =>
        Math.ceil(Math.max(1, Math.floor(pixels / reduce)) / processor.side);
      return (patches(width) + 1) * patches(height);
    }
    case "grid": {
      const tiles = tilesOf(processor, width, height);
      return (tiles === 1 ? 1 : tiles + 1) * processor.tokensPerTile;
    }
    case "slices": {
      const slices = Math.min(processor.mostSlices, Math.ceil((width * height) / processor.slice ** 2));
      return (slices <= 1 ? 1 : slices + 1) * processor.tokensPerSlice;
    }
    case "fixed":
      return processor.tokens;
  }
}

/** The most pixels that the processor uses. */
export function mostPixels(processor: Processor): number {
  switch (processor.kind) {
    case "patches":
      return processor.maxPixels;
    case "rows":
      return processor.longestSide ** 2;
    case "grid":
      return processor.mostTiles * processor.tile ** 2;
    case "slices":
      return processor.mostSlices * processor.slice ** 2;
    case "fixed":
      return processor.pixels;
  }
}

/**
 * The pixels of a picture that takes at most `most` tokens. If the tokens do not depend on the pixels, the most that
 * the processor uses.
 */
export function pixelsFor(processor: Processor, most: number): number {
  switch (processor.kind) {
    case "patches":
      return Math.min(processor.maxPixels, most * processor.side ** 2);
    case "rows": {
      // Each row of patches ends with one more token; the share is that of a picture three times as high as wide.
      const share = 1 - 1 / (1 + Math.sqrt(Math.max(1, most) / 3));
      return Math.min(processor.longestSide ** 2, Math.floor(most * share) * processor.side ** 2);
    }
    case "slices": {
      const slices = Math.floor(most / processor.tokensPerSlice) - 1;
      return Math.min(processor.mostSlices, Math.max(1, slices)) * processor.slice ** 2;
    }
    case "grid":
    case "fixed":
      return mostPixels(processor);
  }
}

/** The sizes in tokens that divide a context among text, pictures and answer. */
export interface Bounds {
  /** With less room than this, no picture fits. */
  least: number;
  /** The answer leaves the picture at least this many tokens, if possible. */
  legible: number;
  /** The most tokens that a picture takes. */
  most: number;
}

/** Bounds of a picture of any shape. */
export function bounds(processor: Processor): Bounds {
  switch (processor.kind) {
    case "patches": {
      // The smallest picture is enlarged, and both of its sides are rounded up: a strip takes up to twice as many.
      const least = 2 * Math.ceil(processor.minPixels / processor.side ** 2);
      return {
        least: Math.max(8, least),
        legible: Math.floor(legiblePixels / processor.side ** 2),
        most: Math.floor(processor.maxPixels / processor.side ** 2),
      };
    }
    case "rows": {
      const side = Math.sqrt(legiblePixels);
      return {
        least: 64,
        legible: tokens(processor, side, side),
        most: tokens(processor, processor.longestSide, processor.longestSide),
      };
    }
    case "grid": {
      const most = (processor.mostTiles + 1) * processor.tokensPerTile;
      return { least: most, legible: most, most };
    }
    case "slices": {
      const side = Math.sqrt(legiblePixels);
      return {
        least: tokens(processor, tinySide, tinySide),
        legible: tokens(processor, side, side),
        most: (processor.mostSlices + 1) * processor.tokensPerSlice,
      };
    }
    case "fixed":
      return { least: processor.tokens, legible: processor.tokens, most: processor.tokens };
  }
}

function patchTokens(
  { side, minPixels, maxPixels }: Processor & { kind: "patches" },
  width: number,
  height: number,
): number {
  const area = side * side;
  const columns = halfToEven(width / side);
  const rows = halfToEven(height / side);
  if (columns * rows * area > maxPixels) {
    const reduce = Math.sqrt((height * width) / maxPixels);
    const down = (pixels: number) => Math.max(1, Math.floor(pixels / reduce / side));
    return down(width) * down(height);
  }
  if (columns * rows * area < minPixels) {
    const enlarge = Math.sqrt(minPixels / (height * width));
    const up = (pixels: number) => Math.ceil((pixels * enlarge) / side);
    return up(width) * up(height);
  }
  return columns * rows;
}

/** Python's `round`: 22.5 is 22, 23.5 is 24. */
export function halfToEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** Tiles of the grid whose shape is nearest; of two equally near ones the larger, if the picture fills half of it. */
function tilesOf({ tile, mostTiles }: Processor & { kind: "grid" }, width: number, height: number): number {
  const shapes: { columns: number; rows: number }[] = [];
  for (let columns = 1; columns <= mostTiles; columns++) {
    for (let rows = 1; columns * rows <= mostTiles; rows++) shapes.push({ columns, rows });
  }
  shapes.sort((a, b) => a.columns * a.rows - b.columns * b.rows || a.columns - b.columns);
  let best = { tiles: 1, away: Number.POSITIVE_INFINITY };
  for (const { columns, rows } of shapes) {
    const away = Math.abs(width / height - columns / rows);
    const tiles = columns * rows;
    const isFilled = width * height > 0.5 * tile * tile * tiles;
    if (away < best.away || (away === best.away && isFilled)) best = { tiles, away };
  }
  return best.tiles;
}

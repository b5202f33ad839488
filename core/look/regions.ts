import type { Grey } from "./grey.ts";
import { type Ink, lineMark, type Mark, type Runs } from "./ink.ts";

/*
 * Bright regions of a picture at every level of grey at once: a tree whose nodes are the connected pieces of what is at least
 * so bright (the max-tree of P. Salembier, A. Oliveras and L. Garrido, "Antiextensive connected operators for image and
 * sequence processing", 1998).
 */

/** Pixels of a side of the cells that regions consist of. */
const cell = 4;

export interface Node {
  /** The cell that stands for the region. */
  at: number;
  level: number;
  /** The number of marks in it. */
  text: number;
  /** Sum over its marks of the level of the paper around them. */
  paper: number;
  children: Node[];
}

interface Tree {
  root: Node;
  width: number;
  /** For each cell: the cell of the next larger region; at the root, itself. */
  parents: Int32Array;
}

interface Cells {
  width: number;
  height: number;
  levels: Uint8Array;
}

/** Means of cells. */
function cellsOf({ width: across, height: down, data }: Grey): Cells {
  const [width, height] = [Math.ceil(across / cell), Math.ceil(down / cell)];
  const levels = new Uint8Array(width * height);
  const sums = new Uint32Array(width);
  for (let row = 0; row < height; row += 1) {
    sums.fill(0);
    const rows = Math.min(cell, down - row * cell);
    for (let y = row * cell; y < row * cell + rows; y += 1)
      for (let x = 0, at = y * across; x < across; x += 1, at += 1)
        sums[x >> 2] = (sums[x >> 2] as number) + (data[at] as number);
    for (let x = 0; x < width; x += 1) {
      const columns = Math.min(cell, across - x * cell);
      levels[row * width + x] = (sums[x] as number) / (rows * columns);
    }
  }
  return { width, height, levels };
}

/** Raises cells under a mark to the brightest level around it, so that letters are no holes in the paper. @returns that level. */
function cover(
  { width, height, levels }: Cells,
  { left, right, top, bottom }: Mark,
  means: Uint8Array,
): number {
  const [x0, x1] = [Math.max(0, (left >> 2) - 1), Math.min(width - 1, (right >> 2) + 1)];
  const [y0, y1] = [Math.max(0, (top >> 2) - 1), Math.min(height - 1, (bottom >> 2) + 1)];
  let brightest = 0;
  for (let y = y0; y <= y1; y += 1)
    for (let at = y * width + x0; at <= y * width + x1; at += 1)
      if ((means[at] as number) > brightest) brightest = means[at] as number;
  for (let y = top >> 2; y <= bottom >> 2; y += 1)
    for (let at = y * width + (left >> 2); at <= y * width + (right >> 2); at += 1)
      if ((levels[at] as number) < brightest) levels[at] = brightest;
  return brightest;
}

/** A line is thinner than a cell and would be lost in its mean. */
function drawLines({ width, levels }: Cells, grey: Grey, { mark, x0, x1, y, count }: Runs): void {
  for (let run = 0; run < count; run += 1) {
    if (mark[run] !== lineMark) continue;
    const row = y[run] as number;
    for (let x = x0[run] as number; x <= (x1[run] as number); x += 1) {
      const at = (row >> 2) * width + (x >> 2);
      const level = grey.data[row * grey.width + x] as number;
      if (level < (levels[at] as number)) levels[at] = level;
    }
  }
}

/** Cells from the darkest to the brightest. */
function sorted(levels: Uint8Array): Uint32Array {
  const starts = new Uint32Array(257);
  for (const level of levels) starts[level + 1] = (starts[level + 1] as number) + 1;
  for (let level = 0; level < 256; level += 1)
    starts[level + 1] = (starts[level + 1] as number) + (starts[level] as number);
  const order = new Uint32Array(levels.length);
  for (let at = 0; at < levels.length; at += 1) {
    const level = levels[at] as number;
    order[starts[level] as number] = at;
    starts[level] = (starts[level] as number) + 1;
  }
  return order;
}

/** Each cell's parent; that of a region's cell is the cell of the region around it. */
function parentsOf({ width, height, levels }: Cells, order: Uint32Array): Int32Array {
  const parents = new Int32Array(levels.length);
  const roots = new Int32Array(levels.length).fill(-1);
  const root = (of: number): number => {
    let at = of;
    while (roots[at] !== at) {
      roots[at] = roots[roots[at] as number] as number;
      at = roots[at] as number;
    }
    return at;
  };
  const join = (at: number, beside: number) => {
    if (roots[beside] === -1) return;
    const found = root(beside);
    roots[found] = at;
    parents[found] = at;
  };
  for (let n = order.length - 1; n >= 0; n -= 1) {
    const at = order[n] as number;
    parents[at] = at;
    roots[at] = at;
    const x = at % width;
    if (x > 0) join(at, at - 1);
    if (x < width - 1) join(at, at + 1);
    if (at >= width) join(at, at - width);
    if (at < width * (height - 1)) join(at, at + width);
  }
  for (const at of order) {
    const parent = parents[at] as number;
    if (levels[parents[parent] as number] === levels[parent]) parents[at] = parents[parent] as number;
  }
  return parents;
}

/** The tree of regions that hold at least `leastText` marks; undefined where the picture has fewer. */
export function treeOf(grey: Grey, { marks, runs }: Ink, leastText: number): Tree | undefined {
  const cells = cellsOf(grey);
  const { width, levels } = cells;
  const means = levels.slice();
  const text = new Uint16Array(levels.length);
  const paper = new Float64Array(levels.length);
  for (const mark of marks) {
    const middle = ((mark.top + mark.bottom) >> 3) * width + ((mark.left + mark.right) >> 3);
    text[middle] = (text[middle] as number) + 1;
    paper[middle] = (paper[middle] as number) + cover(cells, mark, means);
  }
  drawLines(cells, grey, runs);
  const order = sorted(levels);
  const parents = parentsOf(cells, order);
  for (let n = order.length - 1; n >= 0; n -= 1) {
    const at = order[n] as number;
    const to = parents[at] as number;
    if (to === at) continue;
    text[to] = (text[to] as number) + (text[at] as number);
    paper[to] = (paper[to] as number) + (paper[at] as number);
  }
  const nodes = new Map<number, Node>();
  let root: Node | undefined;
  for (const at of order) {
    const parent = parents[at] as number;
    if ((parent !== at && levels[parent] === levels[at]) || (text[at] as number) < leastText) continue;
    const node = {
      at,
      level: levels[at] as number,
      text: text[at] as number,
      paper: paper[at] as number,
      children: [],
    };
    nodes.set(at, node);
    if (parent === at) root = node;
    else nodes.get(parent)?.children.push(node);
  }
  return root === undefined ? undefined : { root, width, parents };
}

/** For each mark the number of the node that it lies in; undefined for none of them. */
export function regionOfMarks(
  { root, width, parents }: Tree,
  nodes: readonly Node[],
  marks: readonly Mark[],
): (number | undefined)[] {
  if (nodes.length === 1 && nodes[0] === root) return marks.map(() => 0);
  const numbers = new Map(nodes.map(({ at }, n) => [at, n]));
  return marks.map((mark) => {
    let at = ((mark.top + mark.bottom) >> 3) * width + ((mark.left + mark.right) >> 3);
    while (!numbers.has(at) && parents[at] !== at) at = parents[at] as number;
    return numbers.get(at);
  });
}

import * as Distance from "#core/evaluation/compare/distance";

/*
 * The edit distance of ordered trees by K. Zhang and D. Shasha (Simple Fast Algorithms for the Editing Distance between
 * Trees and Related Problems, SIAM Journal on Computing 18, 1989), with the costs of Donut's evaluator.
 */

export interface Node {
  label: string;
  /** The text of a leaf; null for an inner node, which has a label instead. */
  text: string | null;
  children: readonly Node[];
}

/** Precomputed properties of a tree: nodes in postorder, numbered from 0. */
interface Tree {
  /** The number of a node's text among all texts of both trees; −1 for inner nodes. */
  texts: Int32Array;
  labels: readonly string[];
  /** The cost of inserting or deleting a node: characters of a leaf's text, 1 for an inner node. */
  costs: Int32Array;
  /** The leftmost leaf below a node. */
  leftmost: Int32Array;
  /** Nodes with a left sibling, and the root: their forest distances are not part of another's. */
  keyroots: readonly number[];
}

/** Numbers texts, so that equality is a comparison of numbers and each pair's distance is computed once. */
interface Texts {
  numbers: Map<string, number>;
  all: string[];
}

export const texts = (): Texts => ({ numbers: new Map(), all: [] });

export function treeOf(root: Node, { numbers, all }: Texts): Tree {
  const found: { node: Node; leftmost: number }[] = [];
  const walk = (node: Node): number => {
    let first = -1;
    for (const child of node.children) {
      const leftmost = walk(child);
      if (first < 0) first = leftmost;
    }
    const leftmost = first < 0 ? found.length : first;
    found.push({ node, leftmost });
    return leftmost;
  };
  walk(root);
  const numberOf = (text: string): number => {
    const number = numbers.get(text) ?? all.push(text) - 1;
    numbers.set(text, number);
    return number;
  };
  const last = new Map<number, number>();
  found.forEach(({ leftmost }, i) => {
    last.set(leftmost, i);
  });
  return {
    texts: Int32Array.from(found, ({ node }) => (node.text === null ? -1 : numberOf(node.text))),
    labels: found.map(({ node }) => node.label),
    costs: Int32Array.from(found, ({ node }) => (node.text === null ? 1 : Distance.length(node.text))),
    leftmost: Int32Array.from(found, ({ leftmost }) => leftmost),
    keyroots: [...last.values()].sort((a, b) => a - b),
  };
}

/** The sum of all costs except the root's: the distance to a tree that is only a root. */
export const sizeOf = ({ costs }: Tree): number =>
  costs.subarray(0, costs.length - 1).reduce((sum, cost) => sum + cost, 0);

/** The distance of two trees whose texts were numbered together. */
export function distance(a: Tree, b: Tree, { all }: Texts): number {
  const [rows, columns] = [a.labels.length, b.labels.length];
  const updates = updateCosts(a, b, all);
  /** Distances of the subtrees below each pair of nodes. */
  const trees = new Int32Array(rows * columns);
  const forest = new Int32Array((rows + 1) * (columns + 1));
  for (const i of a.keyroots) for (const j of b.keyroots) keyroot({ a, b, updates, trees, forest }, i, j);
  return trees[rows * columns - 1] ?? 0;
}

interface Work {
  a: Tree;
  b: Tree;
  updates: Int32Array;
  trees: Int32Array;
  forest: Int32Array;
}

/** Computes the distances of all subtrees whose leftmost leaves are those of this pair of keyroots. */
function keyroot({ a, b, updates, trees, forest }: Work, i: number, j: number): void {
  const columns = b.costs.length;
  const [left, top] = [a.leftmost[i] as number, b.leftmost[j] as number];
  const width = j - top + 2;
  forest[0] = 0;
  for (let y = top; y <= j; y += 1)
    forest[y - top + 1] = (forest[y - top] as number) + (b.costs[y] as number);
  for (let x = left; x <= i; x += 1) {
    const row = (x - left + 1) * width;
    const cost = a.costs[x] as number;
    const whole = a.leftmost[x] === left;
    const before = ((a.leftmost[x] as number) - left) * width;
    forest[row] = (forest[row - width] as number) + cost;
    for (let y = top; y <= j; y += 1) {
      const at = row + y - top + 1;
      const removed = (forest[at - width] as number) + cost;
      const inserted = (forest[at - 1] as number) + (b.costs[y] as number);
      const both = whole && b.leftmost[y] === top;
      const kept = both
        ? (forest[at - width - 1] as number) + (updates[x * columns + y] as number)
        : (forest[before + (b.leftmost[y] as number) - top] as number) + (trees[x * columns + y] as number);
      const least = Math.min(removed, inserted, kept);
      forest[at] = least;
      if (both) trees[x * columns + y] = least;
    }
  }
}

/**
 * The cost of replacing one node by another: two leaves, the Levenshtein distance of their texts; a leaf and an inner
 * node, 1 plus the leaf's length; two inner nodes, 0 or 1.
 */
function updateCosts(a: Tree, b: Tree, all: readonly string[]): Int32Array {
  const columns = b.labels.length;
  const costs = new Int32Array(a.labels.length * columns);
  const known = new Map<number, number>();
  const between = (x: number, y: number): number => {
    if (x === y) return 0;
    const key = x < y ? x * all.length + y : y * all.length + x;
    const before = known.get(key);
    if (before !== undefined) return before;
    const found = Distance.levenshtein(all[x] ?? "", all[y] ?? "");
    known.set(key, found);
    return found;
  };
  for (let x = 0; x < a.labels.length; x += 1)
    for (let y = 0; y < columns; y += 1) {
      const [first, second] = [a.texts[x] as number, b.texts[y] as number];
      const leaves = Number(first >= 0) + Number(second >= 0);
      if (leaves === 2) costs[x * columns + y] = between(first, second);
      else if (leaves === 0) costs[x * columns + y] = a.labels[x] === b.labels[y] ? 0 : 1;
      else costs[x * columns + y] = 1 + ((first >= 0 ? a.costs[x] : b.costs[y]) as number);
    }
  return costs;
}

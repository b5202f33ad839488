import * as Tree from "./tree.ts";

/*
 * Donut's figures (G. Kim and others, OCR-free Document Understanding Transformer, ECCV 2022), defined as its authors'
 * evaluator computes them: `JSONParseEvaluator` of donut-python 1.0.9 (github.com/clovaai/donut, donut/util.py of commit
 * 4cfcf972560e1a0f26eb3e294c8fc88a0d336626). Its quirks are kept.
 */

/** A normalized document: groups, lists of groups or of texts. */
type Normal = string | Normal[] | Map<string, Normal>;

/** The white space of Python's `str.strip`, which differs from JavaScript's. */
const blank = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const around = new RegExp(`^${blank}|${blank}$`, "g");
const strip = (text: string): string => text.replace(around, "");

/** Python's spelling of true and false; numbers as JSON writes them. */
function printed(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}

/** Sorts by length, then by code points, both as Python counts them. */
function byKey(a: string, b: string): number {
  const [x, y] = [Array.from(a), Array.from(b)];
  if (x.length !== y.length) return x.length - y.length;
  for (let i = 0; i < x.length; i += 1) {
    const order = (x[i]?.codePointAt(0) ?? 0) - (y[i]?.codePointAt(0) ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** True for values that are false in Python: also 0, false, "" and empty containers. */
function isNothing(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isGroup(value)) return Object.keys(value).length === 0;
  return !value;
}

const isEmpty = (value: Normal): boolean => (value instanceof Map ? value.size === 0 : value.length === 0);

/** Scalars become lists of one text, empty values are removed, keys are sorted; the order of lists is kept. */
function normalize(value: unknown): Normal {
  if (isNothing(value)) return new Map();
  if (isGroup(value)) {
    const group = new Map<string, Normal>();
    for (const key of Object.keys(value).sort(byKey)) {
      const member = normalize(value[key]);
      if (!isEmpty(member)) group.set(key, Array.isArray(member) ? member : [member]);
    }
    return group;
  }
  if (!Array.isArray(value)) return [strip(printed(value as string))];
  if (value.every(isGroup)) return value.map(normalize).filter((item) => !isEmpty(item));
  return value
    .filter((item): item is string | number => typeof item === "string" || typeof item === "number")
    .map((item) => strip(printed(item)))
    .filter((item) => item !== "");
}

const mark = "<leaf>";

/** As in the original, a name that contains the leaf mark turns an inner node into a leaf. */
function node(label: string, children: readonly Tree.Node[]): Tree.Node {
  return { label, text: label.includes(mark) ? label.replaceAll(mark, "") : null, children };
}

function build(value: Normal, name: string): Tree.Node {
  if (value instanceof Map)
    return node(
      name,
      [...value].map(([key, member]) => build(member, key)),
    );
  if (!Array.isArray(value)) throw new TypeError("a text stands only in a list");
  const groups = value.every((item) => item instanceof Map);
  return node(
    name,
    value.map((item) => (groups ? build(item, "<subtree>") : node(`${mark}${String(item)}`, []))),
  );
}

const maxProduct = 9_000_000;

/**
 * Tree-edit accuracy of one document: `max(0, 1 − TED(prediction, truth)/TED(nothing, truth))`. If the truth is empty,
 * where the published evaluator divides by zero: 1 for an empty prediction, else 0. Null if the product of the tree
 * sizes is over nine million, as for two lists of 330 rows, which would take seconds and a gigabyte.
 */
export function accuracy(prediction: unknown, truth: unknown): number | null {
  const texts = Tree.texts();
  const [a, b] = [prediction, truth].map((each) => Tree.treeOf(build(normalize(each), "<root>"), texts));
  if (a === undefined || b === undefined) return 0;
  if (a.labels.length * b.labels.length > maxProduct) return null;
  const size = Tree.sizeOf(b);
  const distance = Tree.distance(a, b, texts);
  if (size === 0) return distance === 0 ? 1 : 0;
  return Math.max(0, 1 - distance / size);
}

/** The counters of F1, summed over documents: right values, and values of either side without a partner. */
export interface Counts {
  matched: number;
  unmatched: number;
}

/** Counters of one document: two values are equal if their texts and their paths without positions are. */
export function counts(prediction: unknown, truth: unknown): Counts {
  const left = new Map<string, number>();
  let total = 0;
  for (const leaf of leaves(normalize(truth), "")) {
    left.set(leaf, (left.get(leaf) ?? 0) + 1);
    total += 1;
  }
  let matched = 0;
  let given = 0;
  for (const leaf of leaves(normalize(prediction), "")) {
    given += 1;
    const there = left.get(leaf) ?? 0;
    if (there === 0) continue;
    matched += 1;
    left.set(leaf, there - 1);
  }
  return { matched, unmatched: given + total - 2 * matched };
}

/** F1 over all documents: matched/(matched + unmatched/2); null if there are no values at all. */
export function f1({ matched, unmatched }: Counts): number | null {
  return matched + unmatched === 0 ? null : matched / (matched + unmatched / 2);
}

function* leaves(value: Normal, path: string): Generator<string> {
  if (value instanceof Map)
    for (const [key, member] of value) yield* leaves(member, path === "" ? key : `${path}.${key}`);
  else if (Array.isArray(value)) for (const item of value) yield* leaves(item, path);
  else yield `${path}\0${value}`;
}

import { munkres } from "munkres";
import * as WrittenDate from "./written-date.ts";

/*
 * ExtractBench's value F1 (arXiv 2607.29677), defined as its authors' evaluator computes it: `extract_unified_value_f1`
 * of github.com/run-llama/ExtractBench, commit 0aa76ce60f6c7ad6cbac2b157200f8585722c1b2, file
 * unified_evidence_metric.py. Its options per field (alternate evidence, normalizers, thresholds for `description` and
 * `court`) are not supported: every cell is compared by equality.
 */

type Json = unknown;
type Group = Record<string, Json>;

interface Counts {
  correct: number;
  expected: number;
  predicted: number;
}

const isGroup = (value: Json): value is Group =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const own = (group: Json, name: string): Json =>
  isGroup(group) && Object.hasOwn(group, name) ? (group[name] ?? null) : null;

/** Converts dates in every text to ISO's form, at any depth. */
function withDates(value: Json): Json {
  if (typeof value === "string") return WrittenDate.normalize(value);
  if (Array.isArray(value)) return value.map(withDates);
  if (isGroup(value)) return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withDates(v)]));
  return value;
}

/** A key that is the same for equal values: white space within texts collapses to one space, and members are sorted. */
function keyOf(value: Json): string {
  return typeof value === "string" ? `s${value.replace(/\s+/g, " ").trim()}` : `v${exactKey(value)}`;
}

/** The key of a cell that is a group or a list: its texts are compared unchanged; true equals 1, as in Python. */
function exactKey(value: Json): string {
  if (typeof value === "boolean") return String(Number(value));
  if (Array.isArray(value)) return `[${value.map(exactKey).join(",")}]`;
  if (!isGroup(value)) return JSON.stringify(value ?? null);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${exactKey(value[name])}`).join(",")}}`;
}

/**
 * Counters of one document. Every top-level field is one cell, also a group. In a list, every column of a row is one,
 * and rows are paired so that the fewest cells differ. Cells that are null on both sides are right and count on both
 * sides.
 * @param columns - the fields of a list's rows, for a list whose truth has no rows.
 */
export function counts(prediction: Json, truth: Json, columns: (field: string) => readonly string[]): Counts {
  const found: Counts = { correct: 0, expected: 0, predicted: 0 };
  const [actual, expected] = [withDates(prediction), withDates(truth)];
  if (!isGroup(expected)) return found;
  const names = new Set([...Object.keys(expected), ...(isGroup(actual) ? Object.keys(actual) : [])]);
  for (const name of [...names].sort()) {
    const [there, given] = [own(expected, name), own(actual, name)];
    if (Array.isArray(there)) {
      countRows(there, Array.isArray(given) ? given : [], columns(name), found);
      continue;
    }
    found.expected += 1;
    found.predicted += 1;
    if (keyOf(there) === keyOf(given)) found.correct += 1;
  }
  return found;
}

/** Lists of groups within rows are paired within their paired rows; any other value in a row is one cell. */
function countRows(expected: Json[], actual: Json[], known: readonly string[], found: Counts): void {
  const columns = new Set(expected.flatMap((row) => (isGroup(row) ? Object.keys(row) : [])));
  const all = columns.size > 0 ? [...columns].sort() : known;
  const nested = all.filter((name) =>
    expected.some((row) => {
      const value = own(row, name);
      return Array.isArray(value) && isGroup(value[0]);
    }),
  );
  const cells = all.filter((name) => !nested.includes(name));
  found.expected += expected.length * cells.length;
  found.predicted += actual.length * cells.length;
  const keys = (rows: Json[]) =>
    rows.map((row) => (cells.length > 0 ? cells : all).map((name) => keyOf(own(row, name))));
  const [there, given] = [keys(expected), keys(actual)];
  const paired = new Map<number, number>();
  if (there.length > 0 && given.length > 0) {
    const differ = there.map((row) =>
      given.map((other) => row.reduce((sum, key, i) => sum + Number(key !== other[i]), 0)),
    );
    for (const [i, j] of munkres(differ)) paired.set(i, j);
    if (cells.length > 0)
      for (const [i, j] of paired) found.correct += cells.length - (differ[i]?.[j] ?? cells.length);
  }
  const listOf = (row: Json, name: string): Json[] => {
    const value = own(row, name);
    return Array.isArray(value) ? value : [];
  };
  const partners = new Set(paired.values());
  for (const name of nested) {
    expected.forEach((row, i) => {
      const partner = paired.get(i);
      countRows(listOf(row, name), partner === undefined ? [] : listOf(actual[partner], name), [], found);
    });
    actual.forEach((row, j) => {
      if (!partners.has(j)) found.predicted += leavesOf(own(row, name));
    });
  }
}

/** Number of cells of a list of groups without a partner. */
function leavesOf(value: Json): number {
  if (!Array.isArray(value) || !value.some(isGroup)) return 1;
  const columns = new Set(value.flatMap((row) => (isGroup(row) ? Object.keys(row) : [])));
  return value.reduce<number>(
    (sum, row) => sum + [...columns].reduce((cells, name) => cells + leavesOf(own(row, name)), 0),
    0,
  );
}

/**
 * F1 of one document; null if it has no cell. A run's figure is the mean over documents; a failed document counts as 0.
 */
export function f1({ correct, expected, predicted }: Counts): number | null {
  return expected + predicted === 0 ? null : (2 * correct) / (expected + predicted);
}

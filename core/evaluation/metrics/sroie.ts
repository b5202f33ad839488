import type { Field } from "#core/canonical/normalize";
import { f1Of, ratio } from "#core/evaluation/compare/outcome";

/*
 * The figures of SROIE's task 3, key information extraction (Z. Huang and others, ICDAR2019 Competition on Scanned
 * Receipt OCR and Information Extraction, arXiv 2103.10213, and the competition's page rrc.cvc.uab.es/?ch=13). A value
 * is right if its category and its text are; P is over all extracted values, R over all labeled ones.
 */

/** The four categories, with the paths that a task may use for each. */
const places: readonly (readonly [string, readonly string[]])[] = [
  ["company", ["company", "merchant.name"]],
  ["date", ["date"]],
  ["address", ["address", "merchant.address"]],
  ["total", ["total", "totals.total"]],
];

/** The paths of the four categories in a task; null if it lacks one, because then the figure is not defined. */
export function pathsOf(fields: readonly Field[]): readonly string[] | null {
  const there = new Set(fields.map(({ path }) => path));
  const found = places.flatMap(([, paths]) => paths.find((path) => there.has(path)) ?? []);
  return found.length === places.length ? found : null;
}

export interface Counts {
  matched: number;
  predicted: number;
  expected: number;
}

/**
 * Counters of one document: values by path, null for none. A category that is not labeled is left out on both sides.
 */
export function counts(
  paths: readonly string[],
  at: (path: string) => { labelled: boolean; expected: string | null; predicted: string | null },
): Counts {
  const found: Counts = { matched: 0, predicted: 0, expected: 0 };
  for (const path of paths) {
    const { labelled, expected, predicted } = at(path);
    if (!labelled) continue;
    if (expected !== null) found.expected += 1;
    if (predicted !== null) found.predicted += 1;
    if (expected !== null && expected === predicted) found.matched += 1;
  }
  return found;
}

export function rates({ matched, predicted, expected }: Counts) {
  return {
    precision: ratio(matched, predicted),
    recall: ratio(matched, expected),
    f1: f1Of(matched, predicted, expected),
  };
}

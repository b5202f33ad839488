import * as Normalize from "#core/canonical/normalize";
import type { Labelled, Scalar } from "#core/ground-truth/record";
import type { Layout } from "./layout.ts";
import * as Sheet from "./sheet.ts";

/*
 * Whether two values are the same: as they are printed, and as they are meant.
 */

/** How printed values are compared: with the blanks around them, or without. */
export type StrMode = "exact" | "strip";

/** A value in both forms. */
export interface Value {
  printed: string;
  /** Undefined where it does not read as its kind, where texts are, and where several readings are as good. */
  canonical: Normalize.NormalizedValue | undefined;
}

/** One side of a comparison: its values by concrete path, each read in the light of the others of its own side. */
export interface Side {
  read(path: string, printed: string): Value;
  /** What the document is in, where it says so. */
  currency: string | null;
}

/** How the values of one side read; `circumstances` are the document's, the same for both sides. */
export function sideOf(
  layout: Layout,
  sheet: Sheet.Sheet<string | null>,
  circumstances: Normalize.Circumstances,
): Side {
  const normalized = Normalize.normalize(layout.fields, Sheet.plain(layout, sheet), circumstances);
  const stated = layout.scalars.find(({ kind }) => kind === "currency")?.path;
  const amounts = Object.values(normalized);
  return {
    read(path, printed) {
      const entry = Object.hasOwn(normalized, path) ? normalized[path] : undefined;
      return { printed, canonical: entry?.ambiguous === true ? undefined : entry };
    },
    currency:
      (stated === undefined ? undefined : normalized[stated]?.value) ??
      amounts.find(({ currency }) => typeof currency === "string")?.currency ??
      null,
  };
}

export const samePrint = (a: string, b: string, mode: StrMode): boolean =>
  mode === "exact" ? a === b : a.trim() === b.trim();

/**
 * Whether two values mean the same. An amount's currency counts where both print one beside it: what the rest of the
 * document says of currencies is judged in the field that says it. So does a quantity's unit. What has no canonical form
 * on one side, or more than one, is compared as stripped text on both.
 */
export function sameMeaning(a: Value, b: Value): boolean {
  const [x, y] = [a.canonical, b.canonical];
  if (x === undefined || y === undefined) return a.printed.trim() === b.printed.trim();
  if (x.value !== y.value) return false;
  const units = [x.unit ?? null, y.unit ?? null];
  if (units[0] !== null && units[1] !== null && units[0] !== units[1]) return false;
  const marks = [x, y].map(({ currency, currency_source }) =>
    currency_source === "printed" ? currency : null,
  );
  return marks[0] == null || marks[1] == null || marks[0] === marks[1];
}

/** A label as it is printed: numbers as JSON writes them. */
export const printedOf = (scalar: Scalar): string => String(scalar);

/** The first accepted value of a label, null where there is none. */
export const firstOf = (label: Labelled | undefined): string | null =>
  label?.kind === "value" ? printedOf(label.accepted[0]) : null;

import * as Normalize from "#core/canonical/normalize";
import type { Labelled, Scalar } from "#core/ground-truth/record";
import type { Layout } from "./layout.ts";
import * as Sheet from "./sheet.ts";

/*
 * Compares two values: as printed, and by meaning.
 */

/** How printed values are compared: with the white space around them, or without. */
export type StrMode = "exact" | "strip";

/** A value in both forms. */
export interface Value {
  printed: string;
  /** Undefined if the value cannot be read as its kind, for texts, and if several readings are equally good. */
  canonical: Normalize.NormalizedValue | undefined;
  /** Whether several readings are equally good. */
  ambiguous?: true;
}

/** One side of a comparison: its values by concrete path, each read in the context of the others of the same side. */
export interface Side {
  read(path: string, printed: string): Value;
  /** The document's currency, if it is known. */
  currency: string | null;
}

/** Reads the values of one side; `circumstances` are the document's, the same for both sides. */
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
      return entry?.ambiguous === true
        ? { printed, canonical: undefined, ambiguous: true }
        : { printed, canonical: entry };
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
 * True if two values have the same meaning. The currency of amounts counts only if both have a printed one, since the
 * document's currency is compared in its own field. The same holds for a quantity's unit. If either side has no
 * canonical form, or more than one, both are compared as stripped text.
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

/** The printed form of a label: numbers as JSON writes them. */
export const printedOf = (scalar: Scalar): string => String(scalar);

/** The first accepted value of a label; null if there is none. */
export const firstOf = (label: Labelled | undefined): string | null =>
  label?.kind === "value" ? printedOf(label.accepted[0]) : null;

import * as z from "zod";
import * as Count from "./count.ts";
import * as Currency from "./currency.ts";
import * as PrintedDate from "./date.ts";
import * as Money from "./money.ts";
import type { Convention } from "./number.ts";
import * as Time from "./time.ts";

export type FieldKind = "money" | "count" | "percent" | "date" | "time" | "currency" | "text";

/** One leaf of a result. Lists are written with empty brackets: `items[].price`. */
export interface Field {
  path: string;
  kind: FieldKind;
}

export const NormalizedValue = z
  .object({
    value: z.string().meta({
      description: "Canonical form: a plain decimal, an ISO date, HH:MM or HH:MM:SS, an ISO 4217 code",
    }),
    currency: z
      .string()
      .nullable()
      .optional()
      .meta({ description: "Amounts only: ISO 4217 where the document prints it, else null" }),
    unit: z.string().nullable().optional().meta({ description: "Quantities only: the printed unit" }),
    ambiguous: z
      .literal(true)
      .optional()
      .meta({ description: "Another reading of the print is as good, and nothing in the document decides" }),
  })
  .meta({ id: "NormalizedValue" });
export type NormalizedValue = z.infer<typeof NormalizedValue>;

export const Normalized = z.record(z.string(), NormalizedValue).meta({
  id: "Normalized",
  description:
    "Canonical forms by concrete path (`items[0].price`); what does not read as its kind is left out",
});
export type Normalized = z.infer<typeof Normalized>;

/** A printed value of a result and where it stands. */
export interface Leaf extends Field {
  printed: string;
}

/** A list longer than any receipt is a model in a loop; the rest of it is not read. */
const maxRows = 1000;

/** Every string of the result that a field names, with its concrete path. Own properties only; never throws. */
export function leaves(fields: readonly Field[], result: unknown): Leaf[] {
  return fields.flatMap(({ path, kind }) =>
    at(result, path.split(".")).map((found) => ({ path: found.path, kind, printed: found.value })),
  );
}

function at(value: unknown, steps: readonly string[], path = ""): { path: string; value: string }[] {
  const [step, ...rest] = steps;
  if (step === undefined) return typeof value === "string" ? [{ path, value }] : [];
  if (typeof value !== "object" || value === null) return [];
  const isList = step.endsWith("[]");
  const name = isList ? step.slice(0, -2) : step;
  const child = Object.getOwnPropertyDescriptor(value, name)?.value as unknown;
  const here = path === "" ? name : `${path}.${name}`;
  if (!isList) return at(child, rest, here);
  if (!Array.isArray(child)) return [];
  return child.slice(0, maxRows).flatMap((row, index) => at(row, rest, `${here}[${index}]`));
}

interface Document {
  convention: Convention;
  /** From the currency field, or the only currency that amounts are marked with. */
  currency: string | null;
  /** True when the document has a currency field that says so: then it holds for unmarked amounts too. */
  stated: boolean;
  order: PrintedDate.DateOrder | undefined;
}

function documentOf(found: readonly Leaf[]): Document {
  const printed = (kind: FieldKind) => found.flatMap((leaf) => (leaf.kind === kind ? [leaf.printed] : []));
  const marked = new Set(printed("money").flatMap((value) => Money.parse(value)?.currency ?? []));
  const [onlyMark] = marked;
  const mark = marked.size === 1 && onlyMark !== undefined ? onlyMark : null;
  const stated = new Set(
    printed("currency").flatMap((value) => Currency.parse(value, { currency: mark })?.value ?? []),
  );
  const [onlyStated] = stated;
  const currency = stated.size === 1 && onlyStated !== undefined ? onlyStated : null;
  const orders = new Set(printed("date").flatMap((value) => PrintedDate.orderProvedBy(value) ?? []));
  const [order] = orders;
  return {
    convention: Money.conventionOf(printed("money")),
    currency: currency ?? mark,
    stated: currency !== null,
    order: orders.size === 1 ? order : undefined,
  };
}

/**
 * The canonical forms of a result's printed values by concrete path: `{"total":{"value":"1591600","currency":
 * null}}`. The whole document decides what its separators, its dates and a shared mark such as `$` mean. Only
 * what is printed is used: an amount without a mark has a currency only where the result has a currency field
 * that says so. Values that do not read as their kind are left out; `text` has no canonical form. Works on
 * results that break the schema; never throws.
 */
export function normalize(fields: readonly Field[], result: unknown): Normalized {
  const found = leaves(fields, result);
  const document = documentOf(found);
  const entries = found.flatMap(({ path, kind, printed }) => {
    const value = canonical(kind, printed, document);
    return value === null ? [] : [[path, value] as const];
  });
  return Object.fromEntries(entries);
}

function canonical(kind: FieldKind, printed: string, document: Document): NormalizedValue | null {
  const { convention, currency, order } = document;
  switch (kind) {
    case "money": {
      const money = Money.parse(printed, { convention, currency });
      if (!money) return null;
      const implied = document.stated && !Money.isMarked(printed) ? currency : null;
      return { value: money.value, currency: money.currency ?? implied, ...flag(money.ambiguous) };
    }
    case "count": {
      const count = Count.parse(printed, { convention });
      return count && { value: count.value, unit: count.unit, ...flag(count.ambiguous) };
    }
    case "percent":
      return Count.parsePercent(printed);
    case "date": {
      const date = PrintedDate.parse(printed, { currency, order });
      return date && { value: date.value, ...flag(date.ambiguous) };
    }
    case "time":
      return Time.parse(printed);
    case "currency": {
      const value = Currency.parse(printed, { currency })?.value;
      return value ? { value } : null;
    }
    case "text":
      return null;
  }
}

function flag(ambiguous: boolean): { ambiguous?: true } {
  return ambiguous ? { ambiguous: true } : {};
}

import * as Country from "#core/canonical/country/country";
import * as PrintedDate from "#core/canonical/dates/printed-date";
import * as Time from "#core/canonical/dates/time";
import * as Amounts from "#core/canonical/money/amounts";
import * as Count from "#core/canonical/money/count";
import type { Normalized, NormalizedValue } from "./schema.ts";

export type { Normalized, NormalizedValue } from "./schema.ts";

export type FieldKind = "money" | "count" | "percent" | "date" | "time" | "currency" | "text";

/** One leaf of a result. Lists are written with empty brackets: `items[].price`. */
export interface Field {
  path: string;
  kind: FieldKind;
}

/** A printed value of a result, and its path. */
export interface Leaf extends Field {
  printed: string;
}

/** A list longer than any receipt comes from a model in a loop; rows after these are not read. */
const maxRows = 1000;

/** A parsed path step: a property's name, and whether a list follows. */
interface Step {
  name: string;
  isList: boolean;
}

/**
 * Keyed by the field object: a task's fields are parsed once, and those of a caller's own schema are garbage-collected.
 */
const compiled = new WeakMap<Field, readonly Step[]>();

function stepsOf(field: Field): readonly Step[] {
  const known = compiled.get(field);
  if (known) return known;
  const steps = field.path.split(".").map((step) => {
    const isList = step.endsWith("[]");
    return { name: isList ? step.slice(0, -2) : step, isList };
  });
  compiled.set(field, steps);
  return steps;
}

/** Every string of the result at one of the fields, with its concrete path. Reads own properties only; never throws. */
export function leaves(fields: readonly Field[], result: unknown): Leaf[] {
  const found: Leaf[] = [];
  for (const field of fields) collect({ kind: field.kind, steps: stepsOf(field), found }, 0, result, "");
  return found;
}

function collect(
  looking: { kind: FieldKind; steps: readonly Step[]; found: Leaf[] },
  at: number,
  value: unknown,
  path: string,
): void {
  const { kind, steps, found } = looking;
  const step = steps[at];
  if (step === undefined) {
    if (typeof value === "string") found.push({ path, kind, printed: value });
    return;
  }
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, step.name)) return;
  const child = (value as Record<string, unknown>)[step.name];
  const here = path === "" ? step.name : `${path}.${step.name}`;
  if (!step.isList) {
    collect(looking, at + 1, child, here);
  } else if (Array.isArray(child)) {
    const rows = Math.min(child.length, maxRows);
    for (let index = 0; index < rows; index += 1) {
      collect(looking, at + 1, child[index], `${here}[${index}]`);
    }
  }
}

interface Document {
  /** The amounts and currency fields, read together (amounts.ts). */
  amounts: Amounts.Amounts;
  /** Every date as printed. Each date is read with the others as evidence. */
  dates: readonly Leaf[];
  /** How dates are written in the seller's country. */
  localDates: () => Country.Use["dates"];
}

/** What is known of a document in addition to its result. */
export interface Circumstances {
  /** When it was received; a replay passes the same day and gets the same values. */
  createdAt?: Date | undefined;
  /** Paths of dates that may be later than that day, such as the due date. */
  dueDates?: readonly string[] | undefined;
}

/** How many years after the day of its document a two-digit year may be, and the same for due dates. */
const yearsAhead = 1;
const dueYearsAhead = 2;

/** Texts that may identify the paper's country, by the last step of their path. */
const clues: Record<string, Country.Source> = { address: "country", tax_id: "tax_id", phone: "phone" };

function clueOf({ kind, path }: Field): Country.Source | undefined {
  const name = path.slice(path.lastIndexOf(".") + 1);
  return kind === "text" && Object.hasOwn(clues, name) ? clues[name] : undefined;
}

/** A buyer may live anywhere: the buyer's country can contradict the seller's, but never decides by itself. */
function countryOf(said: readonly Said[]): ReturnType<typeof Country.of> {
  return Country.of(said.some(isOfSeller) ? said : []);
}

interface Said extends Country.Clue {
  path: string;
}

const isOfSeller = ({ path }: Said) => !path.startsWith("customer.");

function cluesOf(found: readonly Leaf[]): Said[] {
  return found.flatMap((leaf) => {
    const source = clueOf(leaf);
    return source === undefined ? [] : [{ source, text: leaf.printed, path: leaf.path }];
  });
}

function documentOf(found: readonly Leaf[]): Document {
  const of = (kind: FieldKind) => found.filter((leaf) => leaf.kind === kind);
  const said = cluesOf(found);
  return {
    amounts: Amounts.read(of("money"), of("currency"), () => countryOf(said)),
    dates: of("date"),
    localDates: () => Country.of(said.filter(isOfSeller))?.dates,
  };
}

/**
 * The canonical forms of a result's printed values by concrete path: `{"total":{"value":"1591600","currency": null}}`.
 * The whole document decides what its separators, its dates and a shared mark such as `$` mean. Only what is printed is
 * used. An amount without a mark has a currency only if the currency field gives one, or if an address, a tax number or
 * a telephone number can mean one country only and no mark indicates another (`currency_source` tells which). Values
 * that cannot be read as their kind are left out; `text` has no canonical form. Accepts results that break the schema;
 * never throws. Reads no clock: the only time it uses is `createdAt`.
 */
export function normalize(
  fields: readonly Field[],
  result: unknown,
  circumstances: Circumstances = {},
): Normalized {
  const read = fields.filter((field) => field.kind !== "text" || clueOf(field) !== undefined);
  const found = leaves(read, result);
  const document = documentOf(found);
  const normalized: Normalized = {};
  for (const leaf of found) {
    const value = canonical(leaf, document, circumstances);
    if (value !== null) normalized[leaf.path] = value;
  }
  return normalized;
}

function canonical(
  { path, kind, printed }: Leaf,
  { amounts, dates, localDates }: Document,
  { createdAt, dueDates }: Circumstances,
): NormalizedValue | null {
  const { convention, currency } = amounts;
  switch (kind) {
    case "money": {
      const amount = amounts.amountAt(path);
      if (!amount) return null;
      const source = amount.source === null ? {} : { currency_source: amount.source };
      const { value, currency: own, decimals } = amount;
      return { value, currency: own, decimals, ...source, ...flag(amount.ambiguous) };
    }
    case "count": {
      const count = Count.parse(printed, { convention });
      return count && { value: count.value, unit: count.unit, ...flag(count.ambiguous) };
    }
    case "percent":
      return Count.parsePercent(printed);
    case "date": {
      const date = PrintedDate.parse(printed, {
        currency,
        others: dates.flatMap((other) => (other.path === path ? [] : [other.printed])),
        createdAt,
        yearsAhead: dueDates?.includes(path) ? dueYearsAhead : yearsAhead,
        decimal: convention.decimal,
        local: localDates,
      });
      if (!date) return null;
      return {
        value: date.value,
        ...flag(date.ambiguous),
        ...(date.readings && { readings: [...date.readings] }),
      };
    }
    case "time":
      return Time.parse(printed, currency);
    case "currency": {
      const stated = amounts.currencyAt(path);
      if (!stated) return null;
      // A currency from the currency field is given without a source.
      const source = stated.source === "document" ? {} : { currency_source: stated.source };
      return { value: stated.currency, ...source };
    }
    case "text":
      return null;
  }
}

function flag(ambiguous: boolean): { ambiguous?: true } {
  return ambiguous ? { ambiguous: true } : {};
}

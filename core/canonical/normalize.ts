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

/** A printed value of a result and where it stands. */
export interface Leaf extends Field {
  printed: string;
}

/** A list longer than any receipt is a model in a loop; the rest of it is not read. */
const maxRows = 1000;

/** A field's path, taken apart once: names of properties, and before which of them stands a list. */
interface Step {
  name: string;
  isList: boolean;
}

/** By the field itself, so that a task's fields are taken apart once and a caller's own leave nothing behind. */
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

/** Every string of the result that a field names, with its concrete path. Own properties only; never throws. */
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
  /** What the amounts and the currency fields say together (amounts.ts). */
  amounts: Amounts.Amounts;
  /** Every date as printed: each is read in the light of the others. */
  dates: readonly Leaf[];
  /** How dates are written where the seller is, who wrote them. */
  localDates: () => Country.Use["dates"];
}

/** What is known of a document beside its result. */
export interface Circumstances {
  /** When it was taken in; a replay passes the same day and gets the same values. */
  createdAt?: Date | undefined;
  /** Paths of dates that lie ahead of it, such as the day to pay by. */
  dueDates?: readonly string[] | undefined;
}

/** How far behind the day of its document a year of two digits may lie, and that of a date to pay by. */
const yearsAhead = 1;
const dueYearsAhead = 2;

/** Texts that may say which country a paper comes from, by the last step of their path. */
const clues: Record<string, Country.Source> = { address: "country", tax_id: "tax_id", phone: "phone" };

function clueOf({ kind, path }: Field): Country.Source | undefined {
  const name = path.slice(path.lastIndexOf(".") + 1);
  return kind === "text" && Object.hasOwn(clues, name) ? clues[name] : undefined;
}

/** A buyer may live anywhere: a buyer's country can contradict the seller's, but never decides by itself. */
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
 * The canonical forms of a result's printed values by concrete path: `{"total":{"value":"1591600","currency":
 * null}}`. The whole document decides what its separators, its dates and a shared mark such as `$` mean. Only
 * what is printed is used: an amount without a mark has a currency only where the result has a currency field
 * that says so, or an address, a tax number or a telephone number that can mean one country and no mark that
 * speaks of another (`currency_source` tells which). Values that do not read as their kind are left out; `text` has
 * no canonical form. Works on results that break the schema; never throws. Of the clock only `createdAt` is known.
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
      // A field that names its currency needs no source.
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

import type * as Country from "#core/canonical/country/country";
import * as Currency from "./currency.ts";
import type { Mark } from "./marks.ts";
import * as Money from "./money.ts";
import type { Convention } from "./number.ts";

/**
 * The amounts of one document, read together: each is parsed once, then all of them decide what separators, shared
 * marks and unmarked amounts mean.
 */

/** How the currency of an amount is known. */
type CurrencySource = "printed" | "document" | Country.Source;

interface Amount {
  value: string;
  /** Digits printed after the decimal separator. `value` drops trailing zeros that the paper may have. */
  decimals: number;
  currency: string | null;
  source: CurrencySource | null;
  ambiguous: boolean;
}

export interface Amounts {
  convention: Convention;
  /** The currency of the currency field, else the only currency that amounts are marked with, else the country's. */
  currency: string | null;
  /** The amount at this path; null if the text is not an amount. */
  amountAt(path: string): Amount | null;
  /** The meaning of the currency field at this path; null if undecided. */
  currencyAt(path: string): Stated | null;
}

/** A value as it is printed, and where it stands in the result. */
interface Place {
  path: string;
  printed: string;
}

/** The currency of amounts without a mark of their own. */
interface Stated {
  currency: string;
  source: CurrencySource;
}

interface Evidence {
  /** From the currency field, or from the country where no mark contradicts it. */
  stated: Stated | null;
  /** The only currency that amounts are marked with. */
  marked: string | null;
  /** Every currency that a mark names unambiguously, except codes that are words and tax notes that look like marks. */
  named: ReadonlySet<string>;
  /** Marks that cannot be a tax note. */
  sure: readonly Mark[];
  country: Country.Use | null;
  /** The meaning of each currency field, by its path; null if undecided. */
  fields: ReadonlyMap<string, Stated | null>;
}

/**
 * Reads a document's amounts. `fields` are its printed currencies; `country` returns the currencies in use where the
 * paper comes from. Never throws.
 */
export function read(
  amounts: readonly Place[],
  fields: readonly Place[],
  country: () => Country.Use | null,
): Amounts {
  const prepared = new Map<string, Money.Printed>();
  for (const { path, printed } of amounts) {
    const amount = Money.prepare(printed);
    if (amount) prepared.set(path, amount);
  }
  const evidence = evidenceOf([...prepared.values()], fields, country);
  const currency = evidence.stated?.currency ?? evidence.marked;
  const convention = Money.conventionOfPrepared([...prepared.values()], currency);
  return {
    convention,
    currency,
    currencyAt: (path) => evidence.fields.get(path) ?? null,
    amountAt(path) {
      const amount = prepared.get(path);
      if (!amount) return null;
      const { currency: own, source } = currencyOf(amount, evidence);
      const number = Money.numberOf(amount, {
        convention,
        currency: own ?? (amount.mark === null ? currency : null),
      });
      return number && { ...number, currency: own, source };
    },
  };
}

function evidenceOf(
  prepared: readonly Money.Printed[],
  fields: readonly Place[],
  countryOf: () => Country.Use | null,
): Evidence {
  const says = fields.flatMap(({ path, printed }) => {
    const mark = Currency.stated(printed);
    return mark ? [{ path, mark }] : [];
  });
  const sure = surelyMarked(
    prepared,
    says.map(({ mark }) => mark),
  );
  const named = new Set<string>();
  const shared = new Set<Mark>();
  for (const amount of prepared) {
    const [only] = amount.mark?.codes ?? [];
    if (!amount.mark || only === undefined || isNote(amount, sure)) continue;
    if (amount.mark.codes.length > 1) shared.add(amount.mark);
    else if (!amount.word) named.add(only);
  }
  const [onlyNamed] = named;
  const marked = named.size === 1 && onlyNamed !== undefined ? onlyNamed : null;
  const undecided = [...says.map(({ mark }) => mark), ...shared].some(({ codes }) => codes.length !== 1);
  // The country is looked up only if the paper's own marks do not decide the currency.
  const country = undecided || says.length === 0 ? countryOf() : null;
  const each = new Map(says.map(({ path, mark }) => [path, statedBy(mark, marked, country)] as const));
  const [first = null, ...more] = each.values();
  const agreed = more.every((one) => one?.currency === first?.currency);
  const stated = says.length > 0 ? (agreed ? first : null) : impliedBy(fields, named, shared, country);
  return { stated, marked, named, sure, country, fields: each };
}

function surelyMarked(prepared: readonly Money.Printed[], fields: readonly Mark[]): Mark[] {
  const beside = prepared.flatMap(({ mark, weak, word }) => (mark && !weak && !word ? [mark] : []));
  return [...new Set([...fields, ...beside])].filter(({ codes }) => codes.length > 0);
}

/**
 * "24.99 RO" on a paper whose other marks are dollars may be a tax code or another currency; this cannot be decided.
 */
function isNote({ mark, weak }: Money.Printed, sure: readonly Mark[]): boolean {
  return weak && sure.some(({ codes }) => !codes.some((code) => mark?.codes.includes(code)));
}

/** The meaning of a currency field: by itself, by the only currency that amounts name, or by the country. */
function statedBy(mark: Mark, marked: string | null, country: Country.Use | null): Stated | null {
  const [only] = mark.codes;
  if (mark.codes.length === 1 && only !== undefined) return { currency: only, source: "document" };
  return decide(mark, marked, country, "document");
}

/**
 * The meaning of a shared mark: the only currency that amounts name, unless the country indicates another; else the
 * country's currency; else the mark's default meaning. Null if more than one remains.
 */
function decide(
  mark: Mark,
  marked: string | null,
  country: Country.Use | null,
  alone: CurrencySource,
): Stated | null {
  const used = country ? mark.codes.filter((code) => country.currencies.includes(code)) : [];
  if (marked !== null && mark.codes.includes(marked)) {
    return used.length > 0 && !used.includes(marked) ? null : { currency: marked, source: "document" };
  }
  const [only] = used;
  if (country && only !== undefined) {
    return used.length === 1 ? { currency: only, source: country.source } : null;
  }
  return mark.alone === null ? null : { currency: mark.alone, source: alone };
}

/** The country's only currency, if nothing on the paper indicates another. */
function impliedBy(
  fields: readonly Place[],
  named: ReadonlySet<string>,
  shared: ReadonlySet<Mark>,
  country: Country.Use | null,
): Stated | null {
  const [currency] = country?.currencies ?? [];
  if (!country || currency === undefined || country.currencies.length !== 1) return null;
  // A field with a mark that is in no table may mean another currency.
  if (fields.some(({ printed }) => Currency.isMark(printed))) return null;
  if ([...named].some((code) => code !== currency)) return null;
  if ([...shared].some(({ codes }) => !codes.includes(currency))) return null;
  return { currency, source: country.source };
}

function currencyOf(
  amount: Money.Printed,
  { stated, marked, named, sure, country }: Evidence,
): { currency: string | null; source: CurrencySource | null } {
  const { mark, word } = amount;
  const none = { currency: null, source: null };
  if (mark === null) return stated ?? none;
  if (isNote(amount, sure)) return none;
  const [only] = mark.codes;
  if (only === undefined) return none;
  if (mark.codes.length === 1) {
    const supported = stated?.currency === only || named.has(only) || country?.currencies.includes(only);
    return word && !supported ? none : { currency: only, source: "printed" };
  }
  if (stated && mark.codes.includes(stated.currency)) {
    return mark.alone === stated.currency ? { ...stated, source: "printed" } : stated;
  }
  return decide(mark, marked, country, "printed") ?? none;
}

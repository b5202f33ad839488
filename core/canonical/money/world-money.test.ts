import numberingSystems from "cldr-core/supplemental/numberingSystems.json" with { type: "json" };
import { describe, expect, test } from "vitest";
import { type Field, type Normalized, normalize } from "#core/canonical/normalize";
import { regions } from "#test/support/regions";

/**
 * Every region of CLDR, its currencies and languages, as Intl prints amounts there. The reader is given what a paper
 * gives: the amounts of one made-up document, and its printed currency or none; never the locale or the region.
 * docs/values.md has the table.
 */

const fields: Field[] = [
  { path: "currency", kind: "currency" },
  { path: "items[].price", kind: "money" },
  { path: "address", kind: "text" },
];

const whole = { minimumFractionDigits: 0, maximumFractionDigits: 0 };
const narrow = { currencyDisplay: "narrowSymbol" } as const;
/** How a document prints its amounts. */
const styles: Record<string, Intl.NumberFormatOptions & { native?: true }> = {
  standard: {},
  accounting: { currencySign: "accounting" },
  "narrow symbol": narrow,
  code: { currencyDisplay: "code" },
  whole,
  "whole, narrow symbol": { ...whole, ...narrow },
  "native digits": { native: true },
};
const amounts = [1234.5, 0.99, 1_000_000, 12, 45_678, -45.6, -1500];
/** The same, each the only amount of its paper. */
const lonely = [1234.5, 45_678, -1500];

type Verdict = "read" | "ambiguous" | "refused" | "wrong";
type Row = Record<Verdict, number>;

/**
 * Marks that mean one currency to most who print them, and another in a few places: `£` is read as sterling and `₩`
 * as South Korea's won, wrongly on a paper of St Helena that has nothing else on it.
 */
const exceptions = ["FKP £", "GIP £", "KPW ₩", "SHP £", "SSP £", "SYP £"];

interface World {
  pairs: Set<string>;
  /** Different ones: many locales print alike. */
  documents: number;
  table: Map<string, Row>;
  /** Pairs by currency and mark. */
  wrong: Map<string, Set<string>>;
}

const plains = new Map<number, Intl.NumberFormat>();

/** The digits of the locale's script, where it has some. */
function nativeOf(locale: string): string {
  const { language, script = "" } = new Intl.Locale(locale).maximize();
  if (script === "Arab") return /^(?:ar|ckb|sd)$/.test(language) ? "arab" : "arabext";
  if (script === "Taml") return "tamldec";
  const system = script.toLowerCase();
  return Object.hasOwn(numberingSystems.supplemental.numberingSystems, system) ? system : "latn";
}

/** The amount that Intl rounds to when it prints this many decimals. */
function rounded(amount: number, digits: number): string {
  const format =
    plains.get(digits) ?? new Intl.NumberFormat("en", { useGrouping: false, maximumFractionDigits: digits });
  plains.set(digits, format);
  return String(Number(format.format(amount)) + 0);
}

function printer(locale: string, currency: string, style: string) {
  const { native, ...options } = styles[style] ?? {};
  const format = new Intl.NumberFormat(native ? `${locale}-u-nu-${nativeOf(locale)}` : locale, {
    style: "currency",
    currency,
    ...options,
  });
  const { maximumFractionDigits: digits = 2 } = format.resolvedOptions();
  const parts = format.formatToParts(1).filter(({ type }) => type === "currency");
  return {
    mark: parts.map(({ value }) => value).join(""),
    print: (values: readonly number[]) =>
      values.map((value) => ({ text: format.format(value), value: rounded(value, digits) })),
  };
}

function judge(value: string, code: string, entry: Normalized[string] | undefined): Verdict {
  if (!entry) return "refused";
  if (entry.currency && entry.currency !== code) return "wrong";
  if (entry.ambiguous) return "ambiguous";
  return entry.value === value ? "read" : "wrong";
}

/** The verdicts on the amounts of one document. */
function verdicts(code: string, currency: string | null, printed: readonly Printed[]): Verdict[] {
  const normalized = normalize(fields, { currency, items: printed.map(({ text }) => ({ price: text })) });
  return printed.map(({ value }, index) => judge(value, code, normalized[`items[${index}].price`]));
}

function readWorld(): World {
  const world: World = { pairs: new Set(), documents: 0, table: new Map(), wrong: new Map() };
  const known = new Map<string, Verdict[]>();
  const read = (pair: string, mark: string, name: string, currency: string | null, printed: Printed[]) => {
    const code = pair.slice(-3);
    const key = [code, currency, ...printed.map(({ text }) => text)].join("\n");
    const found = known.get(key) ?? verdicts(code, currency, printed);
    known.set(key, found);
    const row = world.table.get(name) ?? { read: 0, ambiguous: 0, refused: 0, wrong: 0 };
    world.table.set(name, row);
    for (const verdict of found) row[verdict] += 1;
    if (!found.includes("wrong")) return;
    const pairs = world.wrong.get(`${code} ${mark}`) ?? new Set();
    world.wrong.set(`${code} ${mark}`, pairs.add(pair));
  };
  for (const { region, currencies, locales } of regions()) {
    for (const code of currencies) {
      const pair = `${region} ${code}`;
      world.pairs.add(pair);
      for (const locale of locales.length > 0 ? locales : ["en"]) {
        for (const style of Object.keys(styles)) {
          const { mark, print } = printer(locale, code, style);
          const printed = print(amounts);
          read(pair, mark, `${style}, field: code`, code, printed);
          read(pair, mark, `${style}, field: mark`, mark, printed);
          read(pair, mark, `${style}, field: none`, null, printed);
          if (style !== "standard" && style !== "whole") continue;
          for (const amount of print(lonely)) read(pair, mark, `${style}, alone`, code, [amount]);
        }
      }
    }
  }
  world.documents = known.size;
  return world;
}

interface Printed {
  text: string;
  value: string;
}

describe("amounts of the whole world", () => {
  const world = readWorld();
  const total = { read: 0, ambiguous: 0, refused: 0, wrong: 0 };
  for (const row of world.table.values()) {
    for (const verdict of ["read", "ambiguous", "refused", "wrong"] as const) total[verdict] += row[verdict];
  }
  const all = total.read + total.ambiguous + total.refused + total.wrong;
  const pairsWrong = new Set([...world.wrong.values()].flatMap((pairs) => [...pairs]));

  test("are read, 99 of 100, and the others are said to be ambiguous", () => {
    console.table(Object.fromEntries(world.table));
    console.info({ pairs: world.pairs.size, documents: world.documents, amounts: all, ...total });
    expect(world.pairs.size).toBeGreaterThanOrEqual(262);
    expect(all).toBeGreaterThan(100_000);
    expect(total.read / all).toBeGreaterThanOrEqual(0.99);
    expect(total.refused).toBe(0);
  });

  test("are never silently wrong, but for the marks that are named", () => {
    // A subset, because marks are those of the runtime's CLDR; this one's has them all.
    expect([...world.wrong.keys()].filter((mark) => !exceptions.includes(mark))).toEqual([]);
    expect(pairsWrong.size).toBeLessThanOrEqual(7);
  });

  test("with a mark of the list have no currency if anything on the paper indicates another one", () => {
    const paper = (address: string) =>
      normalize(fields, { currency: "£", address, items: [{ price: "£12.00" }] })["items[0].price"];
    expect(paper("5 Example Street, Gibraltar")).toEqual({ value: "12", currency: null, decimals: 2 });
    expect(paper("5 Example Street, London")).toMatchObject({ currency: "GBP" });
  });
});

import { describe, expect, test } from "vitest";
import * as Languages from "./languages.ts";
import * as Names from "./names.ts";
import * as PrintedDate from "./printed-date.ts";
import * as Time from "./time.ts";
import { nameKey } from "./unify.ts";
import { locales, pairs } from "./world-pairs-for-tests.ts";

/** What a document gives: the print, the currency, perhaps another date. Never the locale or the region. */
interface Case {
  who: string;
  style: string;
  expected: string;
  found: { value: string; ambiguous?: boolean; readings?: readonly string[] } | null;
}
type Outcome = "read" | "ambiguous" | "refused" | "wrong";

function outcome({ found, expected }: Case): Outcome {
  if (!found) return "refused";
  if (found.ambiguous) return found.readings?.includes(expected) ? "ambiguous" : "wrong";
  return found.value === expected ? "read" : "wrong";
}

const msPerDay = 86_400_000;
/** Numbers that fit several orders, and some that fit one; the months whose names differ most. */
const days = ["2024-05-12", "2021-02-03", "2019-10-31", "2023-11-01"];
const styles: Record<string, Intl.DateTimeFormatOptions> = {
  short: { dateStyle: "short" },
  medium: { dateStyle: "medium" },
  long: { dateStyle: "long" },
  numeric: {},
};
/** Calendars that receipts use beside the locale's own. */
const calendars: Record<string, readonly string[]> = {
  TH: ["buddhist", "gregory"],
  JP: ["japanese"],
  TW: ["roc"],
  IR: ["persian", "gregory"],
  AF: ["persian", "gregory"],
};

const world = pairs();

/** The locale, in its other calendars, and with native digits where it prints others. */
function tags({ region, locale }: { region: string; locale: string }): string[] {
  const native = new Intl.Locale(locale, { numberingSystem: "native" }).toString();
  const one = (tag: string) => new Intl.NumberFormat(tag).format(1);
  const others = (calendars[region] ?? []).map((calendar) =>
    new Intl.Locale(locale, { calendar }).toString(),
  );
  return [locale, ...(one(native) === one(locale) ? [] : [native]), ...others];
}

/** Every date twice: alone on its document, and beside another that is printed the same way. */
function dates(): Case[] {
  return world.flatMap((pair) =>
    tags(pair).flatMap((tag) =>
      Object.entries(styles).flatMap(([style, options]) => {
        const format = new Intl.DateTimeFormat(tag, { ...options, timeZone: "UTC" });
        return days.flatMap((day): Case[] => {
          const time = Date.parse(day);
          const printed = format.format(time);
          const context = { currency: pair.currency, createdAt: new Date(time + 3 * msPerDay) };
          const others = [format.format(time + 17 * msPerDay)];
          const known = { who: `${pair.currency} ${pair.locale}`, expected: day };
          return [
            { ...known, style: `${style}, alone`, found: PrintedDate.parse(printed, context) },
            { ...known, style, found: PrintedDate.parse(printed, { ...context, others }) },
          ];
        });
      }),
    ),
  );
}

/**
 * Pairs whose custom contradicts that of most people who pay with the currency. They are read wrongly if the paper has
 * no other evidence; docs/values.md counts them.
 */
const againstCustom = `
BIF en-BI | XOF blo-BJ | USD nl-BQ | XAF jgo-CM | CNY kk-Arab-CN | CNY ug-CN | USD en-DG | DJF so-DJ | USD es-EC
USD qu-EC | ERN ti-ER | EUR eu-ES | ETB om-ET | ETB so-ET | ETB ti-ET | USD en-FM | GBP en-Shaw-GB | GHS ee-GH
GHS gaa-GH | GNF nqo-GN | USD fr-HT | INR ks-IN | INR ks-Arab-IN | INR ks-Deva-IN | INR ne-IN | INR or-IN
INR sd-Deva-IN | USD en-IO | KES om-KE | KES so-KE | LRD vai-Latn-LR | EUR mt-MT | USD en-PW | RUB sah-RU | SOS so-SO
USD es-SV | USD en-TC | XOF ee-TG | USD pt-TL | TZS sbp-TZ | USD es-US | USD haw-US | USD en-VG | ZAR xh-ZA | ZAR zu-ZA
USD en-ZW | USD nd-ZW`;
/** Names that mean another month in English, which most people who pay with the currency write. */
const againstNames = "XAF bas-CM | XAF dua-CM | KES teo-KE | UGX teo-UG";
/** Intl prints no half of the day (fr-CM), and `ip.` is Inari Sámi's morning and Finnish afternoon. */
const againstHalves = "XAF fr-CM | EUR smn-FI";

const listed = (...lists: string[]) =>
  lists
    .flatMap((list) => list.split(/[|\n]/))
    .map((each) => each.trim())
    .filter((each) => each !== "")
    .sort();
const wrongOf = (cases: readonly Case[]) =>
  [...new Set(cases.flatMap((each) => (outcome(each) === "wrong" ? [each.who] : [])))].sort();

function table(cases: readonly Case[]): Record<string, Record<Outcome, number>> {
  const counts: Record<string, Record<Outcome, number>> = {};
  for (const each of cases) {
    const row = counts[each.style] ?? { read: 0, ambiguous: 0, refused: 0, wrong: 0 };
    counts[each.style] = row;
    row[outcome(each)] += 1;
  }
  return counts;
}

const share = (cases: readonly Case[], ...kinds: Outcome[]) =>
  cases.filter((each) => kinds.includes(outcome(each))).length / cases.length;

describe(`in the print of ${world.length} regions, currencies and locales`, () => {
  const timeout = 120_000;

  test("a date is read right or marked ambiguous; only the listed pairs are read wrongly", {
    timeout,
  }, () => {
    const all = dates();
    console.table(table(all));
    const alone = all.filter(({ style }) => style.endsWith("alone"));
    const beside = all.filter(({ style }) => !style.endsWith("alone"));
    for (const cases of [alone, beside]) {
      expect(share(cases, "read", "ambiguous")).toBeGreaterThan(0.97);
      expect(share(cases, "ambiguous")).toBeLessThan(0.02);
    }
    expect(wrongOf(alone)).toEqual(listed(againstCustom, againstNames));
    // Another date on the paper shows the order of the numbers, but not the meaning of a word.
    expect(wrongOf(beside)).toEqual(listed(againstNames));
    expect(share(alone, "wrong")).toBeLessThan(0.025);
  });

  test("a date with a time after it is read like one without", { timeout }, () => {
    const missed = world.flatMap(({ currency, locale }) => {
      const day = new Date(Date.UTC(2024, 9, 24, 14, 35));
      const printed = (options: Intl.DateTimeFormatOptions) =>
        new Intl.DateTimeFormat(locale, { dateStyle: "short", ...options, timeZone: "UTC" }).format(day);
      const value = (text: string) => PrintedDate.parse(text, { currency, createdAt: day })?.value;
      const combined = printed({ timeStyle: "short", hour12: false });
      return value(combined) === value(printed({})) ? [] : [`${currency} ${locale} ${combined}`];
    });
    expect(missed.length / world.length, missed.join("\n")).toBeLessThan(0.02);
  });

  test("a time is read, with the half of the day and without", { timeout }, () => {
    const shapes: Record<string, Intl.DateTimeFormatOptions> = {
      "short, halves": { timeStyle: "short", hour12: true },
      "medium, halves": { timeStyle: "medium", hour12: true },
      "short, 24 hours": { timeStyle: "short", hour12: false },
      "medium, 24 hours": { timeStyle: "medium", hour12: false },
    };
    const cases = world.flatMap(({ currency, locale }) =>
      Object.entries(shapes).flatMap(([style, options]) => {
        const format = new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
        return [0, 9, 12, 14].map((hour): Case => {
          const printed = format.format(Date.UTC(2024, 4, 12, hour, 35, 7));
          const expected = `${String(hour).padStart(2, "0")}:35${style.startsWith("medium") ? ":07" : ""}`;
          return { who: `${currency} ${locale}`, style, expected, found: Time.parse(printed, currency) };
        });
      }),
    );
    console.table(table(cases));
    expect(share(cases, "read")).toBeGreaterThan(0.97);
    expect(wrongOf(cases)).toEqual(listed(againstHalves));
  });
});

describe("the languages that names come from", () => {
  const formats = [
    { dateStyle: "long" },
    { dateStyle: "medium" },
    { month: "long" },
    { month: "short" },
  ] as const;
  const made = new Map<string, (readonly [number, string])[]>();
  const monthNames = (tag: string) => {
    const names = made.get(tag) ?? namesOf(tag);
    made.set(tag, names);
    return names;
  };
  const namesOf = (tag: string) =>
    formats.flatMap((options) => {
      const format = new Intl.DateTimeFormat(`${tag}-u-ca-gregory-nu-latn`, { ...options, timeZone: "UTC" });
      return Array.from({ length: 12 }, (_, month) => {
        const parts = format.formatToParts(Date.UTC(2031, month, 16, 12));
        return [month + 1, nameKey(parts.find(({ type }) => type === "month")?.value ?? "")] as const;
      }).filter(([, name]) => /\p{L}/u.test(name));
    });

  test("have every month's name of every locale of CLDR", { timeout: 60_000 }, () => {
    const { main, others } = Languages.all();
    const known = new Set(["en", ...main, ...others].flatMap((tag) => monthNames(tag).map(String)));
    const missing = locales().flatMap((tag) =>
      monthNames(tag).flatMap((name) => (known.has(String(name)) ? [] : [`${tag} ${name[1]}`])),
    );
    expect(missing).toEqual([]);
  });

  test("are listed for every currency that their people pay with", () => {
    const missing = world.flatMap(({ currency, locale }) => {
      const { language } = new Intl.Locale(locale);
      const listedThere = Languages.of(currency).some((tag) => new Intl.Locale(tag).language === language);
      return language === "en" || listedThere ? [] : [`${currency} ${locale}`];
    });
    expect(missing).toEqual([]);
  });

  test("share no name for different months, except the names that are looked up in every language", () => {
    const meanings = new Map<string, Set<number>>();
    const { main, others } = Languages.all();
    for (const tag of ["en", ...main, ...others]) {
      for (const [month, name] of monthNames(tag)) {
        meanings.set(name, (meanings.get(name) ?? new Set()).add(month));
      }
    }
    const several = [...meanings].flatMap(([name, months]) => (months.size > 1 ? [name] : []));
    expect(several.sort()).toEqual([...Names.shared].sort());
  });
});

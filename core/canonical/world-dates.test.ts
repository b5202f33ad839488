import { describe, expect, test } from "vitest";
import * as PrintedDate from "./date.ts";
import * as Time from "./time.ts";
import { pairs } from "./world-pairs.ts";

/** What a document gives: the print, the currency, the document's other date. Never the locale or the region. */
interface Case {
  who: string;
  style: string;
  printed: string;
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
/** Days whose numbers fit several orders, and days that fit one. */
const days = [
  "2024-05-12",
  "2021-02-03",
  "2019-10-31",
  "2026-07-09",
  "2023-11-01",
  "2025-01-06",
  "2022-12-25",
];
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

function tags({ region, locale }: { region: string; locale: string }): string[] {
  const native = new Intl.Locale(locale, { numberingSystem: "native" }).toString();
  const others = (calendars[region] ?? []).map((calendar) =>
    new Intl.Locale(locale, { calendar }).toString(),
  );
  return [locale, native, ...others];
}

function dates(): Case[] {
  return world.flatMap((pair) =>
    tags(pair).flatMap((tag) =>
      Object.entries(styles).flatMap(([style, options]) => {
        const format = new Intl.DateTimeFormat(tag, { ...options, timeZone: "UTC" });
        return days.map((day): Case => {
          const time = Date.parse(day);
          const printed = format.format(time);
          const found = PrintedDate.parse(printed, {
            currency: pair.currency,
            others: [format.format(time + 17 * msPerDay)],
            createdAt: new Date(time + 3 * msPerDay),
          });
          return { who: `${pair.currency} ${tag}`, style, printed, expected: day, found };
        });
      }),
    ),
  );
}

function table(cases: readonly Case[]): Record<string, Record<Outcome, number>> {
  const counts: Record<string, Record<Outcome, number>> = {};
  for (const each of cases) {
    counts[each.style] ??= { read: 0, ambiguous: 0, refused: 0, wrong: 0 };
    const row = counts[each.style];
    if (row) row[outcome(each)] += 1;
  }
  return counts;
}

const hours = [0, 5, 9, 11, 12, 14, 19, 23];

function times(): Case[] {
  const shapes: Record<string, Intl.DateTimeFormatOptions> = {
    "short 12": { timeStyle: "short", hour12: true },
    "medium 12": { timeStyle: "medium", hour12: true },
    "short 24": { timeStyle: "short", hour12: false },
    "medium 24": { timeStyle: "medium", hour12: false },
  };
  return world.flatMap(({ currency, locale }) =>
    Object.entries(shapes).flatMap(([style, options]) => {
      const format = new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
      return hours.map((hour): Case => {
        const printed = format.format(Date.UTC(2024, 4, 12, hour, 35, 7));
        const seconds = style.startsWith("medium") ? ":07" : "";
        return {
          who: `${currency} ${locale}`,
          style,
          printed,
          expected: `${String(hour).padStart(2, "0")}:35${seconds}`,
          found: Time.parse(printed, currency),
        };
      });
    }),
  );
}

describe("what Intl prints anywhere", () => {
  test("dates", () => {
    const cases = dates();
    console.table(table(cases));
    for (const kind of ["wrong", "refused"] as const) {
      const by = new Map<string, string[]>();
      for (const c of cases)
        if (outcome(c) === kind) {
          const k = `${c.who} ${c.style}`;
          by.set(k, [
            ...(by.get(k) ?? []),
            `${c.printed} (${c.expected}) -> ${c.found?.value ?? ""} ${c.found?.readings?.join() ?? ""}`,
          ]);
        }
      console.log(kind, by.size);
      for (const [k, v] of by) console.log(kind, k, v.length, v[0]);
    }
  });
  test("times", () => {
    const cases = times();
    console.table(table(cases));
    for (const kind of ["wrong", "refused"] as const) {
      const by = new Map<string, string[]>();
      for (const c of cases)
        if (outcome(c) === kind) {
          const k = `${c.who} ${c.style}`;
          by.set(k, [...(by.get(k) ?? []), `${c.printed} (${c.expected}) -> ${c.found?.value ?? ""}`]);
        }
      console.log(kind, by.size);
      for (const [k, v] of by) console.log(kind, k, v.length, v[0]);
    }
    expect(1).toBe(1);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Money from "./money.ts";

/** printed → [value, currency, ambiguous?] */
const table: Record<string, [string, string | null, true?]> = {
  "1,591,600": ["1591600", null],
  "1.591.600": ["1591600", null],
  "1.000": ["1000", null, true],
  "1.00": ["1", null],
  "1 234,56": ["1234.56", null],
  "1\u202f234,56": ["1234.56", null],
  "1'234.50": ["1234.5", null],
  "1’234.50": ["1234.5", null],
  "12,5": ["12.5", null],
  "40,000.": ["40000", null],
  "40.": ["40", null],
  ".50": ["0.5", null],
  "0.500": ["0.5", null],
  "-3.50": ["-3.5", null],
  "3.50-": ["-3.5", null],
  "(3.50)": ["-3.5", null],
  "(-3.50)": ["-3.5", null],
  "−3,50": ["-3.5", null],
  "-0.00": ["0", null],
  "RM 5.00": ["5", "MYR"],
  "RM5.00": ["5", "MYR"],
  "Rp16.500": ["16500", "IDR"],
  "Rp. 16.500": ["16500", "IDR"],
  "Rp 50.000,-": ["50000", "IDR"],
  "€ 24,23": ["24.23", "EUR"],
  "24,23 EUR A": ["24.23", "EUR"],
  "24,23 EUR*": ["24.23", "EUR"],
  "5€50": ["5.5", "EUR"],
  "1,579 €/L": ["1.579", "EUR"],
  "2,99/kg": ["2.99", null],
  "1,234.5678": ["1234.5678", null],
  "1.591,600": ["1591.6", null, true],
  "1, 591, 600": ["1591600", null],
  "5 .00": ["5", null],
  "1,00,000": ["100000", null],
  "₹1,23,456.00": ["123456", "INR"],
  "١٬٢٣٤٫٥٠": ["1234.5", null],
  "３．５０": ["3.5", null],
  "5.-": ["5", null],
  "CHF 12.–": ["12", "CHF"],
  "$ (3.50)": ["-3.5", null],
  "£-3.50": ["-3.5", "GBP"],
  "US$5.00": ["5", "USD"],
  "$5.00 USD": ["5", "USD"],
  "S$ 1,200.00": ["1200", "SGD"],
  "¥1,200": ["1200", null],
  "12,50 kr": ["12.5", null],
  "1.234,56 zł": ["1234.56", "PLN"],
  "1 290 Ft": ["1290", "HUF"],
  "120.000đ": ["120000", "VND"],
  "12,000원": ["12000", "KRW"],
  "R 50.00": ["50", "ZAR"],
  "3.49 F T": ["3.49", null],
  "1,99A": ["1.99", null],
  "12.00 SR": ["12", null],
  "1.99 B*": ["1.99", null],
  "0,25*C": ["0.25", null],
  "29,98 1": ["29.98", null],
  "@ 15,000.00": ["15000", null],
};

const garbage = [
  "",
  " ",
  "-",
  "RM",
  "FREE",
  "TOTAL 5.00",
  "12.03.2020",
  "14:30",
  "1.2.3",
  "1.234.56",
  "12 50",
  "6%",
  "x 2.00",
];
const contradictions = [
  "--5",
  "5--",
  "-5-",
  "USD 5 EUR",
  "24.23 CR",
  "1e5",
  "1.5E3",
  "∞",
  "NaN",
  "3.5O",
  "3.50O",
  "12345678901234567890",
];

describe("a printed amount", () => {
  test.each(Object.entries(table))("%s has one canonical form", (printed, [value, currency, ambiguous]) => {
    expect(Money.parse(printed)).toEqual({ value, currency, ambiguous: ambiguous === true });
  });

  test.each([...garbage, ...contradictions])("%j is not taken for an amount", (printed) => {
    expect(Money.parse(printed)).toBeNull();
  });

  test("a shared mark is decided by the document's currency, and only when the mark allows it", () => {
    expect(Money.parse("$5.00", { currency: "SGD" })?.currency).toBe("SGD");
    expect(Money.parse("$5.00", { currency: "EUR" })?.currency).toBeNull();
    expect(Money.parse("5.00", { currency: "EUR" })?.currency).toBeNull();
  });

  test("the document's convention decides 1.000, in both directions", () => {
    const decimalPoint = Money.conventionOf(["12.50", "1.000"]);
    expect(Money.parse("1.000", { convention: decimalPoint })).toMatchObject({
      value: "1",
      ambiguous: false,
    });
    const decimalComma = Money.conventionOf(["12,50", "1.000"]);
    expect(Money.parse("1.000", { convention: decimalComma })).toMatchObject({
      value: "1000",
      ambiguous: false,
    });
    const onlyGroups = Money.conventionOf(["15.000", "1.500", "Rp16.500"]);
    expect(Money.parse("1.500", { convention: onlyGroups })).toMatchObject({
      value: "1500",
      ambiguous: false,
    });
  });

  test("contradicting evidence leaves the convention open", () => {
    expect(Money.conventionOf(["12.50", "12,50"])).toEqual({ decimal: null, thousands: null });
    expect(Money.conventionOf([])).toEqual({ decimal: null, thousands: null });
  });
});

/** Places that print differently: separators, side of the mark, minus signs, digits. */
const places = [
  ["en-US", "USD"],
  ["de-DE", "EUR"],
  ["fr-FR", "EUR"],
  ["de-CH", "CHF"],
  ["id-ID", "IDR"],
  ["ms-MY", "MYR"],
  ["en-IN", "INR"],
  ["ja-JP", "JPY"],
  ["ko-KR", "KRW"],
  ["vi-VN", "VND"],
  ["sv-SE", "SEK"],
  ["da-DK", "DKK"],
  ["pl-PL", "PLN"],
  ["cs-CZ", "CZK"],
  ["hu-HU", "HUF"],
  ["pt-BR", "BRL"],
  ["en-GB", "GBP"],
  ["en-ZA", "ZAR"],
  ["th-TH", "THB"],
  ["he-IL", "ILS"],
] as const;

describe("round trips", () => {
  test.each(places)("what %s prints as %s is read back", (locale, currency) => {
    const cents = new Intl.NumberFormat(locale, { style: "currency", currency });
    const accounting = new Intl.NumberFormat(locale, {
      style: "currency",
      currency,
      currencySign: "accounting",
    });
    const { maximumFractionDigits: digits = 2 } = cents.resolvedOptions();
    fc.assert(
      fc.property(
        fc.integer({ min: -99_999_999, max: 999_999_999 }),
        fc.constantFrom(cents, accounting),
        (units, format) => {
          const amount = units / 10 ** digits;
          const read = Money.parse(format.format(amount), { currency });
          expect(read).toMatchObject({ currency, ambiguous: false });
          expect(Number(read?.value)).toBe(amount + 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("Arabic-Indic, Persian and plain digits are read alike", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("ar-EG", "fa-IR", "en-US"),
        fc.integer({ min: 0, max: 1e9 }),
        (locale, units) => {
          const text = new Intl.NumberFormat(locale, { minimumFractionDigits: 2 }).format(units / 100);
          expect(Number(Money.parse(text)?.value)).toBe(units / 100);
        },
      ),
    );
  });

  test("a canonical value reads as itself", () => {
    const convention = { decimal: ".", thousands: null } as const;
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 5 }), (units, places) => {
        const first = Money.parse((units / 10 ** places).toFixed(places), { convention });
        expect(Money.parse(first?.value ?? "", { convention })?.value).toBe(first?.value);
      }),
    );
  });
});

describe("hostile text", () => {
  const alphabet = [..."0123456789.,' -+()€$RMp*@/kgEA\u00a0٣％\u202e\0"];

  test("any text gives null or a canonical decimal, never an exception", () => {
    const anything = fc.oneof(
      fc.uint16Array({ maxLength: 80 }).map((units) => String.fromCharCode(...units)),
      fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 70 }),
    );
    fc.assert(
      fc.property(anything, (printed) => {
        const read = Money.parse(printed);
        Money.conventionOf([printed, printed]);
        return !read || /^(?:0|-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?)$/.test(read.value);
      }),
      { numRuns: 1000 },
    );
  });

  test("long text is read fast", () => {
    const before = process.cpuUsage();
    for (const part of ["1", "1.", " ", "-", "(", "RM", "1,000,", "$", "A "]) {
      expect(Money.parse(part.repeat(500_000))).toBeNull();
      Money.parse(part.repeat(32).slice(0, 64));
    }
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(500);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as PrintedDate from "#core/canonical/dates/printed-date";
import * as Time from "#core/canonical/dates/time";
import * as Count from "#core/canonical/money/count";
import * as Currency from "#core/canonical/money/currency";

describe("a printed quantity", () => {
  test.each([
    ["1 x", "1", null],
    ["3x", "3", null],
    ["x1", "1", null],
    ["3 ×", "3", null],
    ["2", "2", null],
    ["-1", "-1", null],
    ["1,0", "1", null],
    ["2 Stk", "2", "stk"],
    ["2 PCS.", "2", "pcs"],
    ["2 pc(s)", "2", "pc"],
    ["1,00 m²", "1", "m²"],
    ["0,456 kg", "0.456", "kg"],
    ["1.000 kg", "1", "kg"],
    ["500g", "500", "g"],
    ["10 h", "10", "h"],
    ["2 CUP", "2", "cup"],
    ["2 ชิ้น", "2", "ชิ้น"],
    ["3 पीस", "3", "पीस"],
  ])("%s is %s %s", (printed, value, unit) => {
    expect(Count.parse(printed)).toEqual({ value, unit, ambiguous: false });
  });

  test.each(["", "x", "2 EUR", "1x2", "1 x 2", "QTY 2", "two", "12.03.2020", "--1"])(
    "%j is not taken for one",
    (printed) => {
      expect(Count.parse(printed)).toBeNull();
    },
  );

  test("1.000 is one piece, and is marked ambiguous unless the document's points are decimal", () => {
    expect(Count.parse("1.000")).toMatchObject({ value: "1", ambiguous: true });
    const decimalPoint = { decimal: ".", thousands: null } as const;
    expect(Count.parse("1.000", { convention: decimalPoint })).toMatchObject({
      value: "1",
      ambiguous: false,
    });
    const decimalComma = { decimal: ",", thousands: null } as const;
    expect(Count.parse("1.234 kWh", { convention: decimalComma })?.ambiguous).toBe(true);
    expect(Count.parse("1,234 kg", { convention: decimalComma })?.ambiguous).toBe(false);
    expect(Count.parse("0.482 kg", { convention: decimalComma })?.ambiguous).toBe(false);
    const grouping = { decimal: null, thousands: "." } as const;
    expect(Count.parse("1.000", { convention: grouping })).toMatchObject({ value: "1000", ambiguous: true });
  });
});

test.each([
  ["19%", "19"],
  ["19,00 %", "19"],
  ["6.0%", "6"],
  ["A 7,00%", "7"],
  ["PPN 11%", "11"],
  ["A=19,00%", "19"],
  ["6", "6"],
  ["-5%", "-5"],
  ["0%", "0"],
  ["KDV %20", "20"],
  ["%18", "18"],
  ["% 8,0", "8"],
  ["TOPKDV %10", "10"],
  ["KDV(%10)", "10"],
  ["VAT @ 20%", "20"],
  ["GST@5%", "5"],
  ["CGST 2.5%", "2.5"],
  ["19% MwSt", "19"],
  ["MwSt.-Satz 19%", "19"],
  ["IVA (22%)", "22"],
  ["(19%)", "19"],
  ["1=19%", "19"],
  ["A1 7%", "7"],
  ["20% T1", "20"],
  ["20 %", "20"],
  ["٪١٥", "15"],
  ["١٥٪", "15"],
  ["ضريبة 15٪", "15"],
  ["в т.ч. НДС 20%", "20"],
  ["ΦΠΑ 24%", "24"],
  ["消費税10%", "10"],
  ["10%対象", "10"],
  ["19 Prozent", "19"],
  ["VAT-20%", "20"],
  ["Rabatt -10%", "-10"],
])("the rate %s is %s percent", (printed, value) => {
  expect(Count.parsePercent(printed)).toEqual({ value });
});

const noRates =
  "MwSt||%|1000%|19%%|12.50 EUR|5% 7%|A 19% B 7%|19% of 12.50|19.5% 12.00|1,234.50%|2-5%|2 5%|5%-|5‰|VAT 20";
test.each(noRates.split("|"))("%j is not a rate", (printed) => {
  expect(Count.parsePercent(printed)).toBeNull();
});

describe("a printed date", () => {
  test.each([
    ["14/03/2018", "2018-03-14"],
    ["14/MAY/2017", "2017-05-14"],
    ["26 Feb 2016", "2016-02-26"],
    ["02.03.2020", "2020-03-02"],
    ["2.3.20", "2020-03-02"],
    ["24/09/2018 14:30", "2018-09-24"],
    ["05 Okt 2019 10.32", "2019-10-05"],
    ["05-Dec-2019 13:22:10", "2019-12-05"],
    ["25.12.18 19:02 Uhr", "2018-12-25"],
    ["12/25/2018", "2018-12-25"],
    ["Apr 16, 2018", "2018-04-16"],
    ["Thu Apr 16 2018", "2018-04-16"],
    ["Jun-05-2018", "2018-06-05"],
    ["5th of May 2018", "2018-05-05"],
    ["13 Des'18", "2018-12-13"],
    ["13Mar18", "2018-03-13"],
    ["2018-04-16", "2018-04-16"],
    ["2018-04-16T12:30:00Z", "2018-04-16"],
    ["20180416", "2018-04-16"],
    ["2018/04/16", "2018-04-16"],
    ["2018年4月16日", "2018-04-16"],
    ["Mo 02.03.2020", "2020-03-02"],
    ["14-01-2018 (SUN) 16:02", "2018-01-14"],
    ["30/05/2017 10:18:02 AM", "2017-05-30"],
    ["Date: 14/03/2018", "2018-03-14"],
    [": 27/05/2018 8:07 PM", "2018-05-27"],
    ["Montag, 2. März 2020", "2020-03-02"],
    ["Sabtu, 5 Mei 2018", "2018-05-05"],
    ["17 Agustus 2023", "2023-08-17"],
    ["17 Ogos 2023", "2023-08-17"],
    ["1er août 2019", "2019-08-01"],
    ["16 Avr. 2018", "2018-04-16"],
    ["29/02/2020", "2020-02-29"],
  ])("%s is %s", (printed, value) => {
    expect(PrintedDate.parse(printed)).toEqual({ value, ambiguous: false });
  });

  test.each([
    "",
    "total",
    "12:30",
    "31/02/2018",
    "29/02/2019",
    "99/99/9999",
    "01/01/1850",
    "Mei 2018",
    "1.50",
    "02032020",
  ])("%j is not a date", (printed) => {
    expect(PrintedDate.parse(printed)).toBeNull();
  });

  test("day and month that fit both ways are flagged, until currency or another date decides", () => {
    expect(PrintedDate.parse("6/10/2019")).toEqual({
      value: "2019-10-06",
      ambiguous: true,
      readings: ["2019-10-06", "2019-06-10"],
    });
    expect(PrintedDate.parse("6/10/2019", { currency: "USD" })).toEqual({
      value: "2019-06-10",
      ambiguous: false,
    });
    expect(PrintedDate.parse("06/01/18", { currency: "MYR" })).toEqual({
      value: "2018-01-06",
      ambiguous: false,
    });
    expect(PrintedDate.parse("18/01/06", { currency: "JPY" })).toEqual({
      value: "2018-01-06",
      ambiguous: false,
    });
    expect(PrintedDate.parse("6/10/2019", { currency: "CAD" })?.ambiguous).toBe(true);
    expect(PrintedDate.parse("6/10/2019", { others: ["12/25/2018"] })).toEqual({
      value: "2019-06-10",
      ambiguous: false,
    });
  });

  test("what a locale prints with a month's name is read back", () => {
    const locales = fc.constantFrom("en-US", "en-GB", "de-DE", "id-ID", "ms-MY", "fr-FR");
    const styles = fc.constantFrom("medium", "long", "full");
    const days = fc.date({ min: new Date("1970-01-01"), max: new Date("2069-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(locales, styles, days, (locale, dateStyle, day) => {
        const printed = new Intl.DateTimeFormat(locale, { dateStyle, timeZone: "UTC" }).format(day);
        expect(PrintedDate.parse(printed)?.value, printed).toBe(day.toISOString().slice(0, 10));
      }),
    );
  });
});

test.each([
  ["14:30", "14:30"],
  ["2:30 PM", "14:30"],
  ["02:30PM", "14:30"],
  ["8:05 p.m.", "20:05"],
  ["12:00 AM", "00:00"],
  ["12:00 PM", "12:00"],
  ["14:30 PM", "14:30"],
  ["14.30", "14:30"],
  ["14h30", "14:30"],
  ["19:02 Uhr", "19:02"],
  ["15:20:07", "15:20:07"],
  ["10:32:11 WIB", "10:32:11"],
])("the time %s is %s", (printed, value) => {
  expect(Time.parse(printed)).toEqual({ value });
});

test.each(["", "24:10", "9:5", "14:60", "14:30:99", "1430", "12.03.2020"])("%j is not a time", (printed) => {
  expect(Time.parse(printed)).toBeNull();
});

describe("a printed currency", () => {
  test.each([
    ["RM", "MYR"],
    ["Rp.", "IDR"],
    ["€", "EUR"],
    ["Euro", "EUR"],
    ["US$", "USD"],
    ["GBP", "GBP"],
    ["zł", "PLN"],
  ])("%s is %s", (printed, value) => {
    expect(Currency.parse(printed)).toEqual({ value, ambiguous: false });
  });

  test("a mark of several currencies is left open, and decided by the context", () => {
    expect(Currency.parse("$")).toEqual({ value: null, ambiguous: true });
    expect(Currency.parse("kr", { currency: "DKK" })).toEqual({ value: "DKK", ambiguous: false });
  });

  test.each([
    ["US $", "USD"],
    ["USD $", "USD"],
    ["Euro (EUR)", "EUR"],
    ["บาท", "THB"],
    ["د.إ", "AED"],
    ["VED", "VED"],
    ["BSD", "BSD"],
  ])("%s is %s in a field of its own", (printed, value) => {
    expect(Currency.parse(printed)?.value).toBe(value);
  });

  test("that is in no table is not a schema error, but a text that cannot be a currency is one", () => {
    for (const mark of ["Zk", "XYZ", "¤", "ꦫꦸ", "SR", "₿", "kr."])
      expect(Currency.isMark(mark), mark).toBe(true);
    for (const none of ["", "12.50", "5 EUR", "TOTAL", "Visa", "12%", "paid in cash at the till"]) {
      expect(Currency.isMark(none), none).toBe(false);
    }
  });

  test("has its usual number of printed decimals, and its cash rounding step", () => {
    expect(["EUR", "TWD", "RSD", "MRU"].map(Currency.decimals)).toEqual([2, 2, 2, 2]);
    expect(["IDR", "COP", "LAK", "PKR", "HUF"].map(Currency.decimals)).toEqual([0, 0, 0, 0, 0]);
    expect(["KWD", "TND"].map(Currency.decimals)).toEqual([3, 3]);
    expect(["CHF", "SEK", "MRU", "USD"].map(Currency.cashStep)).toEqual(["0.05", "1", "0.2", undefined]);
  });

  test.each(["", "all", "Try", "XYZ", "__proto__", "constructor", "TOTAL"])("%j is none", (printed) => {
    expect(Currency.parse(printed)).toBeNull();
  });
});

test("no reader throws or takes long, whatever the text", () => {
  const alphabet = [..."0123456789.,:/-' xkgAPMUhr年月日%=°\u202f"];
  const anything = fc.oneof(
    fc.uint16Array({ maxLength: 80 }).map((units) => String.fromCharCode(...units)),
    fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 64 }),
    fc.constantFrom("1", " ", "a", "-", "1 ", "Mo ", "1.").map((part) => part.repeat(100_000)),
  );
  const before = process.cpuUsage();
  fc.assert(
    fc.property(anything, (printed) => {
      const date = PrintedDate.parse(printed);
      const exists = !date || new Date(date.value).toISOString().slice(0, 10) === date.value;
      const time = Time.parse(printed);
      const fits = !time || /^[0-2]\d:[0-5]\d(?::[0-5]\d)?$/.test(time.value);
      Count.parse(printed);
      Count.parsePercent(printed);
      Currency.parse(printed);
      PrintedDate.parse(printed, { currency: "JPY", others: [printed] });
      return exists && fits;
    }),
    { numRuns: 1000 },
  );
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(3000);
});

import { describe, expect, test } from "vitest";
import { type Field, normalize } from "#core/canonical/normalize";
import * as PrintedDate from "./printed-date.ts";
import * as Time from "./time.ts";

const createdAt = new Date("2026-11-30T08:00:00Z");
const read = (printed: string, currency?: string, others?: string[]) =>
  PrintedDate.parse(printed, { currency, others, createdAt });

describe("a date as tills print it", () => {
  test.each([
    // Year first by custom, whatever the separator.
    ["24/05/12", "KRW", "2024-05-12"],
    ["24.05.12", "KRW", "2024-05-12"],
    ["24-05-12 (일) 14:30", "KRW", "2024-05-12"],
    ["24. 5. 2.", "KRW", "2024-05-02"],
    ["'24.05.12", "KRW", "2024-05-12"],
    ["2024.05.12.", "HUF", "2024-05-12"],
    ["24.05.12.", "HUF", "2024-05-12"],
    ["24/05/12", "TWD", "2024-05-12"],
    ["24.05.12", "CNY", "2024-05-12"],
    ["24-05-12", "SEK", "2024-05-12"],
    ["24.05.12", "MNT", "2024-05-12"],
    ["06.10.2019", "HUF", "2019-10-06"],
    ["2024年5月12日(日)", "JPY", "2024-05-12"],
    ["2024年05月12日 日曜日 14時30分", "JPY", "2024-05-12"],
    ["24年5月12日", "CNY", "2024-05-12"],
    ["2024년 5월 12일 (일) 오후 2:30", "KRW", "2024-05-12"],
    ["２０２４／０５／１２", "JPY", "2024-05-12"],
    // Day first and month first.
    ["06/10/2019", "GBP", "2019-10-06"],
    ["06/10/19", "AUD", "2019-10-06"],
    ["06/10/2019", "USD", "2019-06-10"],
    ["25/12/2019", "USD", "2019-12-25"],
    ["12/25/19", "EUR", "2019-12-25"],
    ["06/10/2019", "ZAR", "2019-10-06"],
    ["16/4-2024", "DKK", "2024-04-16"],
    ["16/4 2024", "SEK", "2024-04-16"],
    // Calendars.
    ["25/12/2567", "THB", "2024-12-25"],
    ["25/12/67", "THB", "2024-12-25"],
    ["25 ธ.ค. 67 14:30 น.", "THB", "2024-12-25"],
    ["25 ธันวาคม พ.ศ. 2567", "THB", "2024-12-25"],
    ["๒๕/๑๒/๒๕๖๗", "THB", "2024-12-25"],
    ["12/05/2024", "THB", "2024-05-12"],
    ["2081/01/30", "NPR", "2024-05-12"],
    ["२०८१/०१/३०", "NPR", "2024-05-12"],
    ["81/01/30", "NPR", "2024-05-12"],
    ["2081 Baisakh 30", "NPR", "2024-05-12"],
    ["2081-02-32", "NPR", "2024-06-14"],
    ["1403/02/23", "IRR", "2024-05-12"],
    ["۱۴۰۳/۰۲/۲۳", "IRR", "2024-05-12"],
    ["۲۳ اردیبهشت ۱۴۰۳", "IRR", "2024-05-12"],
    ["03/02/23", "IRR", "2024-05-12"],
    ["23/02/1403", "AFN", "2024-05-12"],
    ["R6.5.12", "JPY", "2024-05-12"],
    ["R 6.5.12", undefined, "2024-05-12"],
    ["R06/05/12", "JPY", "2024-05-12"],
    ["令和6年5月12日", "JPY", "2024-05-12"],
    ["㋿6年5月12日(日)", "JPY", "2024-05-12"],
    ["令和元年5月12日", "JPY", "2019-05-12"],
    ["H31.4.30", "JPY", "2019-04-30"],
    ["平成30年5月12日", "JPY", "2018-05-12"],
    ["S63.12.31", "JPY", "1988-12-31"],
    ["113/05/12", "TWD", "2024-05-12"],
    ["113年05月12日", "TWD", "2024-05-12"],
    ["民國113年5月12日", undefined, "2024-05-12"],
    ["中華民國113年5月12日", "TWD", "2024-05-12"],
    ["04/11/1445 هـ", "SAR", "2024-05-12"],
    // Names of months and weekdays.
    ["12 ago 2024", "EUR", "2024-08-12"],
    ["12 maart 2024", "EUR", "2024-03-12"],
    ["3 out 2024", "BRL", "2024-10-03"],
    ["3 de outubro de 2024", "BRL", "2024-10-03"],
    ["12 lis 2024", "EUR", "2024-10-12"],
    ["12 lis 2024", "PLN", "2024-11-12"],
    ["12 srp 2024", "CZK", "2024-08-12"],
    ["12. kwiecień 2024", "PLN", "2024-04-12"],
    ["12 KWI 2024", "PLN", "2024-04-12"],
    ["12. ožujka 2024.", "EUR", "2024-03-12"],
    ["12 Απρ 2024", "EUR", "2024-04-12"],
    ["12 ΑΠΡΙΛΙΟΥ 2024", "EUR", "2024-04-12"],
    ["12 мая 2024 г.", "RUB", "2024-05-12"],
    ["12 травня 2024 р.", "UAH", "2024-05-12"],
    ["12 Mayıs 2024 Pazar", "TRY", "2024-05-12"],
    ["Chủ Nhật, 12 tháng 5, 2024", "VND", "2024-05-12"],
    ["12 במאי 2024", "ILS", "2024-05-12"],
    ["١٢ مايو ٢٠٢٤", "EGP", "2024-05-12"],
    ["12 मई 2024", "INR", "2024-05-12"],
    ["2024. gada 12. maijs", "EUR", "2024-05-12"],
    ["2024 m. gegužės 12 d.", "EUR", "2024-05-12"],
    ["2024(e)ko maiatzaren 12(a)", "EUR", "2024-05-12"],
    ["12. touko 2024", "EUR", "2024-05-12"],
    ["16.V.2024", "PLN", "2024-05-16"],
    ["dim. 12 mai 2024 à 14h30", "EUR", "2024-05-12"],
    ["So., 12.05.2024 um 14:30 Uhr", "EUR", "2024-05-12"],
    ["May 12th, 2024 at 2:30 p.m.", "USD", "2024-05-12"],
    ["Sun May 12 '24", "USD", "2024-05-12"],
    ["12-MAY-24 14:30:05", "GBP", "2024-05-12"],
    // Times around.
    ["14:30 12/05/2024", "VND", "2024-05-12"],
    ["2024-05-12T14:30:05+02:00", "EUR", "2024-05-12"],
    ["2024-05-12 14:30:05 GMT", "USD", "2024-05-12"],
    ["12/05/2024 02:30 PM", "MYR", "2024-05-12"],
    ["12.05.2024 14.30", "EUR", "2024-05-12"],
    ["12.05.2024 14 Uhr", "EUR", "2024-05-12"],
  ])("%s of a paper in %s is %s", (printed, currency, value) => {
    expect(read(printed, currency)).toEqual({ value, ambiguous: false });
  });

  test.each([
    "31.02.2031",
    "2031-13-01",
    "2031-02-30",
    "29/02/2023",
    "00/05/2024",
    "12/00/2024",
    "1.2.3",
    "24.5.1",
    "v1.2.20",
    "Version 2.3.20",
    "10.4.1.2",
    "192.168.10.24",
    "+49 30 12 05 20",
    "Tel 12 05 2020",
    "030-12-2031",
    "555-12-2031",
    "12,05,2024",
    "1.250.00",
    "12.05 EUR",
    "€ 12.05.24",
    "12.05.24 %",
    "#12-05-24",
    "12 items 2024",
    "12 Stück 2024",
    "2567",
    "12/2024",
    "Mai 2024",
    "14:30",
    "2024W20",
    "R6.13.12",
    "令和40年5月12日",
    "H31.5.12",
    "2024-05-12-14",
    "12//05//2024",
  ])("%j is not a date", (printed) => {
    expect(read(printed)).toBeNull();
  });

  test.each([
    ["24/05/12", undefined, ["2012-05-24", "2024-05-12"]],
    ["24.05.12", undefined, ["2012-05-24", "2024-05-12"]],
    ["24/05/12", "USD", ["2012-05-24", "2024-05-12"]],
    ["24/05/12", "CAD", ["2024-05-12", "2012-05-24"]],
    ["24/05/12", "ZAR", ["2024-05-12", "2012-05-24"]],
    ["24/05/12", "LKR", ["2024-05-12", "2012-05-24"]],
    ["06/10/2019", "CAD", ["2019-06-10", "2019-10-06"]],
    ["06/10/2019", "PHP", ["2019-06-10", "2019-10-06"]],
    ["06.10.2019", "USD", ["2019-06-10", "2019-10-06"]],
    ["06/05/12", "JPY", ["2024-05-12", "2006-05-12"]],
    ["12/09/2016", "ETB", ["2016-09-12", "2024-05-20"]],
    ["12 lis 2024", undefined, ["2024-10-12", "2024-11-12"]],
    ["5 jui 2024", "EUR", ["2024-06-05", "2024-07-05"]],
    ["1.1.2085", "NPR", ["2028-04-13"]],
  ])("%s of a paper in %s is ambiguous, and every reading is listed", (printed, currency, readings) => {
    const found = read(printed, currency);
    expect(found?.ambiguous).toBe(true);
    expect(found?.value).toBe(found?.readings?.[0]);
    expect(found?.readings).toEqual(expect.arrayContaining(readings));
    if (currency === "CAD" || currency === "ZAR" || currency === "LKR")
      expect(found?.value).toBe(readings[0]);
  });

  test("the two months for which a uniform invoice of Taiwan is valid are not a date", () => {
    expect(read("113年09-10月", "TWD")).toBeNull();
    expect(read("民國113年9-10月", "TWD")).toBeNull();
    expect(read("113年9月10日", "TWD")).toMatchObject({ value: "2024-09-10" });
  });

  test("another date decides the order, or shows that the paper does not follow the custom; the same printed date twice is no evidence", () => {
    expect(read("06/10/2019", "USD", ["25/12/2019"])).toEqual({ value: "2019-10-06", ambiguous: false });
    expect(read("24/05/12", "EUR", ["24/05/31"])).toEqual({ value: "2024-05-12", ambiguous: false });
    expect(read("24/05/12", undefined, ["24/05/12"])?.ambiguous).toBe(true);
    expect(read("06/10/2019", "USD", ["12 May 2019"])).toMatchObject({ ambiguous: true });
    expect(read("06/10/2019", "USD", ["2019-10-06"])).toEqual({ value: "2019-06-10", ambiguous: false });
    expect(read("06/10/2019", undefined, ["May 12, 2019"])).toEqual({
      value: "2019-06-10",
      ambiguous: false,
    });
    // A comma in front of the cents is not American.
    const context = { currency: "USD", decimal: ",", createdAt } as const;
    expect(PrintedDate.parse("06/10/2019", context)?.ambiguous).toBe(true);
  });

  test("a weekday on the paper decides between readings", () => {
    expect(read("Sunday 12/05/2024")).toEqual({ value: "2024-05-12", ambiguous: false });
    expect(read("Thu 12/05/2024")).toEqual({ value: "2024-12-05", ambiguous: false });
  });

  test("a year of two digits is at most one year after the document's day; for due dates, two years", () => {
    const on = (printed: string, yearsAhead?: number) =>
      PrintedDate.parse(printed, { currency: "EUR", createdAt, yearsAhead })?.value;
    expect(on("30/11/27")).toBe("2027-11-30");
    expect(on("30/12/27")).toBe("1927-12-30");
    expect(on("30/12/27", 2)).toBe("2027-12-30");
    expect(read("01/12/27", "EUR")).toMatchObject({
      ambiguous: true,
      readings: ["2027-01-12", "2001-12-27", "1927-12-01"],
    });
    // A replay passes the same day and gets the same value, whenever it runs.
    const earlier = new Date("2019-01-01");
    expect(PrintedDate.parse("30/05/24", { currency: "EUR", createdAt: earlier })?.value).toBe("1924-05-30");
  });

  test("a text that is a date in any country is accepted by the schema", () => {
    for (const printed of ["25/12/2567", "113/05/12", "R6.5.12", "2081-02-32", "1403/02/31", "24. 5. 2."]) {
      expect(PrintedDate.isReadable(printed), printed).toBe(true);
    }
    for (const printed of ["31.02.2031", "total", "12.50", "10.4.1.2"]) {
      expect(PrintedDate.isReadable(printed), printed).toBe(false);
    }
  });
});

test("a document's dates are evidence for each other, and a due date may be further in the future", () => {
  const fields: Field[] = [
    { path: "invoice_date", kind: "date" },
    { path: "due_date", kind: "date" },
    { path: "currency", kind: "currency" },
  ];
  const invoice = { invoice_date: "06/10/26", due_date: "06/24/28", currency: "$" };
  expect(normalize(fields, invoice, { createdAt, dueDates: ["due_date"] })).toEqual({
    invoice_date: { value: "2026-06-10" },
    due_date: { value: "2028-06-24" },
  });
  const open = normalize(fields, { invoice_date: "24/05/12" }, { createdAt });
  expect(open.invoice_date).toEqual({
    value: "2012-05-24",
    ambiguous: true,
    readings: ["2012-05-24", "2024-05-12"],
  });
});

describe("the country that a paper names", () => {
  const paths: Field[] = [
    { path: "supplier.address", kind: "text" },
    { path: "supplier.tax_id", kind: "text" },
    { path: "customer.address", kind: "text" },
    { path: "currency", kind: "currency" },
    { path: "date", kind: "date" },
  ];
  const dateOf = (supplier: Record<string, string>, currency = "USD", customer = "Reno, NV 89501") =>
    normalize(paths, { supplier, customer: { address: customer }, currency, date: "12/10/2024" }).date;
  const open = { value: "2024-10-12", ambiguous: true, readings: ["2024-10-12", "2024-12-10"] };

  test("writes dates in another order than most countries with its currency: the date is ambiguous, and the country's order comes first", () => {
    expect(dateOf({ address: "Av. Amazonas 34, Quito, Ecuador" })).toEqual(open);
    expect(dateOf({ address: "Road Town, British Virgin Islands" })).toEqual(open);
    expect(dateOf({ tax_id: "27AAPFU0939F1ZV" })).toEqual(open);
    expect(dateOf({ address: "Reno, NV 89501" }, "EUR")).toMatchObject({ ambiguous: true });
  });

  test("writes dates in the usual order, or is only the customer's country: nothing is ambiguous", () => {
    expect(dateOf({ address: "Reno, NV 89501" })).toEqual({ value: "2024-12-10" });
    expect(dateOf({}, "USD", "Leeds, United Kingdom")).toEqual({ value: "2024-12-10" });
    expect(dateOf({ address: "Leeds, United Kingdom" }, "EUR")).toEqual({ value: "2024-10-12" });
  });
});

test("a date that is long past in the usual order and recent in another is ambiguous", () => {
  const createdAt = new Date("2026-11-30");
  const readingsOf = (printed: string, currency: string) =>
    PrintedDate.parse(printed, { currency, createdAt })?.readings;
  expect(readingsOf("05/04/24", "SEK")).toEqual(["2005-04-24", "2024-04-05", "2024-05-04"]);
  expect(readingsOf("24.04.05", "EUR")).toEqual(["2005-04-24", "2024-04-05"]);
  expect(readingsOf("05/04/18", "EUR")).toBeUndefined();
  expect(readingsOf("24/04/05", "JPY")).toBeUndefined();
});

describe("a time as tills print it", () => {
  test.each([
    ["PM 02:30", "14:30"],
    ["下午 02:30", "14:30"],
    ["下午2:30", "14:30"],
    ["午後2時30分", "14:30"],
    ["オ後", null],
    ["오후 2:30", "14:30"],
    ["오전 12:05", "00:05"],
    ["오후 12:05", "12:05"],
    ["14:30 น.", "14:30"],
    ["2:30 μ.μ.", "14:30"],
    ["2:30 π.μ.", "02:30"],
    ["۲:۳۰ ق.ظ.", "02:30"],
    ["٢:٣٠ م", "14:30"],
    ["2:30 p. m.", "14:30"],
    ["2:30 de la tarde", "14:30"],
    ["2:30 in the afternoon", "14:30"],
    ["9:15 at night", "21:15"],
    ["ÖS 02:30", "14:30"],
    ["du. 2:30", "14:30"],
    ["2:30 odp.", "14:30"],
    ["02:30 CH", "14:30"],
    ["14 h 30", "14:30"],
    ["14h30m05s", "14:30:05"],
    ["à 14h30", "14:30"],
    ["um 14:30 Uhr", "14:30"],
    ["kl. 14.30", "14:30"],
    ["klo 14.30", "14:30"],
    ["14 Uhr", "14:00"],
    ["2 pm", "14:00"],
    ["14:30:05.123", "14:30:05"],
    ["14:30:05+02:00", "14:30:05"],
    ["14:30 GMT+2", "14:30"],
    ["14:30 (CEST)", "14:30"],
    ["14:30Z", "14:30"],
    ["09:30 WIB", "09:30"],
    ["T14:30", "14:30"],
    ["Saat:14:30", "14:30"],
    ["kl.14:30", "14:30"],
    ["14:30 (GMT+7)", "14:30"],
    ["14 ч 30 мин", "14:30"],
    ["Time: 09:30", "09:30"],
    ["14:30 PM", "14:30"],
    ["0:30 PM", "12:30"],
    ["12:30 AM", "00:30"],
    ["2:30 zzz", null],
    ["25:00", null],
    ["14:61", null],
    ["14:30 - 15:00", null],
    ["14.30 EUR 5", null],
    ["1:2", null],
    ["14", null],
    ["14:30/2", null],
    ["12.03.2020", null],
    ["2:30:99 PM", null],
    ["€ 14.30", null],
    ["-14:30", null],
  ])("%s is %s", (printed, value) => {
    expect(Time.parse(printed)).toEqual(value === null ? null : { value });
  });
});

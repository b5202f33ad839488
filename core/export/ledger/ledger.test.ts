import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { describe, expect, test } from "vitest";
import * as Decimal from "#core/canonical/money/decimal";
import type { Made } from "#core/export/formats";
import * as Given from "#core/export/given";
import * as Papers from "#test/support/papers";
import { columns } from "./datev-columns.ts";
import * as Paper from "./paper.ts";
import * as Windows1252 from "./windows-1252.ts";

const ansi = (bytes: Uint8Array) => new TextDecoder("windows-1252").decode(bytes);

/** A file of `;` or `,` and quotes as another reader sees it. */
const table = (text: string, delimiter = ",", from = 1): Record<string, string>[] =>
  parse(text, { delimiter, columns: true, from_line: from, skip_empty_lines: false });

const plus = (amounts: readonly string[]) =>
  Decimal.format(Decimal.sum(amounts.map((amount) => Decimal.of(amount.replace(",", ".")))));

const decimal = /^-?\d+\.\d{2}$/;

describe("DATEV", () => {
  test("a batch with two rates and a credit note is, byte by byte, what the description says", async () => {
    const items = [Papers.invoice(0, Papers.twoRates), Papers.invoice(1, Papers.creditNote)];
    const { bytes, leftOut, notes } = await Papers.made("datev", items, Papers.datev);
    expect([leftOut, notes]).toEqual([[], []]);
    const behind = `${";".repeat(100)}0${";".repeat(11)}`;
    expect(ansi(bytes).split("\r\n")).toEqual([
      '"EXTF";700;21;"Buchungsstapel";13;20261130081500123;;"";"";"";29098;55003;20260101;4;20261101;20261130;"November";"";1;0;0;"EUR";;"";;;"03";;;"";""',
      expect.stringMatching(
        /^Umsatz \(ohne Soll\/Haben-Kz\);Soll\/Haben-Kennzeichen;WKZ Umsatz;.*;Abw\. Skontokonto$/,
      ),
      `119,00;"S";"EUR";;;;4930;70000;"0009";0311;"R-0";;;"Müller & Söhne GmbH"${behind}`,
      `53,50;"S";"EUR";;;;4930;70000;"0008";0311;"R-0";;;"Müller & Söhne GmbH"${behind}`,
      `119,00;"H";"EUR";;;;4930;70000;"0009";0311;"R-1";;;"Müller & Söhne GmbH"${behind}`,
      "",
    ]);
    expect(bytes.includes(Buffer.from("M\xfcller", "latin1"))).toBe(true);
  });

  test("the line about the batch has the fields of the published example, quoted where that has quotes", async () => {
    const example =
      '"EXTF";700;21;"Buchungsstapel";13;20240130140440439;;"RE";"";"";29098;55003;20240101;4;20240101;20240831;"Buchungsstapel";"WD";1;0;0;"EUR";;"";;;"03";;;"";""';
    const { bytes } = await Papers.made("datev", [Papers.invoice(0)], { ...Papers.datev, initials: "WD" });
    const shape = (line = "") =>
      line
        .split(";")
        .map((field) => (field.startsWith('"') ? "text" : field === "" ? "" : `${field.length} digits`));
    expect(shape(ansi(bytes).split("\r\n")[0])).toEqual(shape(example));
    expect(columns).toHaveLength(125);
  });

  test("every booking fits the published expressions, and its amounts add up to the totals", async () => {
    const items = [
      Papers.invoice(0),
      Papers.invoice(1, Papers.twoRates),
      Papers.invoice(2, Papers.creditNote),
    ];
    const { bytes } = await Papers.made("datev", items, Papers.datev);
    const forms: [string, RegExp][] = [
      ["Umsatz (ohne Soll/Haben-Kz)", /^\d{1,10}[,]\d{2}$/],
      ["Soll/Haben-Kennzeichen", /^["](S|H)["]$/],
      ["WKZ Umsatz", /^["]([A-Z]{3})["]$/],
      ["Konto", /^(\d{1,9})$/],
      ["Gegenkonto (ohne BU-Schlüssel)", /^(\d{1,9})$/],
      ["BU-Schlüssel", /^(["]\d{4}["])$/],
      ["Belegdatum", /^(\d{4})$/],
      ["Belegfeld 1", /^(["][\w$&%*+\-/]{0,36}["])$/],
      ["Buchungstext", /^(["].{0,60}["])$/],
      ["Festschreibung", /^(0|1)$/],
    ];
    const lines = ansi(bytes).split("\r\n").slice(2, -1);
    for (const line of lines)
      for (const [name, form] of forms) expect(line.split(";")[columns.indexOf(name)], name).toMatch(form);
    const rows = table(ansi(bytes), ";", 2);
    const signed = rows.map(
      (row) => `${row["Soll/Haben-Kennzeichen"] === "H" ? "-" : ""}${row[columns[0] ?? ""]}`,
    );
    expect(plus(signed)).toBe(plus(["119.00", "172.50", "-119.00"]));
    expect(rows.map((row) => Object.keys(row).length)).toEqual(rows.map(() => 125));
  });

  test("tips and rounding have accounts of their own, and a vendor's rule decides where the rest goes", async () => {
    const items = [
      Papers.receipt(0, { tip: "1.00", total: "11.00" }),
      Papers.receipt(1, { rounding: "-0.02", total: "9.98" }),
    ];
    const { bytes, reasons } = await Papers.made("datev", items, Papers.datev);
    expect(reasons).toEqual([]);
    const lines = ansi(bytes).split("\r\n").slice(2, -1);
    expect(lines.map((line) => line.split(";").slice(0, 9).join(";"))).toEqual([
      '10,00;"S";"EUR";;;;4650;1000;',
      '1,00;"S";"EUR";;;;4651;1000;',
      '10,00;"S";"EUR";;;;4650;1000;',
      '0,02;"H";"EUR";;;;4969;1000;',
    ]);
  });

  test("characters that Windows-1252 lacks are reported and never become a question mark; a text that is cut is reported", async () => {
    const named = (name: string) => ({ supplier: Papers.supplier(name) });
    const items = [
      Papers.invoice(0, { ...named("Şahin 株式会社 – 5 €"), invoice_number: "2026/11 №7" }),
      Papers.invoice(1, named(`"${"x".repeat(70)}";\r\n`)),
      Papers.invoice(2, named("=1+1")),
    ];
    const { bytes, notes } = await Papers.made("datev", items, Papers.datev);
    const rows = table(ansi(bytes), ";", 2);
    expect(rows.map((row) => row.Buchungstext)).toEqual(["ahin – 5 €", `"${"x".repeat(59)}`, "'=1+1"]);
    expect(rows[0]?.["Belegfeld 1"]).toBe("2026/11--7");
    expect(bytes.includes(0x80)).toBe(true);
    expect(bytes.includes("?")).toBe(false);
    expect(notes).toEqual([
      'item 0 (0.png): the number "2026/11 №7" is written as 2026/11--7',
      expect.stringMatching(/^item 0 \(0\.png\): the booking text lacks Ş 株 式 会 社: Windows-1252/),
      "item 1 (1.png): the booking text is cut to 60 of 73 characters",
    ]);
    expect(Windows1252.writable("A\u0308\u0081").lacks).toEqual(["\u0081"]);
    expect(() => Windows1252.encode("株")).toThrow("Windows-1252");
  });
});

describe("Beancount", () => {
  test("a transaction balances to the last printed digit, all its amounts with the same decimals", async () => {
    const items = [
      Papers.receipt(0, { subtotal: "10", tip: "0.5", total: "10.5" }, { items: [] }),
      Papers.receipt(1, { rounding: "-0.02", total: "9.98" }, { merchant: Papers.merchant('A "B" \\ C\nD') }),
    ];
    const { bytes, leftOut } = await Papers.made("beancount", items, {
      ...Papers.beancount,
      open_on: undefined,
    });
    expect(leftOut).toEqual([]);
    expect(bytes.toString()).toBe(`2026-11-05 * "Café \\"Blau\\"" "B0"
  run: "november"
  item: "0"
  file: "0.png"
  request: "r~0"
  Expenses:Meals  10.0 EUR
  Expenses:Tips  0.5 EUR
  Assets:Cash  -10.5 EUR

2026-11-05 * "A \\"B\\" \\\\ C D" "B1"
  run: "november"
  item: "1"
  file: "1.png"
  request: "r~1"
  Expenses:Office  10.00 EUR
  Expenses:Rounding  -0.02 EUR
  Liabilities:Payables  -9.98 EUR

`);
  });

  test("taxes go to their accounts, which the file opens when asked to; without taxes all is expense", async () => {
    const items = [Papers.invoice(0, Papers.twoRates)];
    const { bytes } = await Papers.made("beancount", items, Papers.beancount);
    expect(bytes.toString()).toContain("2026-01-01 open Assets:VAT:19 EUR\n");
    const postings = bytes.toString().match(/^ {2}\w+:\S+ {2}.*$/gm);
    expect(postings).toEqual([
      "  Expenses:Office  150.00 EUR",
      "  Assets:VAT:19  19.00 EUR",
      "  Assets:VAT:7  3.50 EUR",
      "  Liabilities:Payables  -172.50 EUR",
    ]);
    const { taxes: _, ...plain } = Papers.beancount;
    const gross = await Papers.made(
      "beancount",
      [Papers.invoice(0, Papers.twoRates), Papers.receipt(1, {})].slice(0, 1),
      plain,
    );
    expect(gross.bytes.toString()).toContain("  Expenses:Office  172.50 EUR\n");
  });
});

describe("bills", () => {
  test("have the columns of each program's template, and lines that add up to the totals", async () => {
    const items = [Papers.invoice(0), Papers.invoice(1, { ...Papers.twoRates, due_date: null })];
    const xero = await Papers.made("xero", items, { ...Papers.xero, payment_days: 30 });
    const [header, ...lines] = xero.bytes.toString().trimEnd().split("\n");
    expect(header).toBe(
      "*ContactName,EmailAddress,POAddressLine1,POAddressLine2,POAddressLine3,POAddressLine4,POCity,PORegion,POPostalCode,POCountry,*InvoiceNumber,*InvoiceDate,*DueDate,Total,InventoryItemCode,Description,*Quantity,*UnitAmount,*AccountCode,*TaxType,TaxAmount,TrackingName1,TrackingOption1,TrackingName2,TrackingOption2,Currency",
    );
    expect(lines[1]).toBe(
      'Müller & Söhne GmbH,,,,,,,,,,R-1,03/11/2026,03/12/2026,172.50,,"Expense, tax 19 %",1,119.00,429,19% VAT,19.00,,,,,EUR',
    );
    const ofXero = table(xero.bytes.toString());
    expect(plus(ofXero.map((row) => row["*UnitAmount"] ?? ""))).toBe("291.5");
    // Every column with a star has something in every line.
    for (const row of ofXero)
      for (const [name, value] of Object.entries(row))
        if (name.startsWith("*")) expect(value, name).not.toBe("");

    const { taxes: _, ...untaxed } = Papers.quickbooks;
    const plain = await Papers.made("quickbooks", items.slice(0, 1), untaxed);
    expect(plain.bytes.toString()).toBe(
      "*BillNo,*Supplier,*BillDate,*DueDate,Terms,Location,Memo,*Account,LineDescription,*LineAmount,Currency\nR-0,Müller & Söhne GmbH,11/03/2026,11/17/2026,,,,Office Supplies,Expense,119.00,EUR\n",
    );
    const books = await Papers.made("quickbooks", items, { ...Papers.quickbooks, payment_days: 30 });
    const ofBooks = table(books.bytes.toString());
    expect(plus(ofBooks.map((row) => row["*LineAmount"] ?? ""))).toBe("291.5");
    expect(plus(ofBooks.map((row) => row.LineTaxAmount ?? ""))).toBe("41.5");
    for (const row of ofBooks) expect(row["*LineAmount"]).toMatch(decimal);
  });

  test("a number that is missing or too long, and a name that looks like a formula", async () => {
    const items = [
      Papers.invoice(0, { invoice_number: null, supplier: Papers.supplier("=cmd") }),
      Papers.invoice(1, { invoice_number: "1234567890-1234567890-A" }),
      Papers.invoice(2, { invoice_number: "1234567890-1234567890-B" }),
    ];
    const { bytes, notes, reasons } = await Papers.made("quickbooks", items, {
      ...Papers.quickbooks,
      number_from: "file",
    });
    const rows = table(bytes.toString());
    expect(rows.map((row) => [row["*BillNo"], row["*Supplier"]])).toEqual([
      ["0.png", "'=cmd"],
      ["1234567890-1234567890", "Müller & Söhne GmbH"],
    ]);
    // If its number were cut, it would become a line of the other bill.
    expect(reasons).toEqual(["2 duplicate"]);
    expect(notes).toHaveLength(2);
  });

  test("Xero takes 500 bills a file: the others are named, and `items` picks them", async () => {
    const one = Papers.invoice(0);
    const items = Array.from({ length: 502 }, (_, i) => {
      return { ...one, index: i, result: { ...one.result, invoice_number: `R-${i}` } };
    });
    const first = await Papers.made("xero", items, Papers.xero);
    expect(first.reasons).toEqual(["500 file_full", "501 file_full"]);
    const rest = await Papers.made("xero", items, { ...Papers.xero, items: { from: 500 } });
    expect([rest.reasons, table(rest.bytes.toString()).length]).toEqual([[], 2]);
  });
});

describe("docs/ledgers.md", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/ledgers.md"), "utf8");

  test("its example mappings are valid, one for each format", async () => {
    const found = [...page.matchAll(/^### (\w+)\n\n```json\n([^`]+)```$/gm)];
    expect(found.map(([, format]) => format)).toEqual(["datev", "xero", "quickbooks", "beancount"]);
    for (const [, format, json] of found)
      await expect(Given.parse(json ?? "", format as Made), format).resolves.toHaveProperty("vendors");
  });

  test("it has every reason", () => {
    const named = new Set([...page.matchAll(/`(\w+)`/g)].map(([, name]) => name));
    expect(Paper.reasons.filter((reason) => !named.has(reason))).toEqual([]);
  });
});

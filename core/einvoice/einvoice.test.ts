import { describe, expect, test } from "vitest";
import { cii, ubl, zugferd1 } from "#test/support/einvoices";
import * as Einvoice from "./einvoice.ts";
import * as Fields from "./fields.ts";
import { matchesEmbedded } from "./matches.ts";
import type { Embedded } from "./schema.ts";
import { bounds } from "./xml.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function read(text: string): Embedded {
  const found = Einvoice.find([bytes(text)]);
  if (found === undefined || "problem" in found) throw new Error(`not read: ${found?.problem}`);
  return found.embedded;
}

const expected: Fields.Fields = {
  invoice_number: "RE-2026/0117",
  invoice_date: "2026-11-03",
  due_date: "2026-12-03",
  purchase_order: "PO-9",
  supplier: {
    name: "Quellwerk GmbH",
    address: "Am Brunnen 1, 00001 Musterstadt, DE",
    tax_id: "DE000000000",
    email: "rechnung@quellwerk.example",
    phone: "+49 000 555",
    iban: "DE00000000000000000000",
    bic: "EXAMPLE0XXX",
  },
  customer: { name: "Gartenbau Example", address: null, tax_id: null },
  currency: "EUR",
  line_items: [
    { description: "Pump & hose", quantity: "2", unit_price: "50", tax_rate: "19", amount: "100" },
    { description: "Manual", quantity: "4", unit_price: "10", tax_rate: "7", amount: "40" },
  ],
  taxes: [
    { rate: "19", base: "90", amount: "17.1" },
    { rate: "7", base: "40", amount: "2.8" },
  ],
  ...{ subtotal: "140", discount: "10", shipping: null, tax: "19.9", total: "149.9" },
  ...{ amount_paid: "49.9", amount_due: "100" },
};

describe("an e-invoice", () => {
  test("is read alike from CII, ZUGFeRD 1 and UBL, and its sums are right", () => {
    for (const [text, syntax] of [
      [cii, "cii"],
      [zugferd1, "zugferd1"],
      [ubl, "ubl"],
    ] as const) {
      const embedded = read(text);
      expect(embedded).toMatchObject({ syntax, profile: "urn:cen.eu:en16931:2017", lines: 2 });
      expect(embedded.fields).toEqual(expected);
      expect(embedded.sums).toHaveLength(7);
      expect(embedded.sums.filter(({ ok }) => !ok)).toEqual([]);
    }
  });

  test("is known by its root element, in any encoding that XML declares", () => {
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(cii, "utf16le")]);
    expect(Einvoice.find([utf16])).toHaveProperty("embedded.fields.total", "149.9");
    const latin = cii.replace("UTF-8", "ISO-8859-1").replace("Quellwerk", "Quellwérk");
    expect(Einvoice.find([Buffer.from(latin, "latin1")])).toHaveProperty(
      "embedded.fields.supplier.name",
      "Quellwérk GmbH",
    );
    expect(Einvoice.find([bytes("<html><body>factur-x.xml</body></html>")])).toBeUndefined();
    expect(Einvoice.find([bytes("%PDF-1.7")])).toBeUndefined();
    expect(Einvoice.find([bytes("")])).toBeUndefined();
    const found = Einvoice.find([bytes("<a/>"), bytes(ubl), bytes(cii)]);
    expect(found).toHaveProperty("embedded.syntax", "ubl");
  });

  test("whose tax is a euro off is noticed, although the official rules let it pass", () => {
    const wrong = read(
      cii.replace("17.10", "18.10").replace(">19.90<", ">20.90<").replaceAll("149.90", "150.90"),
    );
    const failed = wrong.sums.filter(({ ok }) => !ok);
    expect(failed).toEqual([
      {
        id: "tax_is_base_times_rate",
        ok: false,
        fields: ["taxes[0].rate", "taxes[0].base", "taxes[0].amount"],
        expected: "17.1",
        actual: "18.1",
      },
      expect.objectContaining({ id: "amount_due_is_total_minus_paid", expected: "101", actual: "100" }),
    ]);
    // The digits that a generator adds by binary fractions are no error.
    expect(read(cii.replace(">19.90<", ">19.900000000000002<")).sums.every(({ ok }) => ok)).toBe(true);
  });

  test("that cannot be read says why, and nothing of its content", () => {
    const problem = (text: string, limits?: typeof bounds) => Einvoice.find([bytes(text)], limits);
    expect(problem(cii.slice(0, -20))).toEqual({ problem: "it is not well-formed XML" });
    expect(problem(cii.replace("?>", '?><!DOCTYPE a SYSTEM "file:///a">'))).toEqual({
      problem: "it has a document type declaration",
    });
    expect(problem(cii, { ...bounds, elements: 20 })).toEqual({ problem: "it has more than 20 elements" });
    expect(problem(cii, { ...bounds, depth: 3 })).toEqual({ problem: "it is nested more than 3 deep" });
    expect(problem(cii, { ...bounds, bytes: cii.length - 1 })).toHaveProperty("problem");
    expect(problem(cii, { ...bounds, bytes: cii.length, depth: 8, elements: 100 })).toHaveProperty(
      "embedded",
    );
    expect(problem(cii.replace("UTF-8", "x-unknown"))).toEqual({
      problem: "it declares an encoding that is not known",
    });
  });
});

test("decimals and dates of files in canonical form; anything else is null", () => {
  const decimals = { "10.10": "10.1", "-0.00": "0", "+007": "7", ".5": "0.5", "-3.": "-3" };
  for (const [printed, canonical] of Object.entries(decimals))
    expect(Fields.decimal(printed)).toBe(canonical);
  for (const none of ["", ".", "1,5", "1e3", "NaN", "12.5 EUR", null])
    expect(Fields.decimal(none)).toBeNull();
  expect(Fields.date("20240229")).toBe("2024-02-29");
  expect(Fields.date("2026-11-03+01:00")).toBe("2026-11-03");
  for (const none of ["20230229", "2026-13-01", "3.11.2026", "", null]) expect(Fields.date(none)).toBeNull();
});

test("the model's answer is compared with it, field by field, only where both have an unambiguous value", () => {
  const fields = [
    { path: "invoice_number", kind: "text" },
    { path: "supplier.iban", kind: "text" },
    { path: "customer.name", kind: "text" },
    { path: "total", kind: "money" },
    { path: "tax", kind: "money" },
    { path: "amount_due", kind: "money" },
    { path: "invoice_date", kind: "date" },
  ];
  const result = {
    invoice_number: "RE 2026-0117",
    supplier: { iban: "DE00 0000 0000 0000 0000 01" },
    customer: { name: "Someone else" },
    total: "149,90",
    tax: "19.90",
    amount_due: null,
    invoice_date: "03.11.26",
  };
  const normalized = {
    total: { value: "149.9" },
    tax: { value: "1990", ambiguous: true as const },
    invoice_date: { value: "2026-11-03" },
  };
  const checks = matchesEmbedded(fields, { result, normalized }, read(cii));
  expect(checks.map(({ fields, ok }) => [fields[0], ok])).toEqual([
    ["invoice_number", true],
    ["supplier.iban", false],
    ["total", true],
    ["invoice_date", true],
  ]);
  expect(checks[1]).toMatchObject({ id: "matches_embedded", expected: "DE00000000000000000000" });
});

import { describe, expect, test } from "vitest";
import * as Country from "#core/canonical/country/country";
import { type Field, normalize } from "#core/canonical/normalize";

const fields: Field[] = [
  { path: "merchant.address", kind: "text" },
  { path: "merchant.phone", kind: "text" },
  { path: "merchant.tax_id", kind: "text" },
  { path: "customer.address", kind: "text" },
  { path: "currency", kind: "currency" },
  { path: "items[].name", kind: "text" },
  { path: "items[].price", kind: "money" },
  { path: "total", kind: "money" },
];

interface Paper {
  address?: string;
  phone?: string;
  tax_id?: string;
  customer?: string;
  currency?: string;
  prices?: string[];
}

/** Total first, then the prices. */
function read(total: string, { address, phone, tax_id, customer, currency, prices = [] }: Paper = {}) {
  const normalized = normalize(fields, {
    merchant: { address, phone, tax_id },
    customer: { address: customer },
    currency,
    items: prices.map((price) => ({ name: "Example", price })),
    total,
  });
  return { field: normalized.currency, total: normalized.total, first: normalized["items[0].price"] };
}

describe("the currency of an amount", () => {
  test("says whether it was printed beside it, is the document's, or follows from the country", () => {
    expect(read("RM 3.00").total).toEqual({
      value: "3",
      currency: "MYR",
      decimals: 2,
      currency_source: "printed",
    });
    expect(read("3.00", { currency: "RM" }).total).toEqual({
      value: "3",
      currency: "MYR",
      decimals: 2,
      currency_source: "document",
    });
    expect(read("$3.00", { address: "12 Example St, Springfield, IL 62704" }).total).toEqual({
      value: "3",
      currency: "USD",
      decimals: 2,
      currency_source: "country",
    });
    expect(read("3,00", { tax_id: "USt-IdNr. DE 123 456 789" }).total).toMatchObject({
      currency: "EUR",
      currency_source: "tax_id",
    });
    expect(read("$3.00", { phone: "Tel. +65 6555 0123" }).total).toMatchObject({
      currency: "SGD",
      currency_source: "phone",
    });
    expect(read("3.00").total).toEqual({ value: "3", currency: null, decimals: 2 });
  });

  test.each<[string, Paper, string | null]>([
    ["$ 3.00", { address: "1 Example Rd, Toronto, ON M5V 2T6" }, "CAD"],
    ["$ 3.00", { address: "1 Example Rd, Sydney NSW 2000" }, "AUD"],
    ["$ 3.00", { address: "1 Example Rd, Singapore 238801" }, "SGD"],
    ["$ 3.00", { address: "Calle Ejemplo 5, Bogotá, Colombia" }, "COP"],
    ["$ 3.00", { address: "Calle Ejemplo 5, Santa Fe, New Mexico" }, null],
    ["$ 3.00", { address: "5 Example St, Lebanon" }, "USD"],
    ["Rs. 500/-", { tax_id: "GSTIN: 29ABCDE1234F1Z5" }, "INR"],
    ["Rs. 500/-", { address: "5 Example Rd, Colombo 03, Sri Lanka" }, "LKR"],
    ["kr 49,-", { tax_id: "CVR DK12345678" }, "DKK"],
    ["kr 49,-", { phone: "+46 8 123 456" }, "SEK"],
    ["kr 49,-", { phone: "08-123 456" }, null],
    ["¥1,200", { address: "東京都例区1-2-3, 日本" }, "JPY"],
    ["¥1,200", { tax_id: "T1234567890123" }, "JPY"],
    ["SR 45.00", { tax_id: "VAT 300000000000003" }, "SAR"],
    ["500 FCFA", { address: "BP 12, Dakar, Sénégal" }, "XOF"],
    ["C$ 45", { address: "Managua, Nicaragua" }, "NIO"],
    ["45,00 lei", { phone: "+373 22 123 456" }, "MDL"],
    ["45,00 lei", {}, "RON"],
    // The paper's own marks come first, and a country that uses neither decides nothing.
    ["£ 3.00", { address: "1 Example St, Dublin, Ireland" }, "GBP"],
    ["€ 3.00", { address: "Beispielweg 1, Zürich, Schweiz" }, "EUR"],
    // More than one currency in use, or two clues that contradict each other.
    ["£ 3.00", { address: "1 Main Street, Gibraltar" }, null],
    ["$ 3.00", { address: "1 Example Rd, Toronto, ON M5V 2T6", customer: "Springfield, IL 62704" }, null],
    ["3.00", { address: "Zürich, Schweiz", customer: "Berlin, Deutschland" }, null],
    ["3.00", { address: "Phnom Penh, Cambodia" }, null],
    ["3.00", { address: "Zürich, Schweiz", prices: ["EUR 2.00"] }, null],
    ["3.00", { address: "Zürich, Schweiz", currency: "Xyz" }, null],
    ["$ 3.00", { address: "Springfield, IL 62704", prices: ["CAD 5.00"] }, null],
  ])("%s of %j is %s", (printed, paper, currency) => {
    expect(read(printed, paper).total?.currency).toBe(currency);
  });

  test("a plain code that differs from the document's is kept", () => {
    const { total, first } = read("46.50", { currency: "CHF", prices: ["EUR 50.00"] });
    expect(total).toMatchObject({ currency: "CHF", currency_source: "document" });
    expect(first).toMatchObject({ currency: "EUR", currency_source: "printed" });
    const beside = read("12,27 €", { prices: ["24,00 лв.", "3,00"] });
    expect(beside.total?.currency).toBe("EUR");
    expect(beside.first?.currency).toBe("BGN");
  });

  test("a code that is a word of receipts needs support from elsewhere on the paper", () => {
    for (const [code, supports] of [
      ["TRY", [{ currency: "TL" }, { prices: ["₺ 5,00"] }, { address: "İstanbul, Türkiye" }]],
      ["PEN", [{ currency: "PEN" }, { prices: ["S/ 5.00"] }, { phone: "+51 1 555 0123" }]],
      ["TOP", [{ currency: "T$" }, { address: "Nukuʻalofa, Tonga" }]],
    ] as const) {
      expect(read(`${code} 12.00`).total).toEqual({ value: "12", currency: null, decimals: 2 });
      expect(read(`${code} 12.00`, { currency: "EUR" }).total).toEqual({
        value: "12",
        currency: null,
        decimals: 2,
      });
      expect(read(`${code} 12.00`, { prices: [`${code} 5.00`] }).total?.currency).toBeNull();
      for (const paper of supports) {
        const support = { ...paper, prices: "prices" in paper ? [...paper.prices] : [] };
        expect(read(`${code} 12.00`, support).total?.currency, JSON.stringify(paper)).toBe(code);
      }
    }
  });

  test("two capitals after cents may be a tax code if the paper's other marks name another currency", () => {
    const open = { value: "24.99", currency: null, decimals: 2 };
    expect(read("24.99 RO", { currency: "USD" }).total).toEqual(open);
    expect(read("24.99 MT", { prices: ["€ 3.00"] }).total).toEqual(open);
    expect(read("$24.99", { prices: ["24.99 CG"] }).first).toEqual(open);
    expect(read("24.99 KM").total).toMatchObject({ currency: "BAM" });
    expect(read("24.99 KM", { currency: "KM" }).total).toMatchObject({ currency: "BAM" });
  });

  test("a letter that a sign is misread as needs support from elsewhere on the paper", () => {
    expect(read("S12.50").total).toEqual({ value: "12.5", currency: null, decimals: 2 });
    expect(read("S12.50", { currency: "USD" }).total).toEqual({ value: "12.5", currency: null, decimals: 2 });
    expect(read("E12.50", { currency: "E" })).toMatchObject({ field: undefined, total: { currency: null } });
    expect(read("E12.50", { currency: "SZL" }).total).toMatchObject({ currency: "SZL" });
    expect(read("E12.50", { address: "Mbabane, Eswatini" }).total).toMatchObject({ currency: "SZL" });
  });

  test("three decimals in a number with grouping are no evidence for the document's separators, and are ambiguous by themselves", () => {
    expect(read("1.591,600").total).toEqual({
      value: "1591.6",
      currency: null,
      decimals: 3,
      ambiguous: true,
    });
    expect(read("1,591.600", { currency: "IDR" }).total).toMatchObject({ value: "1591600", ambiguous: true });
    expect(read("$1'250.000", { currency: "COP", prices: ["250.000"] }).total).toEqual({
      value: "1250000",
      currency: "COP",
      decimals: 0,
      currency_source: "document",
    });
    expect(read("1,591.600", { prices: ["3.50"] }).total).toEqual({
      value: "1591.6",
      currency: null,
      decimals: 3,
    });
  });

  test("a code in brackets names the currency, whatever the words before it are", () => {
    expect(read("100", { currency: "Japanese Yen (JPY)" }).total).toMatchObject({ currency: "JPY" });
    expect(read("100", { currency: "US Dollars" }).total).toMatchObject({ currency: "USD" });
    expect(read("100", { currency: "(EUR) (USD)" }).total).toMatchObject({ currency: null });
  });

  test("a mark that no table knows costs the currency, never the amount", () => {
    expect(read("Zk 12.00", { currency: "EUR" }).total).toEqual({ value: "12", currency: null, decimals: 2 });
    expect(read("12.00", { currency: "Zk" })).toMatchObject({
      field: undefined,
      total: { value: "12", currency: null },
    });
  });

  test("the country's decimals read the amounts of a paper without a mark", () => {
    expect(read("12.500", { address: "Kuwait City, Kuwait" }).total).toEqual({
      value: "12.5",
      currency: "KWD",
      decimals: 3,
      currency_source: "country",
    });
  });
});

describe("the country of a paper", () => {
  test.each<[Country.Source, string, string | null]>([
    ["country", "Beispielweg 1, 10115 Berlin, Deutschland", "EUR"],
    ["country", "Beispielweg 1, 10115 Berlin", null],
    ["country", "12 Jordan Street, Example", null],
    ["country", "Plaza España 3, Example", null],
    ["country", "Atlanta, Georgia", null],
    ["country", "São Paulo - SP, 01310-100, Brasil", "BRL"],
    // Letters and digits that are a state and a ZIP code in form alone.
    ["country", "12 Example St, Memphis, TN 38103", "USD"],
    ["country", "12 Example St, Albany NY 12207-1234", "USD"],
    ["country", "Via Esempio 1, Milano MI 20121", null],
    ["country", "Beispielweg 1, Berlin, DE 10115", null],
    ["country", "12 Rue Exemple, Casablanca, MA 20250", null],
    ["country", "1 Example Rd, Perth WA 6000", "AUD"],
    ["country", "Rue Exemple 1, Exemple SA 1201", null],
    ["tax_id", "IT12345678901", "EUR"],
    ["tax_id", "12.345.678/0001-95", "BRL"],
    ["tax_id", "CHE-123.456.789 MWST", "CHF"],
    ["tax_id", "912 345 678 MVA", "NOK"],
    ["tax_id", "123456789 RT0001", "CAD"],
    ["tax_id", "GST ID 000555011888", null],
    ["tax_id", "12/345/67890", null],
    ["phone", "+49 (0)30 123456", "EUR"],
    ["phone", "0041 44 123 45 67", "CHF"],
    ["phone", "+1 415 555 0123", null],
    ["phone", "+7 495 555-01-23", "RUB"],
    ["phone", "+7 727 555 01 23", "KZT"],
    ["phone", "030 123456", null],
  ])("%s %s is paid in %s", (source, text, currency) => {
    expect(Country.of([{ source, text }])?.currencies[0] ?? null).toBe(currency);
  });
});

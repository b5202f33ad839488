import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Field, normalize } from "./normalize.ts";
import { Normalized } from "./schema.ts";

const fields: Field[] = [
  { path: "date", kind: "date" },
  { path: "currency", kind: "currency" },
  { path: "items[].name", kind: "text" },
  { path: "items[].quantity", kind: "count" },
  { path: "items[].price", kind: "money" },
  { path: "totals.total", kind: "money" },
];

describe("canonical forms of a result", () => {
  test("are listed under concrete paths, and values that cannot be read are left out", () => {
    const result = {
      date: "14/03/2018",
      currency: null,
      items: [
        { name: "Tea", quantity: "2x", price: "3.00" },
        { name: "?", quantity: "??", price: "FREE" },
      ],
      totals: { total: "RM 3.00" },
    };
    expect(normalize(fields, result)).toEqual({
      date: { value: "2018-03-14" },
      "items[0].quantity": { value: "2", unit: null },
      "items[0].price": { value: "3", currency: null, decimals: 2 },
      "totals.total": { value: "3", currency: "MYR", decimals: 2, currency_source: "printed" },
    });
  });

  test("take the currency of an unmarked amount from the currency field, never from another amount", () => {
    const stated = normalize(fields, { currency: "RM", totals: { total: "3.00" } });
    expect(stated["totals.total"]).toEqual({
      value: "3",
      currency: "MYR",
      decimals: 2,
      currency_source: "document",
    });
    const open = normalize(fields, { currency: "$", totals: { total: "3.00" } });
    expect(open).toEqual({ "totals.total": { value: "3", currency: null, decimals: 2 } });
    const decided = normalize(fields, { currency: "$", totals: { total: "3.00 USD" } });
    expect(decided).toEqual({
      currency: { value: "USD" },
      "totals.total": { value: "3", currency: "USD", decimals: 2, currency_source: "printed" },
    });
  });

  test("let the whole document decide separators and dates", () => {
    const grouped = { items: [{ price: "15.000" }, { price: "1.000" }], totals: { total: "16.000" } };
    expect(normalize(fields, grouped)["items[1].price"]).toEqual({
      value: "1000",
      currency: null,
      decimals: 0,
    });
    const alone = normalize(fields, { totals: { total: "16.000" } });
    expect(alone["totals.total"]).toEqual({ value: "16000", currency: null, decimals: 0, ambiguous: true });
    const weighed = { items: [{ quantity: "1.000", price: "2.50" }] };
    expect(normalize(fields, weighed)["items[0].quantity"]).toEqual({ value: "1", unit: null });
    expect(normalize(fields, { date: "06/01/18", currency: "RM" }).date).toEqual({ value: "2018-01-06" });
    expect(normalize(fields, { date: "06/01/18" }).date).toMatchObject({
      value: "2018-01-06",
      ambiguous: true,
    });
  });

  test("come out right for a whole document in the print of any place", () => {
    const places = [
      ["en-US", 2],
      ["de-DE", 2],
      ["fr-FR", 2],
      ["de-CH", 2],
      ["id-ID", 0],
      ["en-US", 0],
      ["en-IN", 2],
    ] as const;
    const amounts = fc.array(fc.integer({ min: 1_000, max: 99_999_999 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(...places), amounts, ([locale, digits], units) => {
        const format = new Intl.NumberFormat(locale, {
          minimumFractionDigits: digits,
          maximumFractionDigits: digits,
        });
        const prices = units.map((unit) => unit / 10 ** digits);
        const items = prices.map((price) => ({ price: format.format(price) }));
        const normalized = normalize(fields, { items });
        expect(Object.values(normalized)).toHaveLength(prices.length);
        for (const [index, price] of prices.entries()) {
          expect(normalized[`items[${index}].price`], JSON.stringify(items)).toEqual({
            value: String(price),
            currency: null,
            decimals: digits,
          });
        }
      }),
    );
  });

  test("are made from any JSON without an exception, from own properties only", () => {
    expect(normalize(fields, JSON.parse('{"__proto__":{"date":"14/03/2018"}}'))).toEqual({});
    expect(normalize(fields, Object.create({ date: "14/03/2018" }))).toEqual({});
    fc.assert(
      fc.property(fc.jsonValue(), (result) => Normalized.safeParse(normalize(fields, result)).success),
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (price, total) => {
        const normalized = normalize(fields, { items: [{ price, name: price }], totals: { total } });
        return Normalized.safeParse(normalized).success;
      }),
    );
  });
});

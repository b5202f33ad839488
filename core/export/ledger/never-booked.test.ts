import { describe, expect, test } from "vitest";
import type { Made } from "#core/export/formats";
import type { Item } from "#core/run/schema";
import * as Papers from "#test/support/papers";
import * as Paper from "./paper.ts";

const ansi = (bytes: Uint8Array) => new TextDecoder("windows-1252").decode(bytes);

const without = (mapping: Record<string, unknown>, name: string) => ({ ...mapping, [name]: undefined });

const failed = {
  status: "failed",
  result: null,
  error: { code: "bad_image", message: "no picture" },
} as never;

const { checks, normalized } = Papers.invoice(0);

const zero = { line_items: [], subtotal: "0,00", taxes: [], tax: null, total: "0,00" };

/** Each reason, with a paper that is left out for it, in a format that has this reason. */
const cases: [Paper.LeftOut["reason"], Item, Made?, Record<string, unknown>?][] = [
  ["not_read", Papers.invoice(0, {}, failed)],
  ["incomplete", Papers.invoice(0, {}, { complete: false })],
  ["breaks_schema", Papers.invoice(0, {}, { schema_ok: false })],
  ["checks_failed", Papers.invoice(0, {}, { checks: [{ ...checks?.[0], ok: false } as never] })],
  ["unchecked", Papers.invoice(0, {}, { checks: null })],
  [
    "ambiguous",
    Papers.invoice(0, {}, { normalized: { ...normalized, total: { value: "119", ambiguous: true } } }),
  ],
  ["no_total", Papers.invoice(0, { total: null })],
  ["nothing_to_book", Papers.invoice(0, zero)],
  ["no_currency", Papers.invoice(0, { currency: null })],
  ["other_currency", Papers.invoice(0, { currency: "CHF" })],
  ["no_date", Papers.invoice(0, { invoice_date: null })],
  ["outside_period", Papers.invoice(0, { invoice_date: "31.10.2026" })],
  ["no_vendor", Papers.invoice(0, { supplier: Papers.supplier(null) }), "xero"],
  ["no_number", Papers.invoice(0, { invoice_number: null }), "xero"],
  ["no_due_date", Papers.invoice(0, { due_date: null }), "quickbooks"],
  ["no_account", Papers.invoice(0), "datev", without(Papers.datev, "account")],
  ["tax_not_split", Papers.invoice(0, { taxes: [{ rate: "19 %", base: "90,00", amount: "19,00" }] })],
  ["tax_not_split", Papers.invoice(0, { taxes: [{ rate: null, base: "100,00", amount: "19,00" }] })],
  ["tax_not_split", Papers.invoice(0, { taxes: [{ rate: "7 %", base: null, amount: "19,00" }] })],
  [
    "tax_not_split",
    Papers.invoice(0, { ...Papers.twoRates, taxes: Papers.twoRates.taxes.slice(0, 1), tax: null }),
  ],
  ["tax_not_split", Papers.receipt(0, { tax: "1.60" })],
  [
    "no_tax_code",
    Papers.invoice(0, { taxes: [], tax: null, subtotal: "119,00", line_items: [] }),
    "xero",
    { ...Papers.xero, taxes: [{ rate: "19", code: "A" }] },
  ],
  ["tip", Papers.receipt(0, { tip: "1.00", total: "11.00" }), "datev", without(Papers.datev, "tips")],
  [
    "rounding",
    Papers.receipt(0, { rounding: "-0.02", total: "9.98" }),
    "datev",
    without(Papers.datev, "rounding"),
  ],
  ["credit_note", Papers.invoice(0, Papers.creditNote), "quickbooks"],
  [
    "too_many_decimals",
    Papers.receipt(0, { subtotal: "10.125", total: "10.125" }, { items: [], currency: "KWD" }),
    "datev",
    { ...Papers.datev, currency: "KWD" },
  ],
  [
    "amount_too_large",
    Papers.receipt(0, { subtotal: "12345678901.00", total: "12345678901.00" }, { items: [] }),
  ],
];

describe("what is never booked", () => {
  test.each(cases)("%s", async (reason, item, format = "datev", mapping = (Papers as never)[format]) => {
    const { reasons, leftOut, bytes } = await Papers.made(format, [item], mapping);
    expect(reasons, leftOut[0]?.message).toEqual([`0 ${reason}`]);
    expect(ansi(bytes).trimEnd().split("\n")).toHaveLength(format === "datev" ? 2 : 1);
  });

  test("a failed check keeps an item out, even if its amounts add up", async () => {
    const variant = (name: string) =>
      Papers.invoice(0, {}, { checks: [{ ...checks?.[0], ok: true, variant: name } as never] });
    for (const [name, reason] of [
      ["tax_withheld", "tax_withheld"],
      ["tax_added_after_payment", "total_after_payment"],
    ] as const)
      expect((await Papers.made("datev", [variant(name)], Papers.datev)).reasons).toEqual([`0 ${reason}`]);
  });

  test("a paper that was photographed twice is booked once; another number, day or price is another paper", async () => {
    const same = { invoice_number: "R-0" };
    const items = [
      Papers.invoice(0),
      Papers.invoice(1, same),
      Papers.invoice(2, { ...same, invoice_date: "04.11.2026" }),
    ];
    expect((await Papers.made("datev", items, Papers.datev)).reasons).toEqual(["1 duplicate"]);
    expect((await Papers.made("xero", items, Papers.xero)).reasons).toEqual(["1 duplicate", "2 duplicate"]);
  });

  test("a rate is taken from the amounts only where the mapping says so, and one alone gives the tax", async () => {
    const items = [Papers.receipt(0, { tax: "1.60" }), Papers.receipt(1, { tax: "1.23" })];
    const { bytes, reasons } = await Papers.made("datev", items, {
      ...Papers.datev,
      rate_from_amounts: true,
    });
    expect(reasons).toEqual(["1 tax_not_split"]);
    expect(ansi(bytes)).toContain('\r\n10,00;"S";"EUR";;;;4650;1000;"0009";0511;');
  });

  test("a currency is assumed only where the mapping says so", async () => {
    const items = [Papers.invoice(0, { currency: null }), Papers.invoice(1, { currency: "USD" })];
    const { reasons } = await Papers.made("datev", items, { ...Papers.datev, assume_currency: true });
    expect(reasons).toEqual(["1 other_currency"]);
  });

  test("a task that reads no date has no ledger", async () => {
    const item = Papers.item("receipt_fields_v1", 0, { total: "1.00" });
    await expect(Papers.made("beancount", [item], Papers.beancount)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(
        /^format: beancount needs a date, which the task receipt_fields_v1 does not read/,
      ),
    });
  });
});

test("every reason has a paper above that is left out for it", () => {
  const elsewhere = ["duplicate", "file_full", "tax_withheld", "total_after_payment"];
  expect([...new Set([...cases.map(([reason]) => reason), ...elsewhere])].sort()).toEqual(
    [...Paper.reasons].sort(),
  );
});

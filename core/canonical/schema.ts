import * as z from "zod";

/**
 * The schemas of the canonical layer, in a module of their own: a module that only describes the API does not load the
 * readers.
 */

export const NormalizedValue = z
  .object({
    value: z.string().meta({
      description: "Canonical form: a plain decimal, an ISO date, HH:MM or HH:MM:SS, an ISO 4217 code",
    }),
    currency: z
      .string()
      .nullable()
      .optional()
      .meta({ description: "Amounts only: ISO 4217 where the document says it, else null" }),
    decimals: z.int().optional().meta({
      description:
        "Amounts only: how many digits are printed behind the decimal sign. `value` has no trailing zeros: 2 says that `10.5` is printed as 10.50. Absent in what was stored before it existed",
    }),
    currency_source: z.enum(["printed", "document", "country", "tax_id", "phone"]).optional().meta({
      description:
        "Beside a currency: how it is known. printed: by the amount's own mark; document: by the currency field, or by the only currency that other amounts name; country, tax_id, phone: by the currency of the country that the address, the tax number or the telephone number shows",
    }),
    unit: z.string().nullable().optional().meta({ description: "Quantities only: the printed unit" }),
    ambiguous: z.literal(true).optional().meta({
      description: "Another reading of the printed text is equally good, and nothing in the document decides",
    }),
    readings: z.array(z.string()).optional().meta({
      description:
        "If a value is ambiguous and its readings can be listed: all of them in canonical form, the likeliest first. `value` is the first",
    }),
  })
  .meta({ id: "NormalizedValue" });
export type NormalizedValue = z.infer<typeof NormalizedValue>;

export const Normalized = z.record(z.string(), NormalizedValue).meta({
  id: "Normalized",
  description:
    "Canonical forms by concrete path (`items[0].price`); values that cannot be read as their kind are left out",
});
export type Normalized = z.infer<typeof Normalized>;

export const Check = z
  .object({
    id: z.string(),
    ok: z.boolean(),
    fields: z
      .array(z.string())
      .meta({ description: "The values that took part, by path; `items[].price` stands for all rows" }),
    expected: z
      .string()
      .meta({ description: "What the other values add up to; for dates, the earliest that fits" }),
    actual: z.string().meta({ description: "What is printed" }),
    tolerance: z
      .string()
      .nullable()
      .meta({ description: "Largest difference that is still right; null for dates" }),
    tolerance_from: z.enum(["currency", "magnitude", "precision"]).nullable().meta({
      description:
        "currency: its cash rounding; magnitude: large whole amounts, or coins of five or ten cents, where no currency is known; precision: one smallest unit a part",
    }),
    variant: z
      .string()
      .nullable()
      .meta({
        description:
          "The reading of the document that fits best, where there are several. Of totals: `no_tax`, `tax_added`, " +
          "`tax_included`; without a printed sum of several taxes `taxes_added`, `taxes_included`, " +
          "`taxes_partly_added`, `tax_withheld`; with `_discount_applied`, `_service_included`, `_shipping_included`, `_tip_apart` or " +
          "`_after_payment` behind them where these are in the base, in the prices, below the total or taken off " +
          "already. Of a subtotal: `subtotal`, `subtotal_after_discount`, `subtotal_before_tax`, " +
          "`subtotal_after_discount_before_tax`. Of a row: `without_tax`, `with_tax`, `tax_taken_off`, `taken_back`. Of change: " +
          "`cash_and_card`, `cash_alone`, `voucher`, `tip_apart`, `refund`, `cash_minus_refund`. Of taxes: " +
          "`tax_withheld`. Others may follow.",
      }),
  })
  .meta({ id: "Check", description: "One arithmetic check of the extracted values against each other" });
export type Check = z.infer<typeof Check>;

import * as z from "zod";

/*
 * What is taken from an e-invoice: the fields of the task `invoice_v1`, by the same names, so that a value of the file
 * can be compared with the value that was read from the paper. The number after each is its business term in EN 16931.
 */

const text = z.string().nullable();

export const Line = z.object({
  /** BT-153. */
  description: text,
  /** BT-129, as a decimal. */
  quantity: text,
  /** BT-146. */
  unit_price: text,
  /** BT-152, in percent. */
  tax_rate: text,
  /** BT-131. */
  amount: text,
});
export type Line = z.output<typeof Line>;

export const Tax = z.object({
  /** BT-119, in percent. */
  rate: text,
  /** BT-116. */
  base: text,
  /** BT-117. */
  amount: text,
});
export type Tax = z.output<typeof Tax>;

export const Fields = z.object({
  /** BT-1. */
  invoice_number: text,
  /** BT-2, `YYYY-MM-DD`. */
  invoice_date: text,
  /** BT-9, `YYYY-MM-DD`. */
  due_date: text,
  /** BT-13. */
  purchase_order: text,
  /** BG-4: BT-27, BT-35 to BT-40, BT-31 or BT-32, BT-43, BT-42, BT-84, BT-86. */
  supplier: z.object({
    name: text,
    address: text,
    tax_id: text,
    email: text,
    phone: text,
    iban: text,
    bic: text,
  }),
  /** BG-7: BT-44, BT-50 to BT-55, BT-48. */
  customer: z.object({ name: text, address: text, tax_id: text }),
  /** BT-5, ISO 4217. */
  currency: text,
  line_items: z.array(Line),
  taxes: z.array(Tax),
  /** BT-106. */
  subtotal: text,
  /** BT-107. */
  discount: text,
  /** BT-108: every charge on the whole document, of which freight is the usual one. */
  shipping: text,
  /** BT-110. */
  tax: text,
  /** BT-112. */
  total: text,
  /** BT-113. */
  amount_paid: text,
  /** BT-115. */
  amount_due: text,
});
export type Fields = z.output<typeof Fields>;

/** Values that only the checks of the sums need. */
export interface Beside {
  /** BT-109: the net total after discounts and charges. */
  net: string | null;
  /** BT-114. */
  rounding: string | null;
}

/** At most this many lines are kept in the answer; the sums are done over all. */
export const mostLines = 1_000;

/** A decimal in canonical form; null where the text is none. Generators write `10.1`, `0.30000000000000004`, `1E+2`. */
export function decimal(printed: string | null): string | null {
  if (printed === null || !/^[+-]?(?:\d{1,20}(?:\.\d{0,30})?|\.\d{1,30})$/.test(printed)) return null;
  const [, sign = "", whole = "", fraction = ""] = /^([+-]?)(\d*)\.?(\d*)$/.exec(printed) ?? [];
  const places = fraction.replace(/0+$/, "");
  const units = whole.replace(/^0+(?=\d)/, "") || "0";
  const value = `${units}${places === "" ? "" : `.${places}`}`;
  return value === "0" || sign !== "-" ? value : `-${value}`;
}

/** A date as `YYYY-MM-DD` from `20260302` (CII, format 102) or `2026-03-02` (UBL, also with a time zone); else null. */
export function date(printed: string | null): string | null {
  const match = /^(\d{4})-?(\d{2})-?(\d{2})(?:Z|[+-]\d{2}:\d{2})?$/.exec(printed ?? "");
  if (match === null) return null;
  const iso = `${match[1]}-${match[2]}-${match[3]}`;
  const time = Date.parse(`${iso}T00:00:00Z`);
  return Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== iso ? null : iso;
}

/** Parts of an address in one line. */
export const line = (parts: readonly (string | null)[], between = ", "): string | null =>
  parts.filter((part) => part !== null).join(between) || null;

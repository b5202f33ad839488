/** The language and the notation of made-up documents. */
import type { Reason } from "./judge.ts";

export interface MadeUp {
  kind: string;
  taskId: string;
  given: Record<string, unknown>;
  /** The verdict of each rule on the right values: the variant that fits, or why there is none. */
  says: Record<string, { fits: string | null } | { leftOut: Reason }>;
  /** A path and its misread value; null if no evidence is left that could show the mistake. */
  wrong: [path: string, value: string] | null;
}

export const item = (
  price: string | null,
  quantity: string | null = null,
  unit_price: string | null = null,
) => ({
  name: "Ware",
  quantity,
  unit_price,
  price,
});
export const line = (amount: string, quantity: string | null = null, unit_price: string | null = null) => ({
  description: "Leistung",
  quantity,
  unit_price,
  tax_rate: null,
  amount,
});
export const tax = (amount: string | null, rate: string | null = null, base: string | null = null) => ({
  rate,
  base,
  amount,
});

export const fits = (variant: string | null) => ({ fits: variant });
export const leftOut = (reason: Reason) => ({ leftOut: reason });
export const total = "total_is_sum_of_parts";
export const subtotal = "items_sum_is_subtotal";
export const items = "items_sum_is_total";
export const row = "item_price_is_quantity_times_unit";
export const change = "cash_minus_total_is_change";
export const taxes = "taxes_sum_is_tax";
export const due = "amount_due_is_total_minus_paid";

/** The lines at the end of a receipt. */
export const foot = (
  kind: string,
  given: Record<string, string>,
  says: MadeUp["says"],
  wrong: MadeUp["wrong"],
  taskId = "receipt_fields_v1",
): MadeUp => ({ kind, taskId, given, says, wrong });

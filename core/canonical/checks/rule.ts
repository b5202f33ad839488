/** The parts between the sum of items and the total, by path. Absent ones are null in the result. */
export interface Parts {
  tax?: string;
  discount?: string;
  service?: string;
  tip?: string;
  shipping?: string;
  /** A printed rounding; with it no further cash rounding is allowed for. */
  rounding?: string;
  /** Paid by transfer: no cash rounding. */
  exact?: true;
}

/**
 * Optional fields of a rule: what else the paper prints about the same amounts. A caller's own schema may lack them.
 */
export interface Beside {
  /** One amount per tax or rate, `taxes[].amount`. Their sum is used if the tax itself is not printed. */
  taxes?: string;
  rates?: string;
  cash?: string;
  card?: string;
  change?: string;
  method?: string;
  /** What was paid before; the total may already be reduced by it. */
  paid?: string;
  total?: string;
  subtotal?: string;
  discount?: string;
  tip?: string;
  /** The prices of all rows, and the fields that show that a row without a price is a line item. */
  prices?: string;
  quantity?: string;
  unitPrice?: string;
}

/** A check as a task declares it: the role of each field. */
export type Rule = { beside?: Beside } & (
  | TotalRule
  | ItemsRule
  | RowRule
  | CashRule
  | TaxesRule
  | DueRule
  | { rule: "dates_in_order"; earlier: string; later: string }
);

export type TotalRule = { rule: "total_is_sum_of_parts"; total: string; subtotal: string } & Parts & With;
export type ItemsRule = {
  rule: "items_sum_is_subtotal";
  items: string;
  subtotal?: string;
  total?: string;
} & Parts &
  With;
export type RowRule = {
  rule: "item_price_is_quantity_times_unit";
  quantity: string;
  unitPrice: string;
  price: string;
  taxRate?: string;
} & With;
export type CashRule = {
  rule: "cash_minus_total_is_change";
  cash: string;
  card?: string;
  total: string;
  change: string;
} & With;
export type TaxesRule = { rule: "taxes_sum_is_tax"; parts: string; tax: string } & With;
export type DueRule = {
  rule: "amount_due_is_total_minus_paid";
  total: string;
  paid: string;
  due: string;
} & With;

interface With {
  beside?: Beside;
}

/** What an amount is, by the words beside it. */
export type Role =
  | "total"
  | "subtotal"
  | "tax"
  | "service"
  | "discount"
  | "tip"
  | "rounding"
  | "cash"
  | "card"
  | "wallet"
  | "change"
  | "balance"
  | "shipping"
  | "paid"
  | "due"
  | "count"
  | "other";

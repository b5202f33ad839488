/** What the words beside an amount say that it is. */
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

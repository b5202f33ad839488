/**
 * The fact that a property asks for, by its name alone. It covers the product's tasks, callers' own schemas and other
 * spellings; an unknown name gets null.
 */

/** The place of a name in the answer: `name` has another meaning in each. */
export type Scope = "document" | "merchant" | "customer" | "item" | "tax";

const SCOPES: Record<Exclude<Scope, "document">, string[]> = {
  merchant: [
    "merchant",
    "supplier",
    "seller",
    "vendor",
    "store",
    "shop",
    "company",
    "issuer",
    "restaurant",
    "biller",
  ],
  customer: ["customer", "buyer", "client", "bill_to", "billed_to", "recipient", "payer", "billing"],
  item: [
    "items",
    "item",
    "line_items",
    "line_item",
    "lines",
    "products",
    "articles",
    "positions",
    "menu",
    "entries",
  ],
  tax: [
    "taxes",
    "tax_lines",
    "tax_items",
    "vat_lines",
    "vat",
    "tax_summary",
    "tax_details",
    "tax_breakdown",
    "tax_rates",
  ],
};

const DOCUMENT: Record<string, string[]> = {
  total: [
    "total",
    "total_amount",
    "grand_total",
    "amount",
    "total_price",
    "total_due",
    "sum",
    "gross_total",
    "total_gross",
    "total_payable",
    "final_total",
    "total_incl_tax",
  ],
  subtotal: [
    "subtotal",
    "sub_total",
    "subtotal_price",
    "net_total",
    "net",
    "net_amount",
    "total_net",
    "subtotal_amount",
    "total_excl_tax",
  ],
  tax: [
    "tax",
    "tax_amount",
    "total_tax",
    "tax_total",
    "tax_price",
    "vat",
    "vat_amount",
    "gst",
    "sst",
    "sales_tax",
  ],
  service: ["service", "service_charge", "service_price", "service_amount", "service_fee"],
  discount: ["discount", "discount_amount", "total_discount", "discount_total", "discount_price"],
  tip: ["tip", "tip_amount", "gratuity"],
  rounding: ["rounding", "rounding_adjustment", "round", "rounding_amount"],
  cash: ["cash", "cash_paid", "cash_amount", "cash_received", "cash_tendered", "cashprice", "tendered"],
  card: ["card", "card_amount", "card_paid", "credit_card", "creditcardprice", "card_payment", "non_cash"],
  change: ["change", "change_due", "change_amount", "changeprice", "cash_change"],
  shipping: ["shipping", "freight", "delivery", "shipping_cost", "delivery_fee"],
  amount_paid: ["amount_paid", "paid", "prepaid", "deposit", "paid_amount"],
  amount_due: ["amount_due", "balance_due", "balance", "due", "outstanding"],
  date: [
    "date",
    "invoice_date",
    "receipt_date",
    "purchase_date",
    "transaction_date",
    "issue_date",
    "date_of_issue",
    "issued_at",
  ],
  time: ["time", "purchase_time", "transaction_time", "receipt_time"],
  due_date: ["due_date", "payment_due", "payment_due_date", "pay_by"],
  currency: ["currency", "currency_code", "currency_symbol"],
  receipt_number: [
    "receipt_number",
    "receipt_no",
    "receipt_id",
    "bill_number",
    "bill_no",
    "document_number",
    "order_number",
    "ticket_number",
    "number",
  ],
  invoice_number: ["invoice_number", "invoice_no", "invoice_id"],
  purchase_order: ["purchase_order", "po_number", "po", "purchase_order_number"],
  method: ["method", "payment_method", "payment_type", "paid_by", "payment_mode"],
  card_brand: ["card_brand", "card_type", "card_scheme", "brand"],
  card_last4: [
    "card_last4",
    "last4",
    "card_last_4",
    "last_four",
    "card_last_four",
    "card_last_digits",
    "card_number",
  ],
  approval_code: ["approval_code", "auth_code", "authorization_code", "authorisation_code", "approval"],
  reference_number: ["reference_number", "reference", "reference_no", "trace_number", "transaction_id"],
  terminal_id: ["terminal_id", "terminal", "tid"],
  iban: ["iban", "account_number", "bank_account"],
  bic: ["bic", "swift"],
};

const PARTY: Record<string, string[]> = {
  name: ["name", "company", "company_name", "legal_name", "title"],
  address: ["address", "street_address", "full_address", "postal_address"],
  phone: ["phone", "phone_number", "telephone", "tel"],
  email: ["email", "e_mail", "email_address"],
  website: ["website", "url", "web", "homepage"],
  taxId: [
    "tax_id",
    "tax_number",
    "vat_id",
    "vat_number",
    "gst_id",
    "gst_number",
    "vat_no",
    "tax_no",
    "registration_number",
  ],
};

const ITEM: Record<string, string[]> = {
  name: [
    "name",
    "description",
    "item",
    "item_name",
    "product",
    "product_name",
    "title",
    "nm",
    "label",
    "text",
    "designation",
  ],
  code: ["code", "sku", "article_number", "item_code", "product_code"],
  quantity: ["quantity", "qty", "count", "cnt", "units", "amount_of_items"],
  unit_price: ["unit_price", "price_per_unit", "unitprice", "price_each", "rate", "single_price"],
  price: [
    "price",
    "amount",
    "total",
    "line_total",
    "total_price",
    "total_amount",
    "item_total",
    "sum",
    "line_amount",
  ],
  rate: ["tax_rate", "vat_rate", "tax_percent"],
};

const TAX: Record<string, string[]> = {
  rate: ["rate", "tax_rate", "vat_rate", "percent", "percentage"],
  base: ["base", "net", "net_amount", "taxable", "taxable_amount", "base_amount", "taxable_base"],
  amount: ["amount", "tax", "tax_amount", "vat", "value", "vat_amount"],
  gross: ["gross", "gross_amount", "total"],
};

const MERCHANT_PREFIX = /^(?:merchant|supplier|seller|vendor|store|shop|issuer|restaurant)_(.+)$/;
const CUSTOMER_PREFIX = /^(?:customer|buyer|client|bill_to|billing|recipient)_(.+)$/;

const index = (table: Record<string, string[]>) =>
  new Map(Object.entries(table).flatMap(([key, names]) => names.map((name) => [name, key] as const)));
const documents = index(DOCUMENT);
const parties = index(PARTY);
const items = index(ITEM);
const taxes = index(TAX);
const scopes = index(SCOPES);

/** `unitPrice`, `Unit-Price` and `unit_price` are one name. */
function normal(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_|_$/g, "");
}

/** The scope inside of a property that holds an object or a list. */
export function scopeOf(name: string, outer: Scope): Scope {
  return (scopes.get(normal(name)) as Scope | undefined) ?? outer;
}

/** The canonical name of the fact, as facts.ts files it; undefined for an unknown name. */
export function canonical(name: string, scope: Scope): string | undefined {
  const key = normal(name);
  if (scope === "item") return items.get(key);
  if (scope === "tax") return taxes.get(key);
  if (scope === "merchant" || scope === "customer") {
    const party = parties.get(key);
    // A supplier's bank account is on the document, but not in the address block.
    return party ? `${scope}.${party}` : documents.get(key);
  }
  const merchant = MERCHANT_PREFIX.exec(key)?.[1];
  if (merchant && parties.has(merchant)) return `merchant.${parties.get(merchant)}`;
  const customer = CUSTOMER_PREFIX.exec(key)?.[1];
  if (customer && parties.has(customer)) return `customer.${parties.get(customer)}`;
  const document = documents.get(key);
  if (document) return document;
  if (key === "merchant" || key === "supplier" || key === "vendor" || key === "seller" || key === "store")
    return "merchant.name";
  if (key === "customer" || key === "buyer") return "customer.name";
  // Contact data without a party belongs to the shop; a bare `name` may belong to any party.
  const party = parties.get(key);
  return party && party !== "name" ? `merchant.${party}` : undefined;
}

/** Names in a prompt that this server knows, for requests without a schema. */
export function namesIn(text: string): string[] {
  const found = [...text.matchAll(/["'`]([a-z][a-z0-9_]{1,40})["'`]|\b([a-z]+(?:_[a-z0-9]+)+)\b/g)];
  const names = found.map((match) => match[1] ?? match[2] ?? "");
  return [...new Set(names)].filter((name) => canonical(name, "document") !== undefined || name === "items");
}

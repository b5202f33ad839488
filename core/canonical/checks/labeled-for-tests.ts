/**
 * Documents whose right values are known, as answers of tasks. They must raise no alarm; tests plant errors in them.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Document {
  name: string;
  taskId: string;
  answer: unknown;
}

/** Receipts that people labeled, and answers as models give them; not part of the repository. */
const shared = join(import.meta.dirname, "..", "..", "..", "..", "shared");
const labels = ["dev", "derived", "pdf"].map((folder) => join(shared, "data", folder, "gt.json"));
const cases = join(shared, "cases", "answers.json");

export const isPresent = [...labels, cases].every((file) => existsSync(file));

export interface Labeled {
  file: string;
  source_key?: string;
  fields: Record<string, unknown>;
  norm: { currency: string; total?: number; date?: string; subtotal?: number | null; tax?: number | null };
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(file, "utf8")) as T;
}

export function labeled(): Labeled[] {
  return labels.flatMap((file) => read<Labeled[]>(file));
}

/** Answers of models, without texts that are no JSON object. */
export function answered(): Document[] {
  return read<{ id: string; task_id: string; answer: unknown }[]>(cases)
    .filter(({ answer }) => typeof answer === "object")
    .map(({ id, task_id, answer }) => ({ name: id, taskId: task_id, answer }));
}

type Fields = Record<string, unknown>;

/** The first of these labels that exists, as it is printed; numbers in the notation of the document. */
function amount(fields: Fields, locale: string, ...names: string[]): string | null {
  const value = names.map((name) => fields[name]).find((each) => each !== undefined && each !== null);
  if (typeof value === "string") return value;
  if (typeof value !== "number") return null;
  const digits = locale === "id-ID" ? 0 : 2;
  const style = { minimumFractionDigits: digits, maximumFractionDigits: Math.max(digits, 3) };
  return value.toLocaleString(locale === "id-ID" ? "en-US" : locale, style);
}

function rowsOf(fields: Fields, locale: string) {
  const rows = (fields.menu ?? fields.items ?? fields.line_items ?? fields.Items ?? []) as Fields[];
  return rows.map((row) => ({
    name: "x",
    quantity: quantity(row.cnt ?? row.quantity ?? row.Quantity, locale),
    unit_price: amount(row, locale, "unitprice", "unit_price"),
    price: amount(row, locale, "price", "total_amount", "TotalPrice"),
  }));
}

function quantity(value: unknown, locale: string): string | null {
  if (typeof value === "number") return value.toLocaleString(locale);
  return typeof value === "string" ? value : null;
}

const locales: Record<string, string> = { IDR: "id-ID", EUR: "de-DE" };

/** A labeled receipt as an answer of receipt_v1; only labels that the source has. */
export function receiptOf({ fields, norm }: Labeled) {
  const all: Fields = { ...fields, ...(fields.sub_total as object), ...(fields.total as object) };
  // The German set labels totals and dates without their separators.
  const total = amount(all, "en-US", "total_price", "total", "total_amount", "Total");
  const locale = locales[norm.currency] ?? "en-US";
  const printed = (...names: string[]) => amount(all, locale, ...names);
  return {
    merchant: { name: null, address: null, phone: null, tax_id: null },
    receipt_number: null,
    date: null,
    time: null,
    currency: null,
    items: rowsOf(fields, locale),
    totals: {
      subtotal: printed("subtotal_price", "subtotal", "total_net", "Subtotal"),
      discount: printed("discount_price", "discount_total"),
      service: printed("service_price"),
      tax: printed("tax_price", "total_tax", "Tax"),
      tip: printed("Tip"),
      rounding: null,
      total:
        total === null
          ? amount({ total: norm.total }, locale, "total")
          : printed("total_price", "total", "total_amount", "Total"),
    },
    payment: {
      method: null,
      cash: printed("cashprice", "cash", "given"),
      card: printed("creditcardprice", "emoneyprice"),
      change: printed("changeprice", "change"),
      card_last4: null,
    },
  };
}

/** Every labeled receipt as an answer of each task that its labels fill. */
export function documents(): Document[] {
  return labeled().flatMap((record): Document[] => {
    const answer = receiptOf(record);
    const { totals, payment } = answer;
    const { tip: _, rounding: __, ...foot } = totals;
    const paid = { cash: payment.cash, card: payment.card, change: payment.change };
    const name = record.file;
    return [
      { name, taskId: "receipt_v1", answer },
      { name, taskId: "receipt_fields_v1", answer: { ...foot, ...paid } },
      { name, taskId: "items_light_v1", answer: { items: answer.items } },
    ];
  });
}

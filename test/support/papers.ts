import * as Formats from "#core/export/formats";
import * as Given from "#core/export/given";
import type * as Maker from "#core/export/table/maker";
import * as Examine from "#core/reading/examine";
import type { Item } from "#core/run/schema";
import * as Task from "#core/task/task";

/** Items as a run returns them: read by the task's own rules. */

const createdAt = new Date("2026-11-30T08:15:00.123Z");

/** A succeeded item with this result. */
export function item(
  taskId: string,
  index: number,
  result: Record<string, unknown>,
  more: Partial<Item> = {},
): Item {
  const task = Task.get(taskId);
  if (task === undefined) throw new Error(`there is no task ${taskId}`);
  return {
    ...{ index, task_id: taskId, custom_id: null, file: `${index}.png`, tags: null, status: "succeeded" },
    ...{ request_id: `r~${index}`, artifact_rel: null, warnings: [], error: null, attempts: 1, result },
    pages: 1,
    ...{ schema_ok: true, model: "m", prompt_sha256: "p", schema_sha256: "s", image_sha256: "i" },
    timings_ms: { total: 0, image: 0, inference: 0, validate: 0 },
    usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 1 },
    ...Examine.whole({ task, createdAt }, result),
    ...more,
  };
}

const lines = (amount: string) => [
  { description: "Goods", quantity: "1", unit_price: amount, tax_rate: null, amount },
];

const party = { address: null, tax_id: null, phone: null };
export const supplier = (name: string | null) => ({ name, ...party, email: null, iban: null, bic: null });
export const merchant = (name: string | null) => ({ name, ...party });

/** An invoice of one line with one rate; other fields of the result may be given. */
export function invoice(index: number, more: Record<string, unknown> = {}, about: Partial<Item> = {}): Item {
  return item(
    "invoice_v1",
    index,
    {
      ...{
        invoice_number: `R-${index}`,
        invoice_date: "03.11.2026",
        due_date: "17.11.2026",
        purchase_order: null,
      },
      supplier: supplier("Müller & Söhne GmbH"),
      customer: { name: null, address: null, tax_id: null },
      ...{ currency: "EUR", line_items: lines("100,00"), subtotal: "100,00", discount: null, shipping: null },
      taxes: [{ rate: "19 %", base: "100,00", amount: "19,00" }],
      ...{ tax: "19,00", total: "119,00", amount_paid: null, amount_due: null },
      ...more,
    },
    about,
  );
}
/** The fields of an invoice with these rates. */
export const twoRates = {
  line_items: [...lines("100,00"), ...lines("50,00")],
  subtotal: "150,00",
  taxes: [
    { rate: "19 %", base: "100,00", amount: "19,00" },
    { rate: "7 %", base: "50,00", amount: "3,50" },
  ],
  ...{ tax: "22,50", total: "172,50" },
};
/** A refund: the same with minus signs. */
export const creditNote = {
  line_items: lines("-100,00"),
  subtotal: "-100,00",
  taxes: [{ rate: "19 %", base: "-100,00", amount: "-19,00" }],
  ...{ tax: "-19,00", total: "-119,00" },
};

/** A receipt without tax; other totals may be given. */
export function receipt(
  index: number,
  totals: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Item {
  return item("receipt_v1", index, {
    merchant: merchant("Café Blau"),
    ...{ receipt_number: `B${index}`, date: "2026-11-05", time: null, currency: "EUR" },
    items: [{ name: "CAKE", quantity: "1", unit_price: null, price: "10.00" }],
    totals: {
      ...{ subtotal: "10.00", discount: null, service: null, tax: null, tip: null, rounding: null },
      ...{ total: "10.00", ...totals },
    },
    payment: { method: null, cash: null, card: null, change: null, card_last4: null },
    ...more,
  });
}

/** The items in this format, with a mapping as it would be sent. */
export async function made(format: Formats.Made, items: readonly Item[], mapping: unknown) {
  async function* each() {
    yield* items;
  }
  const taskId = items[0]?.task_id ?? "invoice_v1";
  const notes: string[] = [];
  const leftOut: Maker.LeftOut[] = [];
  const maker: Maker.Maker = await Formats.made[format].load();
  const source = {
    run: { runId: "november", taskId, createdAt },
    fields: Task.get(taskId)?.fields ?? [],
    items: each(),
    shown: "both" as const,
    mapping: await Given.parse(JSON.stringify(mapping), format),
    note: (what: string) => void notes.push(what),
    leaveOut: (one: Maker.LeftOut) => void leftOut.push(one),
  };
  const pieces: Buffer[] = [];
  for await (const piece of maker.make(source)) pieces.push(Buffer.from(piece as Uint8Array));
  const bytes = Buffer.concat(pieces);
  return { bytes, notes, leftOut, reasons: leftOut.map(({ index, reason }) => `${index} ${reason}`) };
}

export const datev = {
  ...{ currency: "EUR", account: "4930", counter_account: "70000", account_length: 4 },
  ...{ consultant: 29098, client: 55003, fiscal_year_start: "2026-01-01", finalize: false },
  period: { from: "2026-11-01", to: "2026-11-30" },
  description: "November",
  chart: "03",
  vendors: [{ match: "café", account: "4650", counter_account: "1000" }],
  taxes: [
    { rate: "19", code: "0009" },
    { rate: "7.0", code: "0008" },
    { rate: "none", code: "" },
  ],
  tips: { account: "4651" },
  rounding: { account: "4969" },
};
export const beancount = {
  ...{ currency: "EUR", account: "Expenses:Office", counter_account: "Liabilities:Payables" },
  vendors: [
    { match: "CAFÉ", account: "Expenses:Meals", counter_account: "Assets:Cash", name: 'Café "Blau"' },
  ],
  taxes: [{ rate: "19", account: "Assets:VAT:19" }, { rate: "7", account: "Assets:VAT:7" }, { rate: "none" }],
  tips: { account: "Expenses:Tips" },
  rounding: { account: "Expenses:Rounding" },
  open_on: "2026-01-01",
};
export const quickbooks = {
  ...{ currency: "EUR", account: "Office Supplies", date_format: "MM/DD/YYYY" },
  taxes: [
    { rate: "19", code: "19% VAT" },
    { rate: "7", code: "7% VAT" },
    { rate: "none", code: "Exempt" },
  ],
};
export const xero = { ...quickbooks, account: "429", date_format: "DD/MM/YYYY" };

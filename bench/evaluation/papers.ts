/** A run of receipts of 30 rows as its results file has it, and the labels of them. */

export const rows = 30;

const money = (cents: number) => (cents / 100).toFixed(2);

/** A receipt and a model's answer, with occasional errors in a text, an amount or a row. */
function documentOf(n: number) {
  const items = Array.from({ length: rows }, (_, i) => {
    const cents = 100 + ((i * 137 + n * 31) % 900);
    const quantity = 1 + ((i + n) % 4);
    return {
      name: `ITEM ${(i * 7919 + n * 13) % 1000} OF SHELF ${i % 9}`,
      ...{ quantity: String(quantity), unit_price: money(cents), price: money(cents * quantity) },
    };
  });
  const total = items.reduce((sum, { price }) => sum + Number(price) * 100, 0);
  const fields = {
    merchant: { name: `SHOP ${n % 300}`, address: null, phone: null, tax_id: null },
    ...{ receipt_number: String(n), date: "2031-05-24", time: "14:30", currency: "EUR" },
    items,
    totals: { subtotal: money(total), tax: money(total / 6), tip: null, total: money(total) },
    payment: { method: "CASH", cash: money(total + 500), card: null, change: "5.00" },
  };
  const read = structuredClone(fields);
  read.items = read.items.filter((_, i) => (i + n) % 41 !== 0);
  for (const [i, item] of read.items.entries())
    if ((i + n) % 11 === 0)
      Object.assign(item, { name: item.name.replace("ITEM", "1TEM"), price: `${item.price}0` });
  if (n % 7 === 0) read.totals.tax = "0.00";
  return { fields, read };
}

/** Lines of JSON: the items of a run, and the records that label them. */
export function of(documents: number): { results: Buffer; labels: Buffer } {
  const [results, labels]: [string[], string[]] = [[], []];
  for (let index = 0; index < documents; index += 1) {
    const file = `till-${index % 50}/${index}.jpg`;
    const { fields, read } = documentOf(index);
    const item = {
      ...{ index, custom_id: null, file, tags: { store: String(index % 20) }, status: "succeeded" },
      ...{ request_id: `bench~${index}`, result: read, quality: { ok: true, reasons: [] } },
      timings_ms: { total: 2_000 + (index % 700) },
    };
    results.push(`${JSON.stringify(item)}\n`);
    labels.push(`${JSON.stringify({ file, fields })}\n`);
  }
  return { results: Buffer.from(results.join("")), labels: Buffer.from(labels.join("")) };
}

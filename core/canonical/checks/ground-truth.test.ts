import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as PrintedDate from "#core/canonical/dates/printed-date";
import * as Money from "#core/canonical/money/money";
import { normalize } from "#core/canonical/normalize";
import * as Task from "#core/task/task";
import * as Validate from "#core/task/validate";
import * as Checks from "./checks.ts";

/** Values that people copied from real receipts; not part of the repository. */
const file = join(import.meta.dirname, "..", "..", "..", "..", "shared", "data", "dev", "gt.json");
const present = existsSync(file);
if (!present)
  console.warn("skipped: printed values of real receipts (../shared/data/dev/gt.json is not there)");

interface Labeled {
  file: string;
  source_key: string;
  fields: Record<string, unknown>;
  norm: { currency: string; total?: number; date?: string; subtotal?: number | null; tax?: number | null };
}
const records: Labeled[] = present ? (JSON.parse(readFileSync(file, "utf8")) as Labeled[]) : [];

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** CORD's labels as an answer of receipt_v1. Those that are numbers already are printed the Indonesian way. */
function answerOf({ fields }: Labeled) {
  const amounts = { ...(fields.sub_total as object), ...(fields.total as object) } as Record<string, unknown>;
  const printed = (name: string) => {
    const value = amounts[name] ?? null;
    return typeof value === "number" ? value.toLocaleString("en-US") : text(value);
  };
  const menu = fields.menu as Record<string, unknown>[];
  return {
    merchant: { name: null, address: null, phone: null, tax_id: null },
    receipt_number: null,
    date: null,
    time: null,
    currency: null,
    items: menu.map((item) => ({
      name: text(item.nm),
      quantity: text(item.cnt),
      unit_price: text(item.unitprice),
      price: text(item.price),
    })),
    totals: {
      subtotal: printed("subtotal_price"),
      discount: printed("discount_price"),
      service: printed("service_price"),
      tax: printed("tax_price"),
      tip: null,
      rounding: null,
      total: printed("total_price"),
    },
    payment: {
      method: null,
      cash: printed("cashprice"),
      card: printed("creditcardprice"),
      change: printed("changeprice"),
      card_last4: null,
    },
  };
}

describe.skipIf(!present)("printed values of real receipts", () => {
  const printed = (name: string, sources: string[]) =>
    records.flatMap((record) => {
      const value = text(record.fields[name]);
      return value !== null && sources.includes(record.source_key) ? [{ record, value }] : [];
    });

  test("every total reads as the labeled number", () => {
    const totals = printed("total", ["sroie", "ocrlty_misc"]);
    expect(totals.length).toBeGreaterThan(10);
    for (const { record, value } of totals) {
      expect(Number(Money.parse(value)?.value), record.file).toBe(record.norm.total);
    }
  });

  test("every date reads as the labeled day, by the receipt's currency where it fits both ways", () => {
    const dates = ["sroie", "mindee", "ocrlty_misc"].flatMap((source) => printed("date", [source]));
    expect(dates.length).toBeGreaterThan(10);
    for (const { record, value } of dates) {
      const { currency } = record.norm;
      expect(PrintedDate.parse(value, { currency }), record.file).toEqual({
        value: record.norm.date,
        ambiguous: false,
      });
    }
  });

  test("Indonesian documents read right as a whole, whichever separator they group with", () => {
    const task = Task.get("receipt_v1");
    const documents = records.filter(({ source_key }) => source_key === "cord");
    expect(documents.length).toBeGreaterThan(10);
    const failed: string[] = [];
    for (const record of documents) {
      const answer = answerOf(record);
      expect(task && Validate.validate(task, answer), record.file).toEqual({ ok: true, errors: [] });
      const normalized = normalize(task?.fields ?? [], answer);
      expect(normalized["totals.total"], record.file).toEqual({
        value: String(record.norm.total),
        currency: null,
        decimals: expect.toSatisfy((decimals) => decimals === 0 || decimals === 2),
      });
      const subtotal = record.norm.subtotal ?? null;
      expect(normalized["totals.subtotal"]?.value ?? null, record.file).toBe(
        subtotal === null ? null : String(subtotal),
      );
      const checks = Checks.run(task ?? { checks: [] }, answer, normalized);
      expect(checks.length, record.file).toBeGreaterThan(0);
      failed.push(...checks.filter(({ ok }) => !ok).map(({ id }) => `${record.file} ${id}`));
    }
    expect(failed).toEqual([]);
  });
});

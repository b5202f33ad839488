import type { Normalized } from "#core/canonical/normalize";
import type { Check } from "#core/canonical/schema";
import type { Fields } from "./fields.ts";
import type { Embedded } from "./schema.ts";

/*
 * Compares the model's answer with the embedded e-invoice. Only values that mean the same on paper and in the file are
 * compared: a printed subtotal may or may not contain tax, names and addresses are written in many ways.
 */

/** How a value of a task's field is found in the file: by the field's path. */
const counterparts: Readonly<Record<string, (fields: Fields) => string | null>> = {
  invoice_number: (fields) => fields.invoice_number,
  receipt_number: (fields) => fields.invoice_number,
  invoice_date: (fields) => fields.invoice_date,
  date: (fields) => fields.invoice_date,
  due_date: (fields) => fields.due_date,
  currency: (fields) => fields.currency,
  "supplier.tax_id": (fields) => fields.supplier.tax_id,
  "merchant.tax_id": (fields) => fields.supplier.tax_id,
  "supplier.iban": (fields) => fields.supplier.iban,
  tax: (fields) => fields.tax,
  "totals.tax": (fields) => fields.tax,
  total: (fields) => fields.total,
  "totals.total": (fields) => fields.total,
  amount_due: (fields) => fields.amount_due,
};

/** Identifiers are printed in groups and with marks between them. */
const bare = (text: string): string =>
  text
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N}]/gu, "")
    .toUpperCase();

function at(result: unknown, path: string): unknown {
  let value = result;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/**
 * One check `matches_embedded` for each field that both the answer and the file have, and whose printed value can be read in
 * one way only.
 * @param fields - the task's leaves.
 */
export function matchesEmbedded(
  fields: readonly { path: string; kind: string }[],
  answer: { result: unknown; normalized: Normalized },
  embedded: Embedded,
): Check[] {
  return fields.flatMap(({ path, kind }) => {
    const expected = counterparts[path]?.(embedded.fields) ?? null;
    if (expected === null) return [];
    const printed = at(answer.result, path);
    if (typeof printed !== "string") return [];
    const canonical = answer.normalized[path];
    if (kind !== "text" && (canonical === undefined || canonical.ambiguous)) return [];
    const actual = kind === "text" ? printed : (canonical?.value ?? printed);
    const ok = kind === "text" ? bare(actual) === bare(expected) : actual === expected;
    const shape = { tolerance: null, tolerance_from: null, variant: null } as const;
    return [{ id: "matches_embedded", ok, fields: [path], expected, actual, ...shape }];
  });
}

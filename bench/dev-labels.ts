import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Converted, Options } from "#core/ground-truth/convert/converted";
import * as Cord from "#core/ground-truth/convert/cord";
import * as Sroie from "#core/ground-truth/convert/sroie";

/**
 * Turns a `gt.json` of labeled receipts from several sources into ground truth for receipt_v1, and a manifest that tags each
 * picture by its source:
 *
 *   npm run bench -- dev-labels PICTURES OUT
 *
 * Of each source only what it labels is taken. CORD and SROIE go through the converters of `ocrlty gt convert`. German file
 * names label date and total (their merchant is a word for the file, and not what is printed). The others were written off by
 * eye: shop, date, tax and total. Cash is rounded to five cents where coins end there, and the source may label either amount:
 * of SROIE every total within 0.04 is right.
 */

interface Source {
  file: string;
  source_key: string;
  fields: Record<string, unknown>;
  norm: { date?: string; total: number; tax?: number | null };
  label_note?: string;
}

const options: Options = { absent: false, extension: "jpg" };

const amounts = (total: number): string[] => {
  const cents = Math.round(total * 100);
  return [0, 1, -1, 2, -2, 3, -3, 4, -4].map((off) => ((cents + off) / 100).toFixed(2));
};

const only = (converted: readonly Converted[]): Record<string, unknown> => converted[0]?.fields ?? {};

function labelsOf({ source_key, file, fields, norm, label_note }: Source): Record<string, unknown> {
  const date = label_note?.includes("do not score the date") ? {} : { date: norm.date };
  const total = norm.total.toFixed(2);
  switch (source_key) {
    case "cord":
      return only(Cord.read({ name: file, text: JSON.stringify({ file, fields }) }, options));
    case "sroie": {
      const labels = only(Sroie.read({ name: file, text: JSON.stringify(fields) }, options));
      return { ...labels, "totals.total": { any: [fields.total, ...amounts(norm.total)] } };
    }
    case "softmatic_de":
      return { ...date, "totals.total": total };
    default: {
      const shop = fields.supplier_name ?? fields.merchant ?? fields.MerchantName;
      const tax = typeof norm.tax === "number" ? { "totals.tax": norm.tax.toFixed(2) } : {};
      return { "merchant.name": shop, ...date, ...tax, "totals.total": total };
    }
  }
}

/** `PICTURES OUT`: writes `labels.jsonl` and `manifest.jsonl` into the folder OUT. */
export async function run([pictures, out]: string[]): Promise<number> {
  if (pictures === undefined || out === undefined) {
    console.error("npm run bench -- dev-labels PICTURES OUT: two folders; PICTURES has gt.json");
    return 2;
  }
  const sources = JSON.parse(await readFile(join(pictures, "gt.json"), "utf8")) as Source[];
  const lines = (of: (source: Source) => object) =>
    sources.map((each) => `${JSON.stringify(of(each))}\n`).join("");
  await mkdir(out, { recursive: true });
  await writeFile(
    join(out, "labels.jsonl"),
    lines((each) => ({ file: each.file, ...labelsOf(each) })),
  );
  const entry = ({ file, source_key }: Source) => ({
    ...{ path: resolve(pictures, file), file },
    tags: { source: source_key },
  });
  await writeFile(join(out, "manifest.jsonl"), lines(entry));
  console.log(`${sources.length} records in ${join(out, "labels.jsonl")}, their pictures in manifest.jsonl`);
  return 0;
}

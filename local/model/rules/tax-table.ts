import type { Num, Segment } from "#local/model/rules/amounts";
import { classify, fold } from "#local/model/rules/labels";

/** One line of a tax summary, as far as arithmetic tells which printed number is which. */
export interface TaxLine {
  rate: Num | undefined;
  net: Num | undefined;
  tax: Num | undefined;
  gross: Num | undefined;
  /** The line that adds up the others. */
  isSum: boolean;
}

export interface TaxTable {
  /** Rows that belong to tables, headers included: their labels do not name totals. */
  rows: Set<number>;
  lines: TaxLine[];
}

const HEADER_WORDS =
  /netto|brutto|mwst|mehrwert|ust|steuer|umsatz|amount|amt|tax|gst|sst|vat|rate|code|tva|taux|\bht\b|\bttc\b|base|montant/gi;
const ITEM_HEADER = /item|qty|quant|price|preis|desc|menge|artikel|article|\bu\.?p\b|prix|harga|nama/i;
const SUMMARY = /(gst|tax|sst|vat|mwst|tva)\w*(summ[ae]ry|analysis|breakdown|details|aufstellung|recap)/;
/** A summary has a line for each rate and one for the sum. */
const MAX_LINES = 7;

/** Finds the tax summaries (GST Summary, MwSt/Netto/Brutto, TVA/HT/TTC). */
export function find(rows: Segment[][], texts: string[]): TaxTable {
  const members = new Set<number>();
  const lines: TaxLine[] = [];
  for (let header = 0; header < rows.length; header++) {
    if (!isHeader(rows[header] ?? [], texts[header] ?? "")) continue;
    members.add(header);
    let blank = 0;
    for (let at = header + 1; at < Math.min(rows.length, header + 1 + MAX_LINES); at++) {
      const numbers = (rows[at] ?? []).filter((segment) => segment.kind === "number");
      const money = numbers.filter((number) => number.form === "money");
      if (money.length >= 2) {
        members.add(at);
        blank = 0;
        const first = rows[at]?.find((segment) => segment.kind === "words");
        const rate = numbers.find((number) => number.form === "percent");
        const isSum = !rate && classify(first?.text ?? "")?.role === "total";
        lines.push({ ...assign(money, rate), rate, isSum });
      } else {
        blank += 1;
        const role = classify(texts[at] ?? "")?.role;
        if (blank > 1 || (money.length === 1 && role !== "tax" && role !== "other")) break;
      }
    }
  }
  return { rows: members, lines };
}

function isHeader(segments: Segment[], text: string): boolean {
  if (segments.some((segment) => segment.kind === "number" && segment.form === "money")) return false;
  if (SUMMARY.test(fold(text))) return true;
  const words = new Set([...text.matchAll(HEADER_WORDS)].map((match) => match[0].toLowerCase()));
  return words.size >= 2 && !ITEM_HEADER.test(text);
}

/** Which of the printed numbers is net, tax and gross: the one assignment whose sums and rate agree. */
function assign(money: Num[], rate: Num | undefined): Pick<TaxLine, "net" | "tax" | "gross"> {
  const near = (a: number, b: number) => Math.abs(a - b) <= 0.015;
  for (const gross of money) {
    for (const net of money) {
      for (const tax of money) {
        if (gross === net || net === tax || gross === tax || tax.value > net.value) continue;
        if (near(net.value + tax.value, gross.value)) return { net, tax, gross };
      }
    }
  }
  const [first, second] = [...money].sort((a, b) => b.value - a.value);
  if (money.length === 2 && first && second) {
    const percent = rate?.value;
    const fits =
      percent === undefined ||
      Math.abs((first.value * percent) / 100 - second.value) <= 0.02 + first.value * 0.002;
    if (fits && second.value < first.value * 0.35) return { net: first, tax: second, gross: undefined };
  }
  return { net: undefined, tax: undefined, gross: undefined };
}

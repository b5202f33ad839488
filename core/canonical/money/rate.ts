import type { Convention } from "./number.ts";
import { fold, read } from "./number.ts";

/** A percentage and the text around it: a label before, a tax's name or code after. */
const signBehind =
  /^(.*?)(-? ?)((?:\d{1,3}(?:[.,]\d{1,4})?|[.,]\d{1,4}))(-?) ?(?:%|percent\b|per ?cent\b|pct\b|prozent\b|procent\b|por ?cien(?:to)?\b|pour ?cent\b|v\. ?h\.|процентов|проц\.)(.*)$/iu;
const signBefore = /^(.*?)(-?)% ?(-?)(\d{1,3}(?:[.,]\d{1,4})?)(.*)$/u;
const bare = /^(-?)(\d{1,3}(?:[.,]\d{1,4})?)$/;

/** Words beside a rate, including codes with digits: "A1", "1=", "VAT @", "消費税", "(19". None is a second number. */
const label = /^[\p{L}\p{M}.,:=@*()[\]/&'" +-]*$/u;
const codedLabel = /^[\p{L}\p{M}.:=@*()[\] -]*\b(?:[A-Z]\d[ :.)=]+|\d ?[:.)=]+ ?)$/u;

/** Longest label on either side. Longer texts are sentences. */
const maxLabel = 28;

function isLabel(text: string, before: boolean): boolean {
  const trimmed = text.trim();
  if (trimmed === "") return true;
  if (trimmed.length > maxLabel || /%/.test(trimmed)) return false;
  return label.test(trimmed) || (before && codedLabel.test(text)) || (!before && /^[A-Z]?\d?$/.test(trimmed));
}

/** The parts of a plainly printed rate; null if there is none or more than one. */
function match(text: string): { minus: boolean; body: string } | null {
  const alone = bare.exec(text);
  if (alone) return { minus: alone[1] !== "", body: alone[2] ?? "" };
  const behind = signBehind.exec(text);
  if (behind) {
    const [, before = "", sign = "", body = "", closing = "", after = ""] = behind;
    // In "VAT20%" the label is attached to the number. "1,234.50%" and "2-5%" have a second number there, "5%-" a
    // second sign.
    if (/[\d.,]$/.test(before + sign) || (sign.trim() !== "" && /\d ?$/.test(before)) || /^ ?-/.test(after))
      return null;
    if (!isLabel(before + sign.replace("-", ""), true) || !isLabel(after, false)) return null;
    // "VAT-20%": a dash attached to the label is a hyphen.
    const minus = sign.startsWith("-") && /^$|[ :=(]$/.test(before);
    return { minus: minus || closing !== "", body };
  }
  const led = signBefore.exec(text);
  if (!led) return null;
  const [, before = "", first = "", second = "", body = "", after = ""] = led;
  if (/[\d]/.test(after.slice(0, 1)) || !isLabel(before, true) || !isLabel(after, false)) return null;
  return { minus: first !== "" || second !== "", body };
}

/**
 * The canonical form of a printed percentage: `19%`, `19,00 %`, `A 7,00%`, `PPN 11%`, `KDV %20`, `VAT @ 20%`, `19%
 * MwSt`, `٪١٥`, `6`. A minus counts only directly at the number; a rate may be in brackets. Null unless there is a
 * single number below 1,000. Never throws.
 */
export function parse(printed: string): { value: string } | null {
  const text = fold(printed);
  if (!text) return null;
  const found = match(text);
  if (!found) return null;
  const convention: Convention = { decimal: found.body.includes(",") ? "," : ".", thousands: null };
  const number = read(found.body, { convention });
  if (!number) return null;
  return { value: found.minus && number.value !== "0" ? `-${number.value}` : number.value };
}

import * as Marks from "./marks.ts";
import type { Convention } from "./number.ts";
import { fold, read } from "./number.ts";

interface Count {
  /** Canonical decimal. */
  value: string;
  /** The printed unit in lower case (`kg`, `stk`), null without one. */
  unit: string | null;
  ambiguous: boolean;
}

/** Units for which scales print three decimals: `1.000 kg` is one kilogram. */
const measured = /^(?:kg|g|lb|lbs|l|ltr|liter|litre|m|m2|m3|kwh)$/;

/**
 * The canonical form of a printed quantity: `3x`, `x1`, `1 x`, `2 Stk`, `0,456 kg`, `-1`. Null unless the text is a
 * single number with at most a unit. The quantity `1.000` is one, not a thousand, unless the document groups thousands
 * with a point; then it is marked ambiguous. Never throws.
 */
export function parse(printed: string, context: { convention?: Convention | undefined } = {}): Count | null {
  const text = fold(printed);
  if (!text) return null;
  const match =
    /^(-)? ?(?:[x×@*] ?)?(-)?(\d[\d.,' ]*|[.,]\d+) ?(?:[x×*@]|(?:[x×] ?)?(m[23²³]|\p{L}[\p{L}\p{M}]{0,15})(?:\(s\)|\.)?)?$/iu.exec(
      text,
    );
  if (!match || (match[1] && match[2])) return null;
  // "2 EUR" is an amount; "2 CUP" and "3 PEN" are things.
  if (match[4] !== undefined && Marks.isIso(match[4]) && !Marks.isWord(match[4])) return null;
  const unit = match[4]?.toLowerCase() ?? null;
  const body = (match[3] ?? "").trim();
  const scale = unit !== null && measured.test(unit);
  const number = scale
    ? read(body, { decimals: 3 })
    : read(body, { convention: context.convention, prefer: "decimal" });
  if (!number) return null;
  // "1.234 kWh" beside "354,28": three decimals of a meter, or thousands as in the document.
  const decimal = context.convention?.decimal ?? null;
  const other = scale && decimal !== null && !body.includes(decimal) && /^\d{1,3}[.,]\d{3}$/.test(body);
  const grouped =
    !scale && number.fractionDigits === 0 && /[.,]\d{3}$/.test(body) && !/[.,].*[.,]/.test(body);
  const negative = match[1] ?? match[2];
  return {
    value: negative && number.value !== "0" ? `-${number.value}` : number.value,
    unit,
    ambiguous: number.ambiguous || grouped || (other && !/^0/.test(body)),
  };
}

/** The canonical form of a printed percentage (rate.ts). */
export { parse as parsePercent } from "./rate.ts";

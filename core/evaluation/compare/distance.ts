import leven from "leven";

/**
 * If the product of the lengths is above this, the comparison would take seconds: such texts count as wholly different.
 */
const maxProduct = 25_000_000;
const astral = /[\ud800-\udfff]/;

/** Number of characters of a text, in code points. */
export function length(text: string): number {
  if (!astral.test(text)) return text.length;
  let points = 0;
  for (const _ of text) points += 1;
  return points;
}

/**
 * Levenshtein distance in code points, as Python counts them; `leven` counts UTF-16 units, of which a character outside
 * the first plane has two. If the product of the lengths is over 25 million, the distance is the largest possible.
 */
export function levenshtein(a: string, b: string): number {
  if (a === b) return 0;
  if (a.length * b.length > maxProduct) return Math.max(length(a), length(b));
  if (!astral.test(a) && !astral.test(b)) return leven(a, b);
  const units = new Map<string, number>();
  const renamed = (text: string) =>
    Array.from(text, (point) => {
      const unit = units.get(point) ?? units.size;
      units.set(point, unit);
      return String.fromCharCode(unit);
    }).join("");
  return leven(renamed(a), renamed(b));
}

/** 1 for equal texts, 0 for texts without a common part: 1 − distance divided by the longer length. */
export function similarity(a: string, b: string): number {
  if (a === b) return 1;
  return 1 - levenshtein(a, b) / Math.max(length(a), length(b));
}

/** `similarity` of two sides' texts, cached: the same pair of texts occurs in many rows. */
export function similarities(
  first: Iterable<string>,
  second: Iterable<string>,
): (a: string, b: string) => number {
  const numbers = (texts: Iterable<string>) => new Map([...new Set(texts)].map((text, i) => [text, i]));
  const [rows, columns] = [numbers(first), numbers(second)];
  const known = new Float64Array(rows.size * columns.size).fill(-1);
  return (a, b) => {
    const at = (rows.get(a) ?? 0) * columns.size + (columns.get(b) ?? 0);
    if (known[at] === -1) known[at] = similarity(a, b);
    return known[at] ?? 0;
  };
}

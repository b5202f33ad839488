/*
 * Brace expansion as in bash (its manual, 3.5.1): one text to several, before any pattern is parsed. Escapes are kept
 * for the pattern's parser.
 */

/** Thrown for too many patterns: a range, or nested braces, can expand to any number. */
export class TooMany extends Error {}

/**
 * The patterns that a text with braces stands for, in order: `{a,b{c,d}}`, `{8..12}`, `{01..12}`, `{a..e}`, with a step
 * `{1..9..2}`. Braces without a comma or a range stand for themselves, and so do escaped ones.
 * @throws TooMany for more than `most`.
 */
export function expand(text: string, most: number): string[] {
  const limit = (list: string[]) => {
    if (list.length > most) throw new TooMany("the braces stand for too many patterns");
    return list;
  };
  // Expands what is before braces that are still open; each list holds the alternatives so far.
  const from = (rest: string): string[] => {
    const found = firstGroup(rest);
    if (found === undefined) return [rest];
    const { before, parts, after } = found;
    const middles = parts.length > 1 ? limit(parts.flatMap(from)) : range(parts[0] ?? "", most);
    const tails = from(after);
    if (middles === undefined) {
      // Braces around a single text are literal, but may contain groups.
      const inner = from(parts[0] ?? "");
      if (inner.length * tails.length > most) limit(new Array(most + 1));
      return inner.flatMap((middle) => tails.map((tail) => `${before}{${middle}}${tail}`));
    }
    if (middles.length * tails.length > most) limit(new Array(most + 1));
    return middles.flatMap((middle) => tails.map((tail) => `${before}${middle}${tail}`));
  };
  return limit(from(text));
}

/** The first matching pair of braces, and the texts between its commas. */
function firstGroup(text: string): { before: string; parts: string[]; after: string } | undefined {
  for (let open = 0; open < text.length; open += 1) {
    if (text[open] === "\\") open += 1;
    else if (text[open] === "{") {
      const group = groupAt(text, open);
      if (group !== undefined) return { before: text.slice(0, open), ...group };
    }
  }
  return undefined;
}

/** Undefined if the brace is never closed or is empty. */
function groupAt(text: string, open: number): { parts: string[]; after: string } | undefined {
  const parts: string[] = [];
  let depth = 0;
  let begin = open + 1;
  for (let at = open + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "{") depth += 1;
    else if (char === "}" && depth > 0) depth -= 1;
    else if (char === "," && depth === 0) {
      parts.push(text.slice(begin, at));
      begin = at + 1;
    } else if (char === "}") {
      parts.push(text.slice(begin, at));
      const isEmpty = parts.length === 1 && parts[0] === "";
      return isEmpty ? undefined : { parts, after: text.slice(at + 1) };
    }
  }
  return undefined;
}

const numbers = /^(-?\d{1,15})\.\.(-?\d{1,15})(?:\.\.(-?\d{1,15}))?$/;
const letters = /^([A-Za-z])\.\.([A-Za-z])(?:\.\.(-?\d{1,15}))?$/;

/** The members of `8..12`; a leading zero at either end pads all to the same width. @throws TooMany. */
function range(text: string, most: number): string[] | undefined {
  const [, first = "", last = "", by = "1"] = numbers.exec(text) ?? letters.exec(text) ?? [];
  if (first === "") return undefined;
  const isNumber = numbers.test(text);
  const [begin, end] = isNumber ? [Number(first), Number(last)] : [first.charCodeAt(0), last.charCodeAt(0)];
  const step = Math.max(1, Math.abs(Number(by)));
  const count = Math.floor(Math.abs(end - begin) / step) + 1;
  if (count > most) throw new TooMany("the range has too many members");
  const isPadded = isNumber && [first, last].some((text) => /^-?0\d/.test(text));
  const width = isPadded ? Math.max(first.length, last.length) : 0;
  return Array.from({ length: count }, (_, i) => {
    const value = begin + Math.sign(end - begin) * step * i;
    if (!isNumber) return String.fromCharCode(value);
    const sign = value < 0 ? "-" : "";
    return `${sign}${String(Math.abs(value)).padStart(width - sign.length, "0")}`;
  });
}

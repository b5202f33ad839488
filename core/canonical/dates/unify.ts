/**
 * Longest text that is read as a date or a time: long weekdays and months with a label. Bounds the cost of hostile
 * texts.
 */
const maxLength = 100;

const plain: Record<string, string> = {
  "‐": "-",
  "‑": "-",
  "‒": "-",
  "–": "-",
  "—": "-",
  "−": "-",
  "’": "'",
  "‘": "'",
  ʼ: "'",
  "`": "'",
  "´": "'",
  "。": ".",
  "،": ",",
  "、": ",",
  "፣": ",",
  "⹁": ",",
};

/**
 * The text in the form in which dates and times are compared: lower case; digits of every script, wide letters, squared
 * eras (㋿), dashes, quotes and spaces in their plain form; no direction marks. Null if it is too long for a date or
 * time.
 */
export function unify(printed: string): string | null {
  if (printed.length > maxLength) return null;
  // Printable ASCII, as on most papers: only case needs unifying.
  if (/^[!-~]+(?: [!-~]+)*$/.test(printed)) return printed.toLowerCase();
  return printed
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[\u061c\u070f\u200b-\u200f\u202a-\u202e\u2066-\u2069\u00ad]/g, "")
    .replace(/\p{Nd}/gu, digit)
    .replace(/[‐‑‒–—−’‘ʼ`´。،、፣⹁]/g, (char) => plain[char] ?? char)
    .replace(/\s+/g, " ")
    .trim();
}

/** The digits of a script are consecutive from zero to nine: the value is the number of digits before this one. */
function digit(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  let value = 0;
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) value += 1;
  return String(value);
}

/**
 * A name in the form in which it is looked up: words separated by one space, without points, and without accents in
 * scripts that have them (Latin, Greek, Cyrillic), because tills and capitals drop them. Signs of other scripts stay,
 * as they change the word.
 */
export function nameKey(name: string): string {
  return name
    .normalize("NFKC")
    .toLowerCase()
    .normalize("NFD")
    .replace(/[\u0300-\u036f\u061c\u070f\u200b-\u200f.'’ʼ]/g, "")
    .replace(/[-,/()\s\u0f0b\u0f0c]+/g, " ")
    .trim()
    .normalize("NFC");
}

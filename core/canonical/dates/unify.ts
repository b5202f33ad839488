/** Longest text that is read as a date or a time: long weekdays and months, and a label; hostile ones cost nothing. */
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
 * The text as dates and times are compared: lower case; digits of every script, wide letters, squared eras (㋿),
 * dashes, quotes and spaces in their plain form; no marks of direction. Null when it is too long to be one.
 */
export function unify(printed: string): string | null {
  if (printed.length > maxLength) return null;
  // Printable ASCII, which most papers are: nothing to unify but case.
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

/** Digits of a script stand in one run from zero to nine: the value is the number of digits in front. */
function digit(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  let value = 0;
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) value += 1;
  return String(value);
}

/**
 * A name as it is looked up: words with a space between, without points and without the accents of letters that have some (Latin, Greek,
 * Cyrillic), which tills drop and capitals lose. Signs of other scripts stay: they make the word.
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

/** Makes foreign text safe for a terminal: names of files, values of a picture, messages of a server. */

/**
 * Control characters (ESC and line ends among them), what turns the direction of text around or cannot be seen, and
 * halves of characters. The joiners within letters and emoji stay.
 */
const unsafe = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const escaped = (character: string) => `\\u{${character.codePointAt(0)?.toString(16)}}`;

/** A name or a value as one line that moves no cursor and sets no title: `a\u{1b}]0;x\u{7}.jpg`. */
export function shown(text: string): string {
  return text.replace(unsafe, escaped);
}

/** A message of several lines; the line ends in it are meant. */
export function message(text: string): string {
  return text.split("\n").map(shown).join("\n");
}

/** How many entries of a list are shown; the others are counted. */
const listed = 20;

/**
 * Entries on a line each, indented; after the first ones the number of the others: "… and 7 more". Entries are made safe.
 * @param how.count - the number of all, if `entries` has only the first of them.
 */
export function list(entries: readonly string[], how: { count?: number } = {}): string {
  const first = entries.slice(0, listed);
  const rest = (how.count ?? entries.length) - first.length;
  return [...first.map(shown), ...(rest > 0 ? [`… and ${rest} more`] : [])].join("\n  ");
}

/**
 * Entries on one line: "a.jpg, b.jpg, … and 7 more". Entries are made safe.
 * @param count - the number of all, if `entries` has only the first of them.
 */
export function several(entries: readonly string[], most: number, count = entries.length): string {
  const first = entries.slice(0, most);
  const rest = count - first.length;
  return [...first.map(shown), ...(rest > 0 ? [`… and ${rest} more`] : [])].join(", ");
}

/** A file's mistakes: one on the same line, several on a line each. @param file - its name, made safe. */
export function mistakes(file: string, problems: readonly string[]): string {
  const [first = ""] = problems;
  return problems.length === 1
    ? `${file}: ${shown(first)}`
    : `${file} has ${problems.length} mistakes:\n  ${list(problems)}`;
}

/** `1 record`, `2 records`, `1 match`, `2 matches`. */
export const counted = (n: number, one: string, several = `${one}s`): string =>
  `${n} ${n === 1 ? one : several}`;

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

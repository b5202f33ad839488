/** Windows-1252, which DATEV calls ANSI. Node can only write Latin-1, which lacks € and the quotes of Windows. */

const codes = new Map<string, number>();
const decoder = new TextDecoder("windows-1252");
for (let code = 0x20; code < 0x100; code += 1) {
  const char = decoder.decode(Uint8Array.of(code));
  // Bytes that are unassigned in Windows-1252 decode to control characters.
  if (!/\p{Cc}/u.test(char)) codes.set(char, code);
}

/**
 * The text without characters that the code page lacks, and those characters, each once. A letter with combining marks
 * counts as one.
 */
export function writable(text: string): { text: string; lacks: string[] } {
  const chars = [...text.normalize("NFC")];
  return {
    text: chars.filter((char) => codes.has(char)).join(""),
    lacks: [...new Set(chars.filter((char) => !codes.has(char)))],
  };
}

/** Text that both code pages encode alike, as nearly every line is: Node writes it some twenty times as fast. */
const isLatin1 = /^[\r\n\x20-\x7e\xa0-\xff]*$/;

/** The bytes of a writable text, including line ends. @throws Error for a character that the code page lacks. */
export function encode(text: string): Uint8Array {
  if (isLatin1.test(text)) return Buffer.from(text, "latin1");
  return Uint8Array.from(text, (char) => {
    const code = char === "\r" ? 13 : char === "\n" ? 10 : codes.get(char);
    if (code === undefined) throw new Error(`${JSON.stringify(char)} is not in Windows-1252`);
    return code;
  });
}

/*
 * Parses callers' JSON. Mistakes are reported with their position and without the text, which may be a picture or a
 * key.
 */

/** The parsed text, or its mistake. */
type Read = { value: unknown; problem?: never } | { value?: never; problem: string };

/**
 * Parses JSON (RFC 8259) as `JSON.parse` does, with two differences: a leading byte order mark, which Windows editors
 * write, is skipped, and an object with a duplicate name is refused. The RFC leaves open which of the two values
 * counts, so the result might not be what the caller meant.
 */
export function read(given: string): Read {
  const text = given.startsWith("\ufeff") ? given.slice(1) : given;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    return { problem: problemOf(text, thrown instanceof Error ? thrown.message : "") };
  }
  const { repeated } = walk(text);
  if (repeated === undefined) return { value };
  return { problem: `has a name twice in one object (${placeOf(text, repeated)})` };
}

const scalar = /-?\d[\d.eE+-]*|true|false|null/y;

/**
 * Walks through a valid JSON text, or through an invalid one up to the parser's error.
 * @returns where an object repeats a name, and where a value is missing.
 */
function walk(text: string): { repeated?: number; noValue?: number } {
  /** Names of each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let next: "value" | "name" | "mark" = "value";
  let last = "";
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i] ?? "";
    if (char === " " || char === "\n" || char === "\r" || char === "\t") continue;
    if ((char === "}" && next !== "value") || (char === "]" && (next === "mark" || last === "["))) {
      open.pop();
      next = "mark";
    } else if (next === "mark") {
      next = char === ":" || open.at(-1) === undefined ? "value" : "name";
    } else if (char === '"') {
      const end = endOfString(text, i);
      if (end < 0) return {};
      if (next === "name" && !isNew(text.slice(i, end + 1), open.at(-1))) return { repeated: i };
      next = "mark";
      i = end;
    } else if (char === "{" || char === "[") {
      open.push(char === "{" ? new Set() : undefined);
      next = char === "{" ? "name" : "value";
    } else {
      scalar.lastIndex = i;
      if (!scalar.test(text)) return { noValue: i };
      i = scalar.lastIndex - 1;
      next = "mark";
    }
    last = char;
  }
  return {};
}

/** Notes a name as written; the same name may be written differently with escapes. */
function isNew(written: string, names: Set<string> | undefined): boolean {
  const name: string = written.includes("\\") ? JSON.parse(written) : written.slice(1, -1);
  if (names === undefined || names.has(name)) return false;
  names.add(name);
  return true;
}

/** The index of the quote that ends a string; a picture's millions of characters are skipped in one step. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return end;
  }
  return -1;
}

/** "line 3, column 14", counted from 1, of a place in a text. */
function placeOf(text: string, at: number): string {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  return `line ${line}, column ${at - before.lastIndexOf("\n")}`;
}

function problemOf(text: string, message: string): string {
  if (text.trim() === "") return "is empty";
  if (text.includes("\0")) return "is not valid JSON: it has NUL bytes; if it is UTF-16, save it as UTF-8";
  const at = positionOf(text, message);
  if (at === undefined) return "is not valid JSON";
  const end = text.trimEnd().length;
  if (at >= end) return `is not valid JSON: it breaks off at ${placeOf(text, end)}`;
  // What is missing between two lines is missing at the end of the first one.
  const before = text.slice(0, at).trimEnd().length;
  const isMissing = /^Expected '[,:]'/.test(message) && text.slice(before, at).includes("\n");
  return `is not valid JSON at ${placeOf(text, isMissing ? before : at)}: ${why(text, at, message)}`;
}

/** Position of the parser's error. V8 reports it except for invalid values and texts that break off. */
function positionOf(text: string, message: string): number | undefined {
  const said = /at position (\d+)/.exec(message)?.[1];
  if (said !== undefined) return Number(said);
  if (message.startsWith("Unexpected end")) return text.length;
  return walk(text).noValue;
}

/** The most likely mistake, by the character at the position. */
function why(text: string, at: number, message: string): string {
  const char = text[at] ?? "";
  const before = text.slice(0, at).trimEnd().at(-1);
  if (message.startsWith("Bad control"))
    return "a line break or control character in a string is written as \\n";
  if (message.startsWith("Bad escaped") || message.startsWith("Bad Unicode"))
    return "a backslash in a string is written twice (\\\\)";
  if (char === "'") return "strings and names have double quotes, not single ones";
  if (/[\u201c\u201d\u201e\u2018\u2019]/.test(char))
    return "typographic quotes are not allowed: use plain double quotes";
  if (/[}\]]/.test(char) && before === ",") return "the comma before the closing bracket is one too many";
  if (/[}\]]/.test(char) && before === ":") return "a value is missing";
  if (char === "/" || char === "#") return "comments are no part of JSON";
  if (at === 0 && char === "@") return "it begins with @; a file is sent by curl's --data-binary @FILE";
  if (at === 0 && /^[\w.-]{1,64}=/.test(text)) return "this is a form, not JSON";
  if (message.startsWith("Unexpected non-whitespace")) return "something follows after its end";
  if (/^(?:None|True|False|NaN|undefined|-?Infinity)\b/.test(text.slice(at, at + 12)))
    return "null, true and false are written so, and there is no NaN or undefined";
  if (/^Expected (?:property name|double-quoted)/.test(message)) return "names have double quotes";
  if (message.startsWith("Expected ','"))
    return 'a comma is missing, or a quote within a string is not written as \\"';
  if (message.startsWith("Expected ':'")) return "a colon is missing";
  return "no JSON value begins so";
}

import { extractJson, type JsonObject } from "#core/vision/answer/json";

export interface Salvaged {
  value: JsonObject;
  /** Complete entries of the longest list. */
  rows: number;
  /** Path of the list in which the text ends; undefined if it ends outside of any list. */
  brokenList: string | undefined;
}

/** Maximum depth, the same as for a complete answer. */
const maxDepth = 64;

interface Open {
  closer: "}" | "]";
  /** Its name in the parent object; empty for the root and for elements of lists. */
  name: string;
  /** In an object: the name of the next value. */
  member: string;
  /** In an object: true if a value must follow, rather than a name. */
  due: boolean;
}

/**
 * The complete parts of an incomplete object: complete members of objects, and complete entries of lists. An entry
 * that breaks off is left out entirely, and so is a value whose end is missing: `12` may have become `125`. Only
 * closing brackets are added. A text that would be refused as a whole (duplicate name, `__proto__`, not JSON) is also
 * refused in part.
 * @returns undefined if no member is complete.
 */
export function salvage(text: string): Salvaged | undefined {
  const start = beginOf(text);
  if (start === undefined) return undefined;
  const seen = scan(text, start);
  if (seen === undefined) return undefined;
  const extracted = extractJson(text.slice(start, seen.end) + seen.closers);
  if (!extracted.ok) return undefined;
  return { value: extracted.value, rows: rowsOf(extracted.value), brokenList: seen.brokenList };
}

/** The first brace after any thinking. */
function beginOf(text: string): number | undefined {
  const thought = text.lastIndexOf("</think>");
  const start = text.indexOf("{", thought === -1 ? 0 : thought);
  return start === -1 ? undefined : start;
}

/** Scans the text and remembers the last position up to which everything is complete. */
function scan(
  text: string,
  start: number,
): { end: number; closers: string; brokenList?: string } | undefined {
  const open: Open[] = [];
  let whole: { end: number; closers: string } | undefined;
  const note = (end: number) => {
    const top = open.at(-1);
    if (top !== undefined) top.due = false;
    // Within a list entry nothing counts until the entry ends.
    const inEntry = open.some((_each, depth) => depth > 0 && open[depth - 1]?.closer === "]");
    if (!inEntry) whole = { end, closers: closersOf(open) };
  };
  for (let at = start; at < text.length; ) {
    const character = text[at] ?? "";
    if (character === "{" || character === "[") {
      if (open.length >= maxDepth) return undefined;
      const around = open.at(-1);
      const closer = character === "{" ? "}" : "]";
      open.push({ closer, name: around?.closer === "}" ? around.member : "", member: "", due: false });
      at += 1;
    } else if (character === "}" || character === "]") {
      if (open.pop()?.closer !== character) return undefined;
      at += 1;
      // The object is complete after all.
      if (open.length === 0) return { end: at, closers: "" };
      note(at);
    } else if (character === '"') {
      const end = stringEnd(text, at);
      if (end === undefined) break;
      const top = open.at(-1);
      if (top?.closer === "}" && !top.due) {
        top.member = text.slice(at + 1, end - 1);
        top.due = true;
      } else note(end);
      at = end;
    } else if (/[\s,:]/.test(character)) at += 1;
    else {
      const end = wordEnd(text, at);
      // A number or a word at the very end may be incomplete.
      if (end === text.length) break;
      note(end);
      at = end;
    }
  }
  if (whole === undefined) return undefined;
  const list = open.findIndex(({ closer }) => closer === "]");
  if (list === -1) return whole;
  const path = open.slice(0, list + 1).flatMap(({ name }) => (name === "" ? [] : [name]));
  return { ...whole, brokenList: path.join(".") };
}

const closersOf = (open: readonly Open[]) =>
  open
    .map(({ closer }) => closer)
    .toReversed()
    .join("");

function stringEnd(text: string, start: number): number | undefined {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return undefined;
}

function wordEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && !/[\s,:{}[\]"]/.test(text[at] ?? "")) at++;
  return at;
}

/** Length of the longest list that is not part of another's entry. */
function rowsOf(value: unknown, depth = 0): number {
  if (Array.isArray(value)) return value.length;
  if (typeof value !== "object" || value === null || depth > maxDepth) return 0;
  return Math.max(0, ...Object.values(value).map((each) => rowsOf(each, depth + 1)));
}

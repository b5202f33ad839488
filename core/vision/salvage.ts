import { extractJson, type JsonObject } from "#core/vision/json";

export interface Salvaged {
  value: JsonObject;
  /** Whole entries of the longest list. */
  rows: number;
  /** The list that the text breaks off in, as a path; undefined when it breaks off outside of any. */
  brokenList: string | undefined;
}

/** As deep as a whole answer may be. */
const maxDepth = 64;

interface Open {
  closer: "}" | "]";
  /** Its name in the object around it; empty for the outermost and for elements of lists. */
  name: string;
  /** In an object: the name whose value comes next. */
  member: string;
  /** In an object: a value is due, and not a name. */
  due: boolean;
}

/**
 * What is whole in an object that breaks off: of objects their whole members, of lists their whole entries. An entry
 * that breaks off is left out with all it has (half a row is none), and so is a value whose end is not there: `12` may
 * have become `125`. Nothing is added but the closing brackets. What the text would not be taken for as a whole
 * (a name twice, `__proto__`, no JSON) is not taken in part either.
 * @returns undefined when not one member is whole.
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

/** The first brace behind what a model may have thought aloud. */
function beginOf(text: string): number | undefined {
  const thought = text.lastIndexOf("</think>");
  const start = text.indexOf("{", thought === -1 ? 0 : thought);
  return start === -1 ? undefined : start;
}

/** Walks to the end of the text and remembers the last place where everything before it was whole. */
function scan(
  text: string,
  start: number,
): { end: number; closers: string; brokenList?: string } | undefined {
  const open: Open[] = [];
  let whole: { end: number; closers: string } | undefined;
  const note = (end: number) => {
    const top = open.at(-1);
    if (top !== undefined) top.due = false;
    // Within an entry of a list nothing counts before the entry's own end.
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
      // It is whole after all, and its reader knows better.
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
      // A number or a word whose end is the text's may go on.
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

/** Length of the longest list that is no part of another's entry. */
function rowsOf(value: unknown, depth = 0): number {
  if (Array.isArray(value)) return value.length;
  if (typeof value !== "object" || value === null || depth > maxDepth) return 0;
  return Math.max(0, ...Object.values(value).map((each) => rowsOf(each, depth + 1)));
}

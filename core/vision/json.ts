import { type Repair, type Scanned, scanObject, type Unsafe } from "#core/vision/object-scan";
import { endOfThinking, isOnlyThinking, type Mark, nextMark } from "#core/vision/thinking";

export type JsonObject = Record<string, unknown>;

export interface Found {
  ok: true;
  value: JsonObject;
  /** What had to be mended; absent where nothing had to be. */
  repaired?: readonly Repair[];
}

type Extracted = Found | { ok: false; reason: InvalidReason };

type InvalidReason =
  | "empty"
  /** No object in it at all. */
  | "no_object"
  /** An object that is never closed, or a brace too many. */
  | "half_object"
  | "two_objects"
  /** Braces around something that is not JSON. */
  | "invalid_json"
  /** An array, or the object inside of one. */
  | "not_an_object"
  /** Thinking that is never closed. */
  | "unfinished_thinking"
  /**
   * The same name twice: which of the two values was read is unknown. `__proto__` as a name: nothing a receipt says,
   * and a trap for code that copies the object. More levels than any document has.
   */
  | Unsafe;

/** So much text is looked at for each character of the answer: braces within braces are read once for each level. */
const maxPasses = 16;
/** A name and the beginning of a value, written as JavaScript, Python or by a word processor would. */
const looselyWritten = /\{\s{0,8}[^\s:{}"][^:{}\n]{0,64}:\s{0,8}(?:["'“‘\d[{]|-\d)/y;
const member = /"[^"\n]{1,64}"\s{0,8}:/;
const nextMember = /^,\s{0,64}"[^"\n]{1,64}"\s{0,8}:/;
/** A member with its value, or what is left of one. */
const valued = /"[^"\n]{1,64}"\s{0,8}:\s{0,8}(?:["\d[{]|-\d|true|false|null)/;
/** Nothing but white space and the fence of a code block in front of a brace. */
const opening = /\s*(?:```[A-Za-z0-9]{0,16}\s*)?\{/y;
const fence = /^(?:\s|```[A-Za-z0-9]{0,16})*$/;

/**
 * The one JSON object in a model's answer. Around it are tolerated: code fences, prose (also with braces that hold no
 * values), and thinking with whatever is in it: between its marks, or before a closing mark that was never opened.
 * A second object that says something else, half an object, an array, a duplicate name are not: each leaves open what
 * the model meant. The same object twice is one. What was mended is named in `repaired`.
 *
 * Numbers that JavaScript would change (beyond 2^53, more than 17 digits, 1e999) come back as the text that was
 * written: a digit is never altered silently, and the schema check reports the type. Time is linear in the text.
 */
export function extractJson(text: string): Extracted {
  return new Extraction(text).run();
}

/**
 * The object at the end of a text that should have been thinking: servers whose reasoning parser waits for a closing
 * mark hand out the answer as reasoning (vllm-project/vllm 17349, 19222). One that is followed by more thought was
 * only tried.
 */
export function extractLast(text: string): Extracted {
  const extraction = new Extraction(text);
  const extracted = extraction.run();
  if (!extracted.ok || fence.test(text.slice(extraction.answerEnd))) return extracted;
  return { ok: false, reason: "no_object" };
}

type Whole = Extract<Scanned, { kind: "object" }> & { start: number };

class Extraction {
  readonly #text: string;
  /** Where the answer begins: behind the last thinking that was closed without being opened. */
  #from = 0;
  #found: Whole[] = [];
  /** Something beside the object that may have been meant as the answer, too. */
  #rival: InvalidReason | undefined;
  #braces = false;
  /** Braces of the prose that are open, and whether one was closed that had not been. */
  #open = 0;
  #strays = false;
  #unclosed: number | undefined;
  /** All there was in front of a closing mark with nothing behind it. */
  #before: Whole | undefined;
  answerEnd = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): Extracted {
    let budget = this.#text.length * maxPasses;
    for (let at = 0; ; ) {
      const mark = nextMark(this.#text, at);
      if (mark === undefined) break;
      at = mark.end;
      if (mark.kind === "close") this.#wasThinking(mark);
      else if (mark.kind === "open") {
        const end = endOfThinking(this.#text, mark.end);
        if (end === undefined) {
          this.#unclosed = mark.end;
          break;
        }
        at = end;
      } else if (this.#text[mark.start] === "}") {
        this.#braces = true;
        if (this.#open === 0) this.#strays = true;
        else this.#open--;
      } else {
        const scanned = scanObject(this.#text, mark.start);
        if (scanned.kind === "half") return { ok: false, reason: "half_object" };
        if (scanned.kind === "object") at = scanned.end;
        else budget -= scanned.at - mark.start;
        this.#note(mark.start, scanned);
        if (budget < 0) return { ok: false, reason: this.#rival ?? "invalid_json" };
      }
    }
    return this.#conclude();
  }

  #note(start: number, scanned: Exclude<Scanned, { kind: "half" }>): void {
    this.#braces = true;
    if (scanned.kind === "object") this.#found.push({ ...scanned, start });
    else this.#open++;
    if (scanned.kind === "unsafe") this.#rival ??= scanned.reason;
    else if (scanned.kind === "broken") {
      looselyWritten.lastIndex = start;
      if (scanned.values || looselyWritten.test(this.#text)) this.#rival ??= "invalid_json";
    }
  }

  /** A closing mark alone: the thinking began in the prompt, and everything so far belongs to it. */
  #wasThinking({ start, end }: Mark): void {
    const between = this.#text.slice(this.#from, start);
    if (this.#before !== undefined && between.trim() === "") {
      this.#from = end;
      return;
    }
    const [only, ...more] = this.#found;
    const alone =
      only !== undefined && more.length === 0 && this.#rival === undefined && this.#isAlone(only, start);
    this.#before = alone ? only : undefined;
    this.#from = end;
    this.#found = [];
    this.#rival = undefined;
    this.#braces = this.#strays = false;
    this.#open = 0;
  }

  #isAlone({ start, end }: Whole, until: number): boolean {
    return fence.test(this.#text.slice(this.#from, start)) && fence.test(this.#text.slice(end, until));
  }

  #conclude(): Extracted {
    if (this.#unclosed !== undefined && this.#found.length === 0) return this.#unfinished(this.#unclosed);
    if (this.#rival !== undefined) return { ok: false, reason: this.#rival };
    const objects = this.#different();
    const [object, second] = objects;
    if (second !== undefined) return { ok: false, reason: "two_objects" };
    if (object === undefined) {
      const rest = this.#text.slice(this.#from);
      if (this.#before !== undefined && rest.trim() === "") return this.#take(this.#before);
      return { ok: false, reason: this.#withoutObject(rest) };
    }
    const torn = this.#tornFrom(object);
    return torn === undefined ? this.#take(object) : { ok: false, reason: torn };
  }

  /** Some servers put the opening mark in front of an answer without any thinking in it. */
  #unfinished(from: number): Extracted {
    opening.lastIndex = from;
    if (this.#rival === undefined && opening.test(this.#text)) {
      const start = opening.lastIndex - 1;
      const scanned = scanObject(this.#text, start);
      if (scanned.kind === "object" && fence.test(this.#text.slice(scanned.end)))
        return this.#take({ ...scanned, start });
    }
    return { ok: false, reason: "unfinished_thinking" };
  }

  /** Without repetitions, and without `{}` beside an object that says something. */
  #different(): Whole[] {
    if (this.#found.length < 2) return this.#found;
    const last = new Map<string, Whole>();
    for (const each of this.#found) last.set(canonical(each), each);
    if (last.size > 1) last.delete("{}");
    return [...last.values()];
  }

  #withoutObject(rest: string): InvalidReason {
    if (rest.trim() === "" || isOnlyThinking(this.#text)) return "empty";
    if (this.#braces) return "invalid_json";
    return isJson(rest) ? "not_an_object" : "no_object";
  }

  /** Why the object is a piece of something larger that is not whole; undefined when it stands for itself. */
  #tornFrom({ start, end }: Whole): InvalidReason | undefined {
    const before = this.#text.slice(this.#from, start).trimEnd();
    const after = this.#text.slice(end).trimStart();
    const between = /[[,]$/.test(before) && /^[\],]/.test(after);
    if (between && (before.includes("[") || after.includes("]"))) return "not_an_object";
    if ((/"\s{0,8}:$/.test(before) && valued.test(before)) || nextMember.test(after)) return "half_object";
    // `{{…}}`, as a prompt's template would have it; any other brace too many closes something unknown.
    const doubled = before.endsWith("{") && after.startsWith("}");
    if (after.startsWith("}") && !doubled) return "half_object";
    const unbalanced = this.#strays || this.#open > 0;
    return unbalanced && (member.test(before) || member.test(after)) ? "half_object" : undefined;
  }

  #take(object: Whole): Extracted {
    this.answerEnd = object.end;
    try {
      const value = JSON.parse(object.json, keepDigits) as JsonObject;
      return { ok: true, value, ...(object.repaired.length > 0 ? { repaired: object.repaired } : {}) };
    } catch {
      return { ok: false, reason: "invalid_json" };
    }
  }
}

/** The same for objects that say the same: white space and the order of names do not matter. */
function canonical({ json }: Whole): string {
  const sorted = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(sorted);
    return Object.fromEntries(
      Object.entries(value)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, each]) => [name, sorted(each)]),
    );
  };
  return JSON.stringify(sorted(JSON.parse(json, keepDigits)));
}

/** Reviver with source access (ES2026, in Node since 22): a number that does not survive stays text. */
function keepDigits(_name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value;
  const digits = context.source
    .replace(/[eE].*$/, "")
    .replace(/[-.]/g, "")
    .replace(/^0+/, "");
  if (Number.isFinite(value) && (digits.length <= 15 || String(value) === context.source)) return value;
  return context.source;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

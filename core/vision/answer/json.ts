import { type Repair, type Scanned, scanObject, type Unsafe } from "#core/vision/answer/object-scan";
import { endOfThinking, isOnlyThinking, type Mark, nextMark } from "#core/vision/answer/thinking";

export type JsonObject = Record<string, unknown>;

export interface Found {
  ok: true;
  value: JsonObject;
  /** Repairs that were needed; absent without any. */
  repaired?: readonly Repair[];
}

type Extracted = Found | { ok: false; reason: InvalidReason };

type InvalidReason =
  | "empty"
  /** The text has no object. */
  | "no_object"
  /** An object that is never closed, or a surplus brace. */
  | "half_object"
  | "two_objects"
  /** Braces around text that is not JSON. */
  | "invalid_json"
  /** An array, or the object within one. */
  | "not_an_object"
  /** Thinking that is never closed. */
  | "unfinished_thinking"
  /**
   * A duplicate name: which of the two values is meant is unknown. `__proto__` as a name: never on a receipt, and a
   * risk for code that copies the object. More levels than any document has.
   */
  | Unsafe;

/** The scanned text may be at most this many times the answer's length; nested braces are scanned once per level. */
const maxPasses = 16;
/** The beginning of a member in the syntax of JavaScript, Python or a word processor. */
const looselyWritten = /\{\s{0,8}[^\s:{}"][^:{}\n]{0,64}:\s{0,8}(?:["'“‘\d[{]|-\d)/y;
const member = /"[^"\n]{1,64}"\s{0,8}:/;
const nextMember = /^,\s{0,64}"[^"\n]{1,64}"\s{0,8}:/;
/** A member with its value, or the beginning of the value. */
const valued = /"[^"\n]{1,64}"\s{0,8}:\s{0,8}(?:["\d[{]|-\d|true|false|null)/;
/** Only white space and a code fence before a brace. */
const opening = /\s*(?:```[A-Za-z0-9]{0,16}\s*)?\{/y;
const fence = /^(?:\s|```[A-Za-z0-9]{0,16})*$/;

/**
 * The one JSON object in a model's answer. Tolerated around it: code fences, prose (also with braces that contain no
 * values), and thinking with any content, between its marks or before a closing mark that was never opened. Refused: a
 * different second object, half an object, an array, a duplicate name, since each leaves open what the model meant. The
 * same object twice counts as one. `repaired` lists the repairs.
 *
 * Numbers that JavaScript would change (beyond 2^53, more than 17 digits, 1e999) are returned as their text: no digit
 * is altered silently, and the schema check reports the type. Takes linear time.
 */
export function extractJson(text: string): Extracted {
  return new Extraction(text).run();
}

/**
 * The object at the end of a text that the server returned as thinking: servers whose reasoning parser waits for a
 * closing mark return the answer as reasoning (vllm-project/vllm 17349, 19222). An object followed by more thinking was
 * only a draft.
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
  /** Start of the answer: after the last closing mark of thinking that was never opened. */
  #from = 0;
  #found: Whole[] = [];
  /** Text beside the object that may have been meant as the answer. */
  #rival: InvalidReason | undefined;
  #braces = false;
  /** Number of open braces in the prose, and whether one was closed without being opened. */
  #open = 0;
  #strays = false;
  #unclosed: number | undefined;
  /** The object before a closing mark that nothing follows. */
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

  /** A closing mark alone: the thinking began in the prompt, so everything before the mark belongs to it. */
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

  /** Some servers put the opening mark before an answer that has no thinking. */
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

  /** The distinct objects, without `{}` if another one has content. */
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

  /** Why the object is part of something larger that is incomplete; undefined if it stands alone. */
  #tornFrom({ start, end }: Whole): InvalidReason | undefined {
    const before = this.#text.slice(this.#from, start).trimEnd();
    const after = this.#text.slice(end).trimStart();
    const between = /[[,]$/.test(before) && /^[\],]/.test(after);
    if (between && (before.includes("[") || after.includes("]"))) return "not_an_object";
    if ((/"\s{0,8}:$/.test(before) && valued.test(before)) || nextMember.test(after)) return "half_object";
    // `{{…}}` as in a prompt template; any other surplus brace closes something unknown.
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

/** The same text for equal objects: white space and the order of names do not matter. */
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

/** A reviver with access to the source (ES2026, in Node since 22): a number that would change stays a text. */
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

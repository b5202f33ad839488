import { limits } from "./limits.ts";
import * as Wrong from "./wrong.ts";

/*
 * Cuts JSON that is too large to be parsed at once into the values that it holds. Only the text around the values is
 * checked here; each value's own text is checked by its parser.
 */

/** The form of the input: texts one after another (JSON lines), the elements of a list, or the members of an object. */
export type Form = "values" | "list" | "members";

export interface Cut {
  /** The name of a member, as written, with its quotes. */
  name: string | undefined;
  /** True for an element of the member `items`, whose list is not cut as a whole. */
  inItems: boolean;
  text: string;
  /** Where the text begins. */
  spot: Wrong.Spot;
  /** The text is a broken line of JSON lines, and is empty here: where it is broken, and why. */
  broken?: { at: Wrong.Spot; why: string };
}

type Next = "open" | "name" | "colon" | "value" | "comma" | "end";

/** Characters of a string without a special meaning. */
const plain = /[^"\\\n]*/y;

const isSpace = (char: string) => char === " " || char === "\n" || char === "\r" || char === "\t";

/**
 * Cuts texts that are passed in pieces. Holds one value in memory, up to `limits.recordLength`.
 * @throws AppError `invalid_request` with `gt_not_json`, `gt_too_deep` or `gt_record_too_large` in `details.reason`,
 *   with the place.
 */
export class Cutter {
  readonly #form: Form;
  #next: Next;
  /** A list or an object may end while it is empty, but a comma must be followed by a value. */
  #afterComma = false;
  /** Number of open brackets in the current value. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The parts of the current value or name; undefined between them. */
  #parts: string[] | undefined;
  #length = 0;
  #begun: Wrong.Spot = { line: 1, column: 1 };
  #name: string | undefined;
  #items: "none" | "open" | "read" = "none";
  #line: number;
  /** Position of the current line's first character in the whole input. */
  #lineStart: number;
  /** The last line with a character that is not a space, up to the current position, and where that line ends. */
  #filled: Wrong.Spot = { line: 0, column: 0 };
  /** The last such character within a value, outside of strings. */
  #last = "";
  /** A bit for each depth of a value: 1 for an object, 0 for a list. */
  #objects = 0;
  /** A text between JSON lines that is no object is read up to the end of its line. */
  #inLine = false;
  /** The first position in the current value with something that JSON does not allow. */
  #suspect: Wrong.Spot | undefined;
  #given = 0;

  constructor(form: Form, from: Wrong.Spot = { line: 1, column: 1 }) {
    this.#form = form;
    this.#next = form === "values" ? "value" : "open";
    this.#line = from.line;
    this.#lineStart = 1 - from.column;
  }

  /** True if the object has a member `items` that is a list. */
  get hasItems(): boolean {
    return this.#items !== "none";
  }

  *push(piece: string): Generator<Cut> {
    let from = 0;
    for (let i = 0; i < piece.length; i += 1) {
      if (this.#inLine) {
        i = endOfLine(piece, i);
        if (i === piece.length) break;
        yield* this.#finish(piece.slice(from, i));
        this.#inLine = false;
      } else if (this.#inString) {
        i = this.#passString(piece, i);
        if (piece[i] === "\n") yield this.#brokenString(i);
        else {
          // True while a string is read that is the whole value, or a name.
          if (!this.#inString && this.#depth === 0) yield* this.#finish(piece.slice(from, i + 1));
          continue;
        }
      }
      const char = piece[i] ?? "";
      if (isSpace(char)) {
        // A number or a word has ended before this.
        if (this.#parts !== undefined && this.#depth === 0) yield* this.#finish(piece.slice(from, i));
        if (char === "\n") this.#newLine(i);
        continue;
      }
      if (char === "{" && this.#depth > 0 && this.#isOutOfPlace()) {
        if (this.#isOneLine()) yield this.#broken(this.#filled, "a bracket is not closed");
        else this.#suspect ??= this.#filled;
      } else if (char === "{" && this.#depth > 0 && this.#mayBeNextLine(i)) this.#suspect ??= this.#filled;
      if (this.#parts === undefined) {
        if (!this.#frame(char, i)) {
          this.#begin(char, i);
          from = i;
        }
      } else if (char === '"') this.#inString = true;
      else if (char === "{" || char === "[") this.#deeper(char, i);
      else if (char === "}" || char === "]") {
        const isOfOtherKind = this.#depth === 1 && (char === "}") !== this.#isObject();
        if (isOfOtherKind && this.#suspect !== undefined) throw this.#neverClosed();
        // A closing bracket outside of the value ends a number or a word.
        if (this.#depth <= 1) yield* this.#finish(piece.slice(from, this.#depth === 0 ? i : i + 1));
        if (this.#depth === 0) this.#frame(char, i);
        else this.#depth -= 1;
      } else if (char === "," && this.#depth === 0) {
        yield* this.#finish(piece.slice(from, i));
        this.#frame(char, i);
      }
      // A comma may begin the line of the next value.
      if (char !== ",") this.#fill();
      this.#last = char;
    }
    this.#given += piece.length;
    if (this.#parts !== undefined) this.#keep(piece.slice(from));
  }

  /** The last value of texts that follow one another; a number has no closing character. */
  *end(): Generator<Cut> {
    const word = this.#depth === 0 && !this.#inString;
    if (this.#parts !== undefined && word && this.#form === "values") yield* this.#finish("");
    const between = this.#parts === undefined && (this.#next === "end" || this.#form === "values");
    if (between) return;
    throw this.#neverClosed() ?? this.#wrongAt("is not valid JSON: it breaks off", this.#end(0));
  }

  /** The error of a value that did not end, if a line in it shows where a bracket is missing. */
  #neverClosed() {
    if (this.#suspect === undefined) return undefined;
    return this.#wrongAt("is not valid JSON: a bracket that is open here is never closed", this.#suspect);
  }

  #begin(char: string, i: number): void {
    this.#parts = [];
    this.#length = 0;
    this.#begun = this.#spot(i);
    this.#suspect = undefined;
    if (this.#form === "values" && char !== "{") this.#inLine = true;
    else if (char === '"') this.#inString = true;
    else if (char === "{" || char === "[") this.#open(char);
  }

  /** Marks the current line as one with text. */
  #fill(): void {
    if (this.#filled.line !== this.#line) this.#filled = { line: this.#line, column: 0 };
  }

  #newLine(i: number): void {
    if (this.#filled.line === this.#line) this.#filled = this.#spot(i);
    this.#line += 1;
    this.#lineStart = this.#given + i + 1;
  }

  /** Where the text before this position ends: on an earlier line, if there is only space before it on its own. */
  #end(i: number): Wrong.Spot {
    return this.#filled.line === this.#line || this.#filled.line === 0 ? this.#spot(i) : this.#filled;
  }

  /** True for an opening bracket that begins a line where JSON allows none: the line before is not whole. */
  #isOutOfPlace(): boolean {
    if (this.#filled.line === this.#line || this.#last === ":" || this.#last === "[") return false;
    return this.#last !== "," || this.#isObject();
  }

  /**
   * True for an object that begins a line behind an open name or list of the line before: the member's value, or, in JSON lines, the
   * next record. Only what follows can tell.
   */
  #mayBeNextLine(i: number): boolean {
    return this.#filled.line !== this.#line && this.#isOneLine() && this.#spot(i).column === 1;
  }

  /** True if the innermost open bracket is that of an object. */
  #isObject(): boolean {
    return ((this.#objects >>> (this.#depth - 1)) & 1) === 1;
  }

  /** True if the current value is an object that began on the last line with text, as in JSON lines. */
  #isOneLine(): boolean {
    return this.#form === "values" && this.#begun.line === this.#filled.line;
  }

  /** Ends the current value as a broken line; the next line is read as if this one were right. */
  #broken(at: Wrong.Spot, why: string): Cut {
    this.#parts = undefined;
    this.#inString = false;
    this.#escaped = false;
    this.#depth = 0;
    return { name: undefined, inItems: false, text: "", spot: this.#begun, broken: { at, why } };
  }

  #brokenString(i: number): Cut {
    const why = "a line break in a string is written as \\n";
    this.#fill();
    if (this.#parts === undefined || !this.#isOneLine()) throw this.#wrong(`is not valid JSON: ${why}`, i);
    return this.#broken(this.#spot(i), why);
  }

  /** @returns the index of the string's last character within this piece, or of a line break in the string. */
  #passString(piece: string, start: number): number {
    for (let i = start; i < piece.length; i += 1) {
      if (this.#escaped) {
        this.#escaped = false;
        continue;
      }
      plain.lastIndex = i;
      plain.test(piece);
      i = plain.lastIndex;
      const char = piece[i];
      if (char === "\\") this.#escaped = true;
      else if (char === '"') {
        this.#inString = false;
        this.#last = char;
        return i;
      } else if (char === "\n") return i;
    }
    return piece.length;
  }

  /** Handles the characters around values. @returns false if a value or a name begins here. */
  #frame(char: string, i: number): boolean {
    const inList = this.#form === "list" || this.#items === "open";
    const first = inList ? "value" : "name";
    if (this.#next === "open" && char === (inList ? "[" : "{")) return this.#go(first);
    if (this.#next === "comma" && char === ",") {
      this.#afterComma = true;
      this.#next = this.#form === "values" ? "value" : first;
      return true;
    }
    if (this.#next === "colon" && char === ":") return this.#go("value");
    const mayEnd = this.#next === "comma" || (this.#next === first && !this.#afterComma);
    if (this.#form !== "values" && mayEnd && char === (inList ? "]" : "}")) {
      const items = this.#items === "open";
      if (items) this.#items = "read";
      return this.#go(items ? "comma" : "end");
    }
    if (this.#next === "value" && char === "[" && !inList && this.#name === '"items"') {
      this.#items = "open";
      return this.#go("value");
    }
    if (this.#next === "name" && char === '"') return false;
    // Between JSON lines the line's own text says what is wrong, and the lines after it are read.
    if (this.#next === "value" && !(this.#form === "values" ? /,/ : /[,:}\]]/).test(char)) return false;
    if (this.#form === "values" && char === ",")
      throw this.#wrong(
        "is not valid JSON: JSON lines have no commas between them, and a list has brackets",
        i,
      );
    const missing = this.#next === "comma" || this.#next === "colon";
    const at = missing ? this.#end(i) : this.#spot(i);
    throw this.#wrongAt(`is not valid JSON: ${expected[this.#next]}`, at);
  }

  #go(next: Next): true {
    this.#afterComma = false;
    this.#next = next;
    return true;
  }

  #open(bracket: "{" | "["): void {
    const bit = 1 << this.#depth;
    this.#objects = bracket === "{" ? this.#objects | bit : this.#objects & ~bit;
    this.#depth += 1;
  }

  #deeper(bracket: "{" | "[", i: number): void {
    if (this.#depth === 0) throw this.#wrong("is not valid JSON: a comma is missing", i);
    if (this.#depth >= limits.depth) {
      const deep = Wrong.at("gt_too_deep", `is nested more than ${limits.depth} deep`, this.#spot(i));
      throw this.#neverClosed() ?? deep;
    }
    this.#open(bracket);
  }

  #keep(part: string): void {
    this.#length += part.length;
    if (this.#length > limits.recordLength) {
      const most = limits.recordLength / 1024;
      throw (
        this.#neverClosed() ??
        Wrong.at("gt_record_too_large", `a record has more than ${most} KiB`, this.#begun)
      );
    }
    this.#parts?.push(part);
  }

  *#finish(last: string): Generator<Cut> {
    this.#keep(last);
    const text = this.#parts?.join("") ?? "";
    this.#parts = undefined;
    if (this.#next === "name") {
      this.#name = text;
      this.#next = "colon";
      return;
    }
    this.#next = this.#form === "values" ? "value" : "comma";
    this.#afterComma = false;
    yield { name: this.#name, inItems: this.#items === "open", text, spot: this.#begun };
  }

  #spot(i: number): Wrong.Spot {
    return { line: this.#line, column: this.#given + i - this.#lineStart + 1 };
  }

  #wrong(message: string, i: number) {
    return this.#wrongAt(message, this.#spot(i));
  }

  #wrongAt(message: string, spot: Wrong.Spot) {
    return Wrong.at("gt_not_json", message, spot);
  }
}

const endOfLine = (piece: string, from: number): number => {
  const end = piece.indexOf("\n", from);
  return end < 0 ? piece.length : end;
};

const expected: Record<Next, string> = {
  open: "its beginning does not fit its form",
  name: "names have double quotes",
  colon: "a colon is missing",
  value: "a value is missing",
  comma: "a comma is missing",
  end: "something follows after its end",
};

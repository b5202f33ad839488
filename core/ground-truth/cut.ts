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
      const char = piece[i] ?? "";
      if (this.#inString) {
        i = this.#passString(piece, i);
        if (this.#inString || this.#depth > 0 || this.#parts === undefined) continue;
        // A string that is the whole value, or a name.
        yield* this.#finish(piece.slice(from, i + 1));
        continue;
      }
      if (char === "\n") {
        this.#line += 1;
        this.#lineStart = this.#given + i + 1;
      }
      if (this.#parts === undefined) {
        if (isSpace(char)) continue;
        if (this.#frame(char, i)) continue;
        this.#parts = [];
        this.#length = 0;
        from = i;
        this.#begun = this.#spot(i);
        if (char === '"') this.#inString = true;
        else if (char === "{" || char === "[") this.#depth = 1;
        continue;
      }
      if (char === '"') this.#inString = true;
      else if (char === "{" || char === "[") this.#deeper(i);
      else if (this.#depth > 0 && (char === "}" || char === "]")) {
        this.#depth -= 1;
        if (this.#depth === 0) yield* this.#finish(piece.slice(from, i + 1));
      } else if (this.#depth === 0 && (isSpace(char) || char === "," || char === "}" || char === "]")) {
        // A number or a word has ended before this.
        yield* this.#finish(piece.slice(from, i));
        if (!isSpace(char)) this.#frame(char, i);
      }
    }
    this.#given += piece.length;
    if (this.#parts !== undefined) this.#keep(piece.slice(from));
  }

  /** The last value of texts that follow one another; a number has no closing character. */
  *end(): Generator<Cut> {
    const word = this.#depth === 0 && !this.#inString;
    if (this.#parts !== undefined && word && this.#form === "values") yield* this.#finish("");
    const between = this.#parts === undefined && (this.#next === "end" || this.#form === "values");
    if (!between) throw this.#wrong("is not valid JSON: it breaks off", 0);
  }

  /** @returns the index of the string's last character within this piece. */
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
        return i;
      } else if (char === "\n")
        throw this.#wrong("is not valid JSON: a line break in a string is written as \\n", i);
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
    if (this.#next === "value" && !/[,:}\]]/.test(char)) return false;
    throw this.#wrong(`is not valid JSON: ${expected[this.#next]}`, i);
  }

  #go(next: Next): true {
    this.#afterComma = false;
    this.#next = next;
    return true;
  }

  #deeper(i: number): void {
    if (this.#depth === 0) throw this.#wrong("is not valid JSON: a comma is missing", i);
    this.#depth += 1;
    if (this.#depth <= limits.depth) return;
    throw Wrong.at("gt_too_deep", `is nested more than ${limits.depth} deep`, this.#spot(i));
  }

  #keep(part: string): void {
    this.#length += part.length;
    if (this.#length > limits.recordLength) {
      const most = limits.recordLength / 1024;
      throw Wrong.at("gt_record_too_large", `a record has more than ${most} KiB`, this.#begun);
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
    return Wrong.at("gt_not_json", message, this.#spot(i));
  }
}

const expected: Record<Next, string> = {
  open: "it begins otherwise than its form",
  name: "names have double quotes",
  colon: "a colon is missing",
  value: "a value is missing",
  comma: "a comma is missing",
  end: "something follows after its end",
};

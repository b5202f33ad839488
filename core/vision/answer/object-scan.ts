/** A repair of an otherwise complete object; none leaves doubt about what was meant. */
export type Repair = "trailing_commas" | "line_breaks";

/** Why a syntactically complete object is refused. */
export type Unsafe = "duplicate_key" | "unsafe_key" | "too_deep";

/**
 * What begins at a brace:
 * - `object`: one complete object; `json` is its text as JSON.parse accepts it
 * - `half`: the text ends within the object
 * - `broken`: something else; `values` is true if a value had been read, so that it competes with an answer
 * - `unsafe`: an object whose meaning is ambiguous
 */
export type Scanned =
  | { kind: "object"; end: number; json: string; repaired: readonly Repair[] }
  | { kind: "half"; at: number }
  | { kind: "broken"; at: number; values: boolean }
  | { kind: "unsafe"; at: number; reason: Unsafe };

const maxDepth = 64;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const lineBreaks: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** What may come next: a value, a value or the end of a list, a name, a colon, a comma. */
type Expected = "value" | "value_or_end" | "name_or_end" | "colon" | "comma";

/**
 * Reads one object by JSON's grammar, from its opening brace to its closing one. Tolerated, and repaired in `json`: a
 * comma before a closing bracket, and unescaped line breaks and tabs within texts. One pass, at most 64 levels.
 */
export function scanObject(text: string, start: number): Scanned {
  return new Scan(text, start).run();
}

class Scan {
  readonly #text: string;
  #at: number;
  readonly #start: number;
  /** One entry per open bracket: the names so far, or undefined for a list. */
  readonly #open: (Set<string> | undefined)[] = [];
  #expected: Expected = "value";
  /** Position of the last comma, while only white space has followed it. */
  #comma: number | undefined;
  #values = false;
  /** Replacements in the order of the text. */
  readonly #edits: { at: number; instead: string }[] = [];
  readonly #repaired = new Set<Repair>();

  constructor(text: string, start: number) {
    this.#text = text;
    this.#at = start;
    this.#start = start;
  }

  run(): Scanned {
    for (;;) {
      while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++;
      const character = this.#text[this.#at];
      if (character === undefined) return { kind: "half", at: this.#at };
      const end = this.#step(character);
      if (end !== undefined) return end;
      if (this.#open.length === 0) return this.#whole();
    }
  }

  #step(character: string): Scanned | undefined {
    switch (this.#expected) {
      case "colon":
        if (character !== ":") return this.#broken();
        this.#at++;
        this.#expected = "value";
        return undefined;
      case "comma":
        if (character === "}" || character === "]") return this.#close(character);
        if (character !== ",") return this.#broken();
        this.#comma = this.#at++;
        this.#expected = this.#open.at(-1) === undefined ? "value_or_end" : "name_or_end";
        return undefined;
      case "name_or_end":
        if (character === "}") return this.#close(character);
        return character === '"' ? this.#name() : this.#broken();
      case "value_or_end":
        if (character === "]") return this.#close(character);
        return this.#value(character);
      case "value":
        return this.#value(character);
    }
  }

  #value(character: string): Scanned | undefined {
    this.#comma = undefined;
    if (character === "{" || character === "[") {
      if (this.#open.length >= maxDepth) return { kind: "unsafe", at: this.#at, reason: "too_deep" };
      this.#open.push(character === "{" ? new Set() : undefined);
      this.#expected = character === "{" ? "name_or_end" : "value_or_end";
      this.#at++;
      return undefined;
    }
    const ended = character === '"' ? this.#string(true) : this.#scalar();
    if (ended !== undefined) return ended;
    this.#values = true;
    this.#expected = "comma";
    return undefined;
  }

  #scalar(): Scanned | undefined {
    scalar.lastIndex = this.#at;
    const found = scalar.exec(this.#text);
    if (found !== null) {
      this.#at += found[0].length;
      return undefined;
    }
    const rest = this.#text.slice(this.#at, this.#at + 6);
    const cut = ["true", "false", "null", "-"].some((word) => word.startsWith(rest));
    return cut ? { kind: "half", at: this.#at } : this.#broken();
  }

  #name(): Scanned | undefined {
    this.#comma = undefined;
    const from = this.#at;
    const ended = this.#string(false);
    if (ended !== undefined) return ended;
    const literal = this.#text.slice(from, this.#at);
    const name = literal.includes("\\") ? String(JSON.parse(literal)) : literal.slice(1, -1);
    const names = this.#open.at(-1);
    if (name === "__proto__") return { kind: "unsafe", at: this.#at, reason: "unsafe_key" };
    if (names?.has(name)) return { kind: "unsafe", at: this.#at, reason: "duplicate_key" };
    names?.add(name);
    this.#expected = "colon";
    return undefined;
  }

  #string(mayBreak: boolean): Scanned | undefined {
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        return undefined;
      }
      if (code === 0x5c) {
        escaped.lastIndex = at;
        const found = escaped.exec(this.#text);
        if (found === null) {
          this.#at = at;
          return at + 6 > this.#text.length ? { kind: "half", at } : this.#broken();
        }
        at += found[0].length - 1;
      } else if (code < 0x20) {
        const instead = lineBreaks[this.#text[at] ?? ""];
        this.#at = at;
        if (!mayBreak || instead === undefined) return this.#broken();
        this.#edits.push({ at, instead });
        this.#repaired.add("line_breaks");
      }
    }
    this.#at = this.#text.length;
    return { kind: "half", at: this.#at };
  }

  #close(character: string): Scanned | undefined {
    if ((this.#open.at(-1) === undefined) !== (character === "]")) return this.#broken();
    if (this.#comma !== undefined) {
      this.#edits.push({ at: this.#comma, instead: "" });
      this.#repaired.add("trailing_commas");
      this.#comma = undefined;
    }
    this.#open.pop();
    this.#at++;
    this.#expected = "comma";
    return undefined;
  }

  #broken(): Scanned {
    return { kind: "broken", at: this.#at, values: this.#values };
  }

  #whole(): Scanned {
    let json = "";
    let from = this.#start;
    for (const { at, instead } of this.#edits) {
      json += this.#text.slice(from, at) + instead;
      from = at + 1;
    }
    json += this.#text.slice(from, this.#at);
    return { kind: "object", end: this.#at, json, repaired: [...this.#repaired] };
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

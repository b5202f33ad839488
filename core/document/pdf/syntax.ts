/*
 * Objects of a PDF file (ISO 32000-2, section 7.3) as values. Only the structure of a document is read this way: its
 * dictionaries and streams. Pages are drawn by PDFium.
 */

/** Names keep their slash ("/Page"), so that they differ from strings, which stay bytes. */
export type Value = null | boolean | number | string | Uint8Array | Value[] | Dict | Ref | Stream;
/** Keys without their slash. */
export type Dict = Map<string, Value>;

export class Ref {
  readonly number: number;
  constructor(number: number) {
    this.number = number;
  }
}

export class Stream {
  readonly dict: Dict;
  /** Index of the first byte of its data. */
  readonly start: number;
  constructor(dict: Dict, start: number) {
    this.dict = dict;
    this.start = start;
  }
}

/** Thrown for bytes that are not a valid object. */
export class SyntaxFault extends Error {}

/** Deeper nesting is refused: objects of common writers nest a handful of times. */
const mostNesting = 100;

const white = new Set([0, 9, 10, 12, 13, 32]);
const delimiters = new Set([..."()<>[]{}/%"].map((c) => c.charCodeAt(0)));
const isRegular = (byte: number | undefined): byte is number =>
  byte !== undefined && !white.has(byte) && !delimiters.has(byte);

export class Reader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Skips white space and comments. */
  skip(): void {
    for (; this.at < this.bytes.length; this.at += 1) {
      const byte = this.bytes[this.at] as number;
      if (byte === 0x25) {
        while (this.at < this.bytes.length && this.bytes[this.at] !== 10 && this.bytes[this.at] !== 13)
          this.at += 1;
      } else if (!white.has(byte)) return;
    }
  }

  /** The next run of regular characters; empty before a delimiter. */
  word(): string {
    this.skip();
    const from = this.at;
    while (isRegular(this.bytes[this.at])) this.at += 1;
    return latin1(this.bytes.subarray(from, this.at));
  }

  /** Consumes the word if it is the next one. */
  takes(expected: string): boolean {
    const from = this.at;
    if (this.word() === expected) return true;
    this.at = from;
    return false;
  }

  integer(): number {
    const text = this.word();
    if (!/^\+?\d{1,15}$/.test(text)) throw new SyntaxFault(`no integer at ${this.at}`);
    return Number(text);
  }

  value(depth = 0): Value {
    if (depth > mostNesting) throw new SyntaxFault("objects nest too deep");
    this.skip();
    const byte = this.bytes[this.at];
    if (byte === 0x2f) return this.#name();
    if (byte === 0x5b) return this.#array(depth);
    if (byte === 0x28) return this.#literal();
    if (byte === 0x3c) return this.bytes[this.at + 1] === 0x3c ? this.#dict(depth) : this.#hex();
    return this.#plain();
  }

  /** `n g obj`, its value and, for a stream, where its data starts. @returns its number and value. */
  object(): { number: number; value: Value } {
    const number = this.integer();
    this.integer();
    if (!this.takes("obj")) throw new SyntaxFault(`no object at ${this.at}`);
    const value = this.value();
    if (!(value instanceof Map) || !this.takes("stream")) return { number, value };
    if (this.bytes[this.at] === 13) this.at += 1;
    if (this.bytes[this.at] === 10) this.at += 1;
    return { number, value: new Stream(value, this.at) };
  }

  #plain(): Value {
    const word = this.word();
    if (word === "true" || word === "false") return word === "true";
    if (word === "null") return null;
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(word)) throw new SyntaxFault(`no object at ${this.at}`);
    if (!/^\d{1,10}$/.test(word)) return Number(word);
    // A reference is two integers and R.
    const from = this.at;
    if (/^\d{1,5}$/.test(this.word()) && this.takes("R")) return new Ref(Number(word));
    this.at = from;
    return Number(word);
  }

  #name(): string {
    this.at += 1;
    const from = this.at;
    while (isRegular(this.bytes[this.at])) this.at += 1;
    const text = latin1(this.bytes.subarray(from, this.at));
    return `/${text.replace(/#([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))}`;
  }

  #array(depth: number): Value[] {
    this.at += 1;
    const values: Value[] = [];
    for (;;) {
      this.skip();
      if (this.bytes[this.at] === 0x5d) break;
      values.push(this.value(depth + 1));
    }
    this.at += 1;
    return values;
  }

  #dict(depth: number): Dict {
    this.at += 2;
    const dict: Dict = new Map();
    for (;;) {
      this.skip();
      if (this.bytes[this.at] === 0x3e) break;
      if (this.bytes[this.at] !== 0x2f) throw new SyntaxFault(`no key at ${this.at}`);
      const key = this.#name().slice(1);
      dict.set(key, this.value(depth + 1));
    }
    this.at += 2;
    return dict;
  }

  /** The bytes between the brackets, escapes as they are: texts are never shown. */
  #literal(): Uint8Array {
    const from = this.at + 1;
    let open = 0;
    for (; this.at < this.bytes.length; this.at += 1) {
      const byte = this.bytes[this.at];
      if (byte === 0x5c) this.at += 1;
      else if (byte === 0x28) open += 1;
      else if (byte === 0x29) open -= 1;
      if (open === 0) break;
    }
    this.at += 1;
    return this.bytes.subarray(from, this.at - 1);
  }

  #hex(): Uint8Array {
    const end = this.bytes.indexOf(0x3e, this.at);
    if (end < 0) throw new SyntaxFault("a string without end");
    const digits = latin1(this.bytes.subarray(this.at + 1, end)).replace(/\s/g, "");
    this.at = end + 1;
    return Buffer.from(digits.length % 2 === 1 ? `${digits}0` : digits, "hex");
  }
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

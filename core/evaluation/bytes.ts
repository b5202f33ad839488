/** A growing buffer: whole numbers in as few bytes as they need (LEB128), and doubles. */
export class Bytes {
  #bytes: Uint8Array;
  #length: number;

  constructor(from: Uint8Array = new Uint8Array(1024)) {
    this.#bytes = from;
    this.#length = 0;
  }

  /** The bytes written so far; not a copy. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#length + more, Math.ceil(this.#bytes.length * 1.5)));
    larger.set(this.written);
    this.#bytes = larger;
  }

  append(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A whole number from 0 to 2^53. */
  number(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length] = (rest % 128) + 128;
      this.#length += 1;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length] = rest;
    this.#length += 1;
  }

  double(value: number): void {
    this.#room(8);
    new DataView(this.#bytes.buffer, this.#bytes.byteOffset).setFloat64(this.#length, value);
    this.#length += 8;
  }
}

/** Reads what `Bytes` wrote, in the same order. Throws a RangeError past the end. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new RangeError("the bytes end within a number");
      this.#at += 1;
      value += (byte % 128) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  }

  double(): number {
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    const value = view.getFloat64(this.#at);
    this.#at += 8;
    return value;
  }
}

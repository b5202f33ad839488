import { unfiltered } from "./inflate.ts";
import { type Dict, latin1, Reader, Ref, Stream, SyntaxFault, type Value } from "./syntax.ts";

/*
 * Finds the objects of a file: by its cross-reference table or streams, with the sections of earlier versions (ISO
 * 32000-2, section 7.5), or, where these cannot be used, by looking through the whole file.
 */

interface Bounds {
  /** Objects that a file may have. */
  objects: number;
  /** The most bytes of all streams of the structure after decompression. */
  unfolded: number;
}

/** A limit was exceeded; `reason` is the error's. */
export class LimitFault extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

type Place = { at: number } | { stream: number; index: number };

/** More sections than any writer appends; each is small. */
const mostSections = 5_000;
const mostHops = 32;

export class Objects {
  readonly bytes: Uint8Array;
  readonly trailer: Dict = new Map();
  /** True if the file's own tables could not be used. */
  readonly rebuilt: boolean;
  readonly #bounds: Bounds;
  readonly #places = new Map<number, Place>();
  readonly #known = new Map<number, Value>();
  readonly #streams = new Map<number, Value[]>();
  readonly #reading = new Set<number>();
  #unfolded = 0;

  /**
   * @param bytes - from the header on, because offsets count from there.
   * @throws LimitFault.
   */
  constructor(bytes: Uint8Array, bounds: Bounds) {
    this.bytes = bytes;
    this.#bounds = bounds;
    this.rebuilt = !this.#byTables();
    if (this.rebuilt) this.#bySearch();
  }

  get count(): number {
    return this.#places.size;
  }

  /** The value itself: references are followed. Missing and broken objects are null. @throws LimitFault. */
  get(value: Value | undefined): Value {
    let result = value ?? null;
    for (let hops = 0; result instanceof Ref; hops += 1) {
      if (hops > mostHops) return null;
      result = this.#object(result.number);
    }
    return result;
  }

  dict(value: Value | undefined): Dict | undefined {
    const found = this.get(value);
    if (found instanceof Stream) return found.dict;
    return found instanceof Map ? found : undefined;
  }

  /** The data of a stream with its filters undone; undefined if it cannot be read. @throws LimitFault. */
  data(stream: Stream, most = this.#bounds.unfolded): Uint8Array | undefined {
    const room = Math.min(most, this.#bounds.unfolded - this.#unfolded);
    try {
      const result = this.#unfold(stream, room);
      this.#unfolded += result?.length ?? 0;
      return result;
    } catch (thrown) {
      if (thrown instanceof RangeError) throw new LimitFault("pdf_too_complex");
      throw thrown;
    }
  }

  /** Bytes of a stream as they are in the file. @throws LimitFault. */
  packedLength(stream: Stream): number {
    return this.#raw(stream).length;
  }

  /**
   * Bytes of a stream with its filters undone, which are not cached; as in the file if its filters cannot be undone.
   * Undefined for more than `most`. @throws LimitFault.
   */
  unfoldedLength(stream: Stream, most: number): number | undefined {
    try {
      return this.#unfold(stream, most)?.length ?? this.packedLength(stream);
    } catch (thrown) {
      if (thrown instanceof RangeError) return undefined;
      throw thrown;
    }
  }

  /** @throws RangeError above `room`. */
  #unfold(stream: Stream, room: number): Uint8Array | undefined {
    const dict = new Map(stream.dict);
    for (const key of ["Filter", "DecodeParms"]) {
      const value = this.get(dict.get(key));
      dict.set(key, Array.isArray(value) ? value.map((one) => this.get(one)) : value);
    }
    try {
      return unfiltered(this.#raw(stream), dict, room);
    } catch (thrown) {
      if (thrown instanceof RangeError) throw thrown;
      return undefined;
    }
  }

  #raw(stream: Stream): Uint8Array {
    const length = this.get(stream.dict.get("Length"));
    const end = typeof length === "number" && length >= 0 ? stream.start + length : -1;
    if (end >= 0 && end <= this.bytes.length && new Reader(this.bytes, end).takes("endstream"))
      return this.bytes.subarray(stream.start, end);
    const found = view(this.bytes).indexOf("endstream", stream.start, "latin1");
    return this.bytes.subarray(stream.start, found < 0 ? this.bytes.length : found);
  }

  #object(number: number): Value {
    const known = this.#known.get(number);
    if (known !== undefined) return known;
    const place = this.#places.get(number);
    if (place === undefined || this.#reading.has(number)) return null;
    this.#reading.add(number);
    try {
      const value = "at" in place ? this.#at(place.at, number) : this.#packed(place);
      this.#known.set(number, value);
      return value;
    } finally {
      this.#reading.delete(number);
    }
  }

  #at(at: number, number: number): Value {
    try {
      const found = new Reader(this.bytes, at).object();
      return found.number === number ? found.value : null;
    } catch (thrown) {
      if (thrown instanceof SyntaxFault) return null;
      throw thrown;
    }
  }

  #packed({ stream, index }: { stream: number; index: number }): Value {
    const before = this.#streams.get(stream);
    if (before !== undefined) return before[index] ?? null;
    const values: Value[] = [];
    this.#streams.set(stream, values);
    const holder = this.get(new Ref(stream));
    if (!(holder instanceof Stream)) return null;
    const data = this.data(holder);
    const [n, first] = [this.get(holder.dict.get("N")), this.get(holder.dict.get("First"))];
    if (data === undefined || typeof n !== "number" || typeof first !== "number") return null;
    if (n > this.#bounds.objects) throw new LimitFault("pdf_too_many_objects");
    const head = new Reader(data, 0);
    try {
      for (let i = 0; i < n; i += 1) {
        head.integer();
        values.push(new Reader(data, first + head.integer()).value());
      }
    } catch (thrown) {
      if (!(thrown instanceof SyntaxFault)) throw thrown;
    }
    return values[index] ?? null;
  }

  /** Reads the tables from the last `startxref` back to the first. @returns false if they cannot be used. */
  #byTables(): boolean {
    try {
      const start = view(this.bytes).lastIndexOf("startxref", undefined, "latin1");
      if (start < 0) return false;
      const seen = new Set<number>();
      const due = [new Reader(this.bytes, start + 9).integer()];
      for (let at = due.shift(); at !== undefined; at = due.shift()) {
        if (seen.has(at)) continue;
        if (seen.size > mostSections) throw new LimitFault("pdf_too_complex");
        seen.add(at);
        const dict = this.#section(at);
        for (const [key, value] of dict) if (!this.trailer.has(key)) this.trailer.set(key, value);
        for (const key of ["XRefStm", "Prev"]) {
          const next = dict.get(key);
          if (typeof next === "number") due.push(next);
        }
      }
      const root = this.trailer.get("Root");
      // Object streams of an encrypted file cannot be read yet.
      if (this.trailer.has("Encrypt")) return root instanceof Ref && this.#places.has(root.number);
      return this.dict(this.dict(root)?.get("Pages")) !== undefined;
    } catch (thrown) {
      if (thrown instanceof SyntaxFault) return false;
      throw thrown;
    }
  }

  #section(at: number): Dict {
    const reader = new Reader(this.bytes, at);
    if (!reader.takes("xref")) return this.#sectionStream(reader);
    while (!reader.takes("trailer")) {
      let first = reader.integer();
      const count = reader.integer();
      this.#checkCount(count);
      for (let i = 0; i < count; i += 1) {
        const offset = reader.integer();
        const generation = reader.integer();
        const kind = reader.word();
        // Some writers begin their numbers at 1, although the first entry is that of object 0.
        if (i === 0 && first === 1 && kind === "f" && generation === 65535) first = 0;
        if (kind === "n" && offset > 0) this.#place(first + i, { at: offset });
      }
    }
    const dict = reader.value();
    if (!(dict instanceof Map)) throw new SyntaxFault("no trailer");
    return dict;
  }

  #sectionStream(reader: Reader): Dict {
    const { value } = reader.object();
    if (!(value instanceof Stream)) throw new SyntaxFault("no section");
    const data = this.data(value);
    const widths = value.dict.get("W");
    if (data === undefined || !Array.isArray(widths)) throw new SyntaxFault("no section");
    const [a = 0, b = 0, c = 0] = widths.map(Number);
    const index = value.dict.get("Index") ?? [0, value.dict.get("Size") ?? 0];
    if (!Array.isArray(index) || !(a >= 0 && b > 0 && c >= 0 && a + b + c <= 24))
      throw new SyntaxFault("widths");
    let at = 0;
    const field = (width: number, otherwise: number) => {
      let number = 0;
      for (let i = 0; i < width; i += 1) number = number * 256 + (data[at + i] ?? 0);
      at += width;
      return width === 0 ? otherwise : number;
    };
    for (let i = 0; i + 1 < index.length; i += 2) {
      const [first, count] = [Number(index[i]), Number(index[i + 1])];
      this.#checkCount(count);
      for (let j = 0; j < count && at < data.length; j += 1) {
        const [kind, second, third] = [field(a, 1), field(b, 0), field(c, 0)];
        if (kind === 1) this.#place(first + j, { at: second });
        if (kind === 2) this.#place(first + j, { stream: second, index: third });
      }
    }
    return value.dict;
  }

  #place(number: number, place: Place): void {
    if (!this.#places.has(number)) this.#places.set(number, place);
    this.#checkCount(this.#places.size);
  }

  #checkCount(count: number): void {
    if (count > this.#bounds.objects) throw new LimitFault("pdf_too_many_objects");
  }

  /** Objects by their `n g obj`, the last one of a number; then those in object streams; then any trailer. */
  #bySearch(): void {
    this.#places.clear();
    this.#known.clear();
    this.trailer.clear();
    const text = latin1(this.bytes);
    const holders: number[] = [];
    for (const { 1: digits = "", index } of text.matchAll(
      /(?<!\d)(\d{1,10})[ \t\r\n]{1,4}\d{1,5}[ \t\r\n]{1,4}obj(?![a-z])/g,
    )) {
      this.#places.set(Number(digits), { at: index });
      this.#checkCount(this.#places.size);
    }
    for (const number of this.#places.keys()) {
      const value = this.get(new Ref(number));
      if (value instanceof Stream && value.dict.get("Type") === "/ObjStm") holders.push(number);
      const dict = value instanceof Stream ? value.dict : value;
      if (!(dict instanceof Map)) continue;
      if (dict.get("Type") === "/XRef" && dict.has("Root"))
        for (const [key, entry] of dict) this.trailer.set(key, entry);
    }
    for (const number of holders) this.#unpack(number);
    for (const { index } of text.matchAll(/\btrailer\b/g)) {
      try {
        const dict = new Reader(this.bytes, index + 7).value();
        if (dict instanceof Map && dict.has("Root"))
          for (const [key, entry] of dict) this.trailer.set(key, entry);
      } catch (thrown) {
        if (!(thrown instanceof SyntaxFault)) throw thrown;
      }
    }
    if (!this.trailer.has("Root")) this.#findRoot();
  }

  #findRoot(): void {
    for (const number of this.#places.keys()) {
      const value = this.get(new Ref(number));
      if (value instanceof Map && value.get("Type") === "/Catalog") this.trailer.set("Root", new Ref(number));
    }
  }

  #unpack(number: number): void {
    const holder = this.get(new Ref(number));
    const data = holder instanceof Stream ? this.data(holder) : undefined;
    const n = holder instanceof Stream ? this.get(holder.dict.get("N")) : 0;
    if (data === undefined || typeof n !== "number") return;
    const head = new Reader(data, 0);
    try {
      for (let index = 0; index < n; index += 1) {
        this.#place(head.integer(), { stream: number, index });
        head.integer();
      }
    } catch (thrown) {
      if (!(thrown instanceof SyntaxFault)) throw thrown;
    }
  }
}

const view = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

import { AppError, type Details } from "#core/error";
import type { HeifGuards } from "#spec/guards";

/*
 * Boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2), the container of HEIC and AVIF. They are read before
 * a decoder reads the file: a few bytes for each box, nothing decoded.
 */

interface Box {
  /** Four letters, "meta". */
  type: string;
  /** What follows the header. */
  data: Uint8Array;
}

/** Numbers of a box in their order, big endian. Reading beyond the end throws `RangeError`. */
export class Fields {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.byteLength - this.at;
  }

  /** An unsigned number of 0 to 8 bytes; one that is too large for a double throws `RangeError`. */
  uint(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i += 1) value = value * 256 + this.#view.getUint8(this.at + i);
    if (!Number.isSafeInteger(value)) throw new RangeError("a number of more than 53 bits");
    this.at += bytes;
    return value;
  }

  int32(): number {
    const value = this.#view.getInt32(this.at);
    this.at += 4;
    return value;
  }

  /** Four letters. */
  name(): string {
    return String.fromCharCode(...this.take(4));
  }

  /** Version and flags, with which a FullBox begins. */
  full(): { version: number; flags: number } {
    return { version: this.uint(1), flags: this.uint(3) };
  }

  take(bytes: number): Uint8Array {
    if (bytes > this.left) throw new RangeError("beyond the end of the box");
    const taken = this.#bytes.subarray(this.at, this.at + bytes);
    this.at += bytes;
    return taken;
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }
}

/**
 * The boxes that follow each other in `bytes`. @throws RangeError for one that is longer than what is left, or shorter
 * than its own header.
 */
export function* boxes(bytes: Uint8Array): Generator<Box, void> {
  const fields = new Fields(bytes);
  while (fields.left >= 8) {
    const start = fields.at;
    const short = fields.uint(4);
    const type = fields.name();
    const size = short === 1 ? fields.uint(8) : short === 0 ? bytes.byteLength - start : short;
    // In this case an identifier of 16 bytes belongs to the header.
    if (type === "uuid") fields.take(16);
    const data = size - (fields.at - start);
    if (data < 0) throw new RangeError("a box that is shorter than its header");
    yield { type, data: fields.take(data) };
  }
}

/** Boxes that consist of boxes; the number is the size of the fields before them: version and flags, and a count. */
const containers: Readonly<Record<string, number>> = {
  ...{ meta: 4, iprp: 0, ipco: 0, iref: 4, dinf: 0, grpl: 0 },
  ...{ moov: 0, trak: 0, mdia: 0, minf: 0, stbl: 0, edts: 0, udta: 0, mvex: 0, moof: 0, traf: 0 },
};

/**
 * Counts a file's boxes, and how deep they are nested. @throws AppError `invalid_image`, `too_many_parts`,
 * `nested_too_deep`.
 */
export function census(bytes: Uint8Array, bounds: HeifGuards): void {
  let seen = 0;
  const walk = (part: Uint8Array, depth: number) => {
    if (depth > bounds.depth) throw tooDeep();
    for (const { type, data } of boxes(part)) {
      seen += 1;
      if (seen > bounds.boxes) throw tooMany("parts", bounds.boxes);
      const before = containers[type];
      if (before !== undefined) walk(data.subarray(before), depth + 1);
      if (type === "iinf") walk(data.subarray(data[0] === 0 ? 6 : 8), depth + 1);
    }
  };
  walk(wholeBoxes(bytes), 1);
}

/**
 * The file up to the end of its last box: data that programs append (other trailers, a video without a box) is not
 * part of the picture. @throws AppError `damaged` if the box of the pixels or of their tables is cut off.
 */
export function wholeBoxes(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 8 <= bytes.byteLength) {
    const short = view.getUint32(at);
    if (short === 0) return bytes;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const size = short === 1 && at + 16 <= bytes.byteLength ? Number(view.getBigUint64(at + 8)) : short;
    if (size < 8 || at + size > bytes.byteLength) {
      if (type === "mdat" || type === "meta") throw refused("damaged", "the picture is damaged or cut off");
      break;
    }
    at += size;
  }
  return bytes.subarray(0, at);
}

export function tooMany(what: string, limit: number): AppError {
  return refused("too_many_parts", `the picture has more than ${limit} ${what}: save it again as JPEG`, {
    limit_parts: limit,
  });
}

export function tooDeep(): AppError {
  return refused("nested_too_deep", "the picture's parts are nested too deep: save it again as JPEG");
}

export function refused(reason: string, message: string, more: Details = {}, cause?: unknown): AppError {
  return new AppError("invalid_image", message, { details: { reason, ...more }, cause });
}

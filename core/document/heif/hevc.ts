import { Fields } from "./boxes.ts";

/*
 * The size that an HEVC picture has by its own parameters (ITU-T H.265, 7.3.2.2). A decoder reserves memory and time by
 * it, whatever the container says.
 */

const spsType = 33;

/** Pixels of the largest sequence parameter set of a decoder configuration `hvcC` (ISO/IEC 14496-15, 8.3.3.1). */
export function codedPixels(hvcC: Uint8Array): number {
  const fields = new Fields(hvcC);
  fields.take(22);
  let most = 0;
  for (let arrays = fields.uint(1); arrays > 0; arrays -= 1) {
    const type = fields.uint(1) & 0x3f;
    for (let units = fields.uint(2); units > 0; units -= 1) {
      const unit = fields.take(fields.uint(2));
      if (type === spsType) most = Math.max(most, pixelsOf(unit));
    }
  }
  return most;
}

function pixelsOf(sps: Uint8Array): number {
  const bits = new Bits(withoutEscapes(sps.subarray(2)));
  // Parameter set, sub-layers, nesting.
  bits.take(4);
  const subLayers = bits.take(3);
  bits.take(1);
  skipProfile(bits, subLayers);
  bits.exponential();
  // With three planes of their own a bit says so.
  if (bits.exponential() === 3) bits.take(1);
  return bits.exponential() * bits.exponential();
}

/** `profile_tier_level` (7.3.3). */
function skipProfile(bits: Bits, subLayers: number): void {
  bits.skip(88 + 8);
  const present = Array.from({ length: subLayers }, () => ({ profile: bits.take(1), level: bits.take(1) }));
  if (subLayers > 0) bits.skip(2 * (8 - subLayers));
  for (const { profile, level } of present) bits.skip(88 * profile + 8 * level);
}

/** Each 3 after two zeros was put there by the encoder (7.4.2). */
function withoutEscapes(unit: Uint8Array): Uint8Array {
  return unit.filter((byte, i) => !(byte === 3 && i >= 2 && unit[i - 1] === 0 && unit[i - 2] === 0));
}

class Bits {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  skip(bits: number): void {
    this.#at += bits;
  }

  take(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i += 1, this.#at += 1) {
      const byte = this.#bytes[this.#at >> 3];
      if (byte === undefined) throw new RangeError("the parameters are cut off");
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }

  /** An Exp-Golomb code (9.2). */
  exponential(): number {
    let zeros = 0;
    while (this.take(1) === 0) {
      zeros += 1;
      if (zeros > 32) throw new RangeError("a number of more than 32 bits");
    }
    return 2 ** zeros - 1 + this.take(zeros);
  }
}

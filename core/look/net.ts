import { side } from "./windows.ts";

/*
 * How much a window looks like upright text: one hidden layer, 256 -> hidden -> 1. The four orientations of a picture
 * are the four quarter turns of its windows, judged by the same weights, so no orientation is preferred by itself.
 */

/** Values of a window. */
export const windowValues = side * side;
const inputs = windowValues;

export interface Net {
  hidden: number;
  /** `hidden` rows of 256 values. */
  first: Float64Array;
  bias: Float64Array;
  second: Float64Array;
}

/** `turned[k][i]`: where the value at `i` comes from after `k` clockwise quarter turns of the window. */
export const turned: readonly Uint16Array[] = [0, 1, 2, 3].map((quarters) => {
  let order = Uint16Array.from({ length: inputs }, (_, at) => at);
  for (let n = 0; n < quarters; n += 1) {
    const before = order;
    order = Uint16Array.from({ length: inputs }, (_, at) => {
      const [row, column] = [Math.floor(at / side), at % side];
      return before[(side - 1 - column) * side + row] as number;
    });
  }
  return order;
});

/** A net with a transformed first layer, in which a position and its three quarter turns are combined. */
export interface Transformed extends Pick<Net, "hidden" | "bias" | "second"> {
  /** `hidden` rows of 4 values for each of the 64 positions of the upper left quarter. */
  first: Float64Array;
}

const half = side / 2;
/** One position of each four that quarter turns exchange. */
const positions = Uint16Array.from(
  { length: half * half },
  (_, at) => Math.floor(at / half) * side + (at % half),
);

const [, second, third, fourth] = turned as [Uint16Array, Uint16Array, Uint16Array, Uint16Array];

/** Discrete Fourier transform over the four quarter turns of each position: sum, alternating sum, and two differences. */
function transform(values: Float32Array, into: Float64Array): void {
  for (let n = 0, out = 0; n < positions.length; n += 1, out += 4) {
    const at = positions[n] as number;
    const a = values[at] as number;
    const b = values[second[at] as number] as number;
    const c = values[third[at] as number] as number;
    const d = values[fourth[at] as number] as number;
    into[out] = a + b + c + d;
    into[out + 1] = a - b + c - d;
    into[out + 2] = a - c;
    into[out + 3] = b - d;
  }
}

export function transformed({ hidden, first, bias, second }: Net): Transformed {
  const rows = new Float64Array(hidden * inputs);
  for (let row = 0; row < rows.length; row += inputs)
    transform(Float32Array.from(first.subarray(row, row + inputs)), rows.subarray(row, row + inputs));
  return { hidden, first: rows, bias, second };
}

/**
 * The score of the window after each number of quarter turns. What a row of weights gives after 0, 1, 2 and 3 turns is a cyclic
 * correlation at each four positions, for which the transforms take 6 multiplications in place of 16.
 * @param scratch - of `windowValues`.
 */
export function scores(
  { hidden, first, bias, second }: Transformed,
  window: Float32Array,
  scratch: Float64Array,
): [number, number, number, number] {
  transform(window, scratch);
  const found: [number, number, number, number] = [0, 0, 0, 0];
  for (let h = 0, row = 0; h < hidden; h += 1, row += inputs) {
    let sum = 0;
    let alternating = 0;
    let real = 0;
    let imaginary = 0;
    for (let at = 0; at < inputs; at += 4) {
      const c = first[row + at + 2] as number;
      const d = first[row + at + 3] as number;
      const x = scratch[at + 2] as number;
      const y = scratch[at + 3] as number;
      sum += (first[row + at] as number) * (scratch[at] as number);
      alternating += (first[row + at + 1] as number) * (scratch[at + 1] as number);
      real += c * x + d * y;
      imaginary += d * x - c * y;
    }
    const [even, odd] = [(sum + alternating) / 4, (sum - alternating) / 4];
    const [base, share] = [bias[h] as number, second[h] as number];
    found[0] += share * Math.max(0, base + even + real / 2);
    found[1] += share * Math.max(0, base + odd - imaginary / 2);
    found[2] += share * Math.max(0, base + even - real / 2);
    found[3] += share * Math.max(0, base + odd + imaginary / 2);
  }
  return found;
}

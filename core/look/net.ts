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

/** The window after each number of quarter turns; used again for every window. */
export const turnedWindows = (): Turned => [0, 1, 2, 3].map(() => new Float64Array(inputs)) as Turned;

type Turned = [Float64Array, Float64Array, Float64Array, Float64Array];

/** The score of the window after each number of quarter turns. All four are computed together: a weight is read once. */
export function scores(net: Net, window: Float32Array, scratch: Turned): [number, number, number, number] {
  for (const [quarters, into] of scratch.entries()) {
    const order = turned[quarters] as Uint16Array;
    for (let at = 0; at < inputs; at += 1) into[at] = window[order[at] as number] as number;
  }
  const { hidden, first, bias, second } = net;
  const [w0, w1, w2, w3] = scratch;
  const found: [number, number, number, number] = [0, 0, 0, 0];
  for (let h = 0, row = 0; h < hidden; h += 1, row += inputs) {
    let s0 = bias[h] as number;
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let at = 0; at < inputs; at += 1) {
      const weight = first[row + at] as number;
      s0 += weight * (w0[at] as number);
      s1 += weight * (w1[at] as number);
      s2 += weight * (w2[at] as number);
      s3 += weight * (w3[at] as number);
    }
    const share = second[h] as number;
    if (s0 > 0) found[0] += share * s0;
    if (s1 > 0) found[1] += share * s1;
    if (s2 > 0) found[2] += share * s2;
    if (s3 > 0) found[3] += share * s3;
  }
  return found;
}

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
  first: Float32Array;
  bias: Float32Array;
  second: Float32Array;
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

/** The score of the window after each number of quarter turns. */
export function scores(
  net: Net,
  window: Float32Array,
  scratch: Float32Array,
): [number, number, number, number] {
  const found: [number, number, number, number] = [0, 0, 0, 0];
  for (let quarters = 0; quarters < 4; quarters += 1) {
    const order = turned[quarters] as Uint16Array;
    for (let at = 0; at < inputs; at += 1) scratch[at] = window[order[at] as number] as number;
    let score = 0;
    for (let h = 0, row = 0; h < net.hidden; h += 1, row += inputs) {
      let sum = net.bias[h] as number;
      for (let at = 0; at < inputs; at += 4)
        sum +=
          (net.first[row + at] as number) * (scratch[at] as number) +
          (net.first[row + at + 1] as number) * (scratch[at + 1] as number) +
          (net.first[row + at + 2] as number) * (scratch[at + 2] as number) +
          (net.first[row + at + 3] as number) * (scratch[at + 3] as number);
      if (sum > 0) score += (net.second[h] as number) * sum;
    }
    found[quarters] = score;
  }
  return found;
}

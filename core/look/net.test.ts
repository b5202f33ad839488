import { expect, test } from "vitest";
import { random } from "#test/support/look/receipts";
import { type Net, scores, transformed, turned, windowValues } from "./net.ts";

const hidden = 5;

/** One quarter turn at a time, by the definition. */
function plainly({ first, bias, second }: Net, window: Float32Array, order: Uint16Array): number {
  let score = 0;
  for (let h = 0; h < hidden; h += 1) {
    let sum = bias[h] as number;
    for (const [at, from] of order.entries())
      sum += (first[h * windowValues + at] as number) * (window[from] as number);
    score += (second[h] as number) * Math.max(0, sum);
  }
  return score;
}

test("a window has the score that each of its quarter turns would have by itself", () => {
  const r = random(3);
  const values = (length: number) => Float64Array.from({ length }, () => r.between(-2, 2));
  const net = { hidden, first: values(hidden * windowValues), bias: values(hidden), second: values(hidden) };
  const scratch = new Float64Array(windowValues);
  for (let n = 0; n < 20; n += 1) {
    const window = Float32Array.from(values(windowValues));
    const found = scores(transformed(net), window, scratch);
    for (const [quarters, order] of turned.entries())
      expect(found[quarters]).toBeCloseTo(plainly(net, window, order), 3);
  }
});

import { type Net, windowValues } from "./net.ts";

/*
 * The weights as text: a byte for each of the first layer. A row may have a scale of its own, because what it is
 * multiplied by can be moved behind the rectifier.
 */

/** The module that `decoded` reads (./weights.ts). */
export function encoded({ hidden, first, bias, second }: Net): string {
  const bytes = new Int8Array(first.length);
  const scaled = { bias: [] as number[], second: [] as number[] };
  for (let h = 0; h < hidden; h += 1) {
    const row = first.subarray(h * windowValues, (h + 1) * windowValues);
    const scale = row.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6) / 127;
    for (const [at, value] of row.entries()) bytes[h * windowValues + at] = Math.round(value / scale);
    scaled.bias.push(Number(((bias[h] as number) / scale).toPrecision(6)));
    scaled.second.push(Number(((second[h] as number) * scale).toPrecision(6)));
  }
  const text = Buffer.from(bytes.buffer).toString("base64");
  return `/* Written by bench/look/train.ts. */
export const weights = {
  bias: [${scaled.bias.join(", ")}],
  second: [${scaled.second.join(", ")}],
  first: "${text}",
};
`;
}

/** The net of what `encoded` wrote. */
export function decoded(weights: { first: string; bias: number[]; second: number[] }): Net {
  const bytes = Buffer.from(weights.first, "base64");
  return {
    hidden: weights.bias.length,
    first: Float64Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length)),
    bias: Float64Array.from(weights.bias),
    second: Float64Array.from(weights.second),
  };
}

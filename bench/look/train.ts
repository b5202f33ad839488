import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { encoded } from "#core/look/encoding";
import { type Grey, greyOf, reducedSize } from "#core/look/grey";
import { inkOf } from "#core/look/ink";
import { type Net, turned } from "#core/look/net";
import { cut, placesOf, side } from "#core/look/windows";
import { draw, random } from "#test/support/look/receipts";

/*
 * Trains the weights of #core/look/weights on drawn receipts alone:
 *
 *   node bench/look/train.ts --fonts "Cousine,Roboto Mono,…" [--receipts 1500] [--epochs 5] [--out core/look/weights.ts]
 *
 * The committed weights: the fonts below (npm's @fontsource packages, as TrueType, found by fontconfig), none of which
 * is needed to judge (bench/look/main.ts). A window is an example of "upright", its three other quarter turns are not.
 */

const usual =
  "VT323,Share Tech Mono,IBM Plex Mono,Courier Prime,Roboto Condensed,Inconsolata,Space Mono,Roboto,Open Sans,Tinos,PT Mono,Anonymous Pro,Source Code Pro,Ubuntu Mono,Fira Mono,Oxygen Mono";
/** Seeds from here on are for training; those below are for judging. */
const firstSeed = 100_000;
const windowsOfOne = 150;
const inputs = side * side;

const { values } = parseArgs({
  options: {
    fonts: { type: "string", default: usual },
    receipts: { type: "string", default: "1500" },
    epochs: { type: "string", default: "5" },
    hidden: { type: "string", default: "24" },
    out: { type: "string", default: "core/look/weights.ts" },
  },
});

async function windows(): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  for (let n = 0; n < Number(values.receipts); n += 1) {
    const { bytes } = await draw(firstSeed + n, { fonts: values.fonts.split(","), text: [9, 20] });
    const grey = await reduced(bytes);
    for (const place of placesOf(inkOf(grey).marks, windowsOfOne)) {
      const window = cut(grey, place);
      if (window !== undefined) found.push(window);
    }
  }
  return found;
}

async function reduced(bytes: Buffer): Promise<Grey> {
  const { width, height } = await sharp(bytes).metadata();
  const size = reducedSize(width, height);
  const { data, info } = await sharp(bytes)
    .resize(size.width, size.height, { fit: "fill", kernel: "linear" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return greyOf(data, info);
}

const r = random(7);
const normal = () => Math.sqrt(-2 * Math.log(r.next() + 1e-9)) * Math.cos(2 * Math.PI * r.next());

/** All weights in one array, with the state of Adam (Kingma and Ba, 2015) beside it. */
class Training {
  readonly net: Net;
  readonly #weights: Float64Array;
  readonly #gradient: Float32Array;
  readonly #mean: Float32Array;
  readonly #square: Float32Array;
  readonly #inputs = [0, 1, 2, 3].map(() => new Float32Array(inputs));
  readonly #hidden: Float32Array[];
  #step = 0;

  constructor(hidden: number) {
    const most = hidden * (inputs + 2);
    [this.#weights, this.#gradient] = [new Float64Array(most), new Float32Array(most)];
    [this.#mean, this.#square] = [new Float32Array(most), new Float32Array(most)];
    this.#hidden = [0, 1, 2, 3].map(() => new Float32Array(hidden));
    const rows = hidden * inputs;
    for (let at = 0; at < rows; at += 1) this.#weights[at] = normal() * 0.06;
    for (let at = rows + hidden; at < most; at += 1) this.#weights[at] = normal() * 0.3;
    this.net = {
      hidden,
      first: this.#weights.subarray(0, rows),
      bias: this.#weights.subarray(rows, rows + hidden),
      second: this.#weights.subarray(rows + hidden),
    };
  }

  /** Adds the gradient of one window. @returns its loss (cross entropy). */
  learn(window: Float32Array, share: number): number {
    const found = [0, 1, 2, 3].map((quarters) => this.#forward(window, quarters));
    const most = Math.max(...found);
    const total = found.reduce((sum, score) => sum + Math.exp(score - most), 0);
    for (const [quarters, score] of found.entries()) {
      // Smoothed labels: no letter is certain.
      const error = Math.exp(score - most) / total - (quarters === 0 ? 0.985 : 0.005);
      this.#backward(quarters, error * share);
    }
    return Math.log(total) + most - (found[0] as number);
  }

  #forward(window: Float32Array, quarters: number): number {
    const { hidden, first, bias, second } = this.net;
    const order = turned[quarters] as Uint16Array;
    const input = this.#inputs[quarters] as Float32Array;
    for (let at = 0; at < inputs; at += 1) input[at] = window[order[at] as number] as number;
    let score = 0;
    for (let h = 0; h < hidden; h += 1) {
      let sum = bias[h] as number;
      for (let at = 0; at < inputs; at += 1)
        sum += (first[h * inputs + at] as number) * (input[at] as number);
      (this.#hidden[quarters] as Float32Array)[h] = sum;
      if (sum > 0) score += (second[h] as number) * sum;
    }
    return score;
  }

  #backward(quarters: number, error: number): void {
    const { hidden, second } = this.net;
    const [rows, g] = [hidden * inputs, this.#gradient];
    const input = this.#inputs[quarters] as Float32Array;
    for (let h = 0; h < hidden; h += 1) {
      const value = this.#hidden[quarters]?.[h] as number;
      if (value <= 0) continue;
      g[rows + hidden + h] = (g[rows + hidden + h] as number) + error * value;
      const inner = error * (second[h] as number);
      g[rows + h] = (g[rows + h] as number) + inner;
      for (let at = 0; at < inputs; at += 1)
        g[h * inputs + at] = (g[h * inputs + at] as number) + inner * (input[at] as number);
    }
  }

  /** One step against the gradient that was added up, which begins anew. */
  step(rate: number): void {
    this.#step += 1;
    const [c1, c2] = [1 - 0.9 ** this.#step, 1 - 0.999 ** this.#step];
    for (let at = 0; at < this.#weights.length; at += 1) {
      const g =
        (this.#gradient[at] as number) +
        (at < this.net.first.length ? 2e-5 * (this.#weights[at] as number) : 0);
      const mean = 0.9 * (this.#mean[at] as number) + 0.1 * g;
      const square = 0.999 * (this.#square[at] as number) + 0.001 * g * g;
      this.#mean[at] = mean;
      this.#square[at] = square;
      this.#weights[at] =
        (this.#weights[at] as number) - (rate * mean) / c1 / (Math.sqrt(square / c2) + 1e-8);
    }
    this.#gradient.fill(0);
  }
}

const batch = 64;
const examples = await windows();
console.log(`${examples.length} windows`);
const training = new Training(Number(values.hidden));
const epochs = Number(values.epochs);
const steps = epochs * Math.floor(examples.length / batch);
for (let epoch = 0, step = 0; epoch < epochs; epoch += 1) {
  for (let at = examples.length - 1; at > 0; at -= 1) {
    const other = r.whole(0, at);
    [examples[at], examples[other]] = [examples[other] as Float32Array, examples[at] as Float32Array];
  }
  let loss = 0;
  for (let at = 0; at + batch <= examples.length; at += batch, step += 1) {
    for (const window of examples.slice(at, at + batch)) loss += training.learn(window, 1 / batch);
    training.step(0.002 * Math.min(1, (step + 1) / 200) * (1 - (0.9 * step) / steps));
  }
  console.log(`epoch ${epoch + 1}: loss ${(loss / examples.length).toFixed(3)}`);
}
writeFileSync(values.out, encoded(training.net));

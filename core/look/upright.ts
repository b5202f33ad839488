import type { Grey, Quarter } from "./grey.ts";
import type { Mark } from "./ink.ts";
import { scores, type Transformed, windowValues } from "./net.ts";
import { cut, type Place, placesOf, side } from "./windows.ts";

/** A letter that was recognized as one, and how sharp it is. */
export interface Letter extends Place {
  /** Mean squared step between neighboring samples; the window's own variance is 1. */
  sharpness: number;
}

/** The quarter turn that makes a picture upright, by the letters alone. */
export interface Upright {
  /** Clockwise; undefined if the letters do not show it. */
  turn: Quarter | undefined;
  /** Standard errors by which the best orientation is ahead of the second. */
  certainty: number;
  /** Windows that look like text in the best orientation, at most `mostWindows`. */
  letters: Letter[];
}

const mostWindows = 400;
/** Fewer letters are no evidence. */
const leastWindows = 12;
/** One letter counts no more than this: a stain is not worth ten letters. */
const mostOfOne = 3;
/** Standard errors; measured on drawn receipts of the training half (docs/documents.md). */
const leastCertainty = 2.5;
const clearCertainty = 4;
/** A window is a letter if one orientation is likelier than all others together. */
const likely = Math.log(0.5);

/**
 * Each letter gives the likelihood that it is upright after 0, 1, 2 and 3 quarter turns; the picture is turned by the
 * sum of all, if it is clearly ahead of the second.
 */
export function uprightOf(grey: Grey, marks: Mark[], net: Transformed): Upright {
  const places = placesOf(marks, mostWindows);
  const scratch = new Float64Array(windowValues);
  const likelihoods: number[][] = [];
  const judged: { place: Place; window: Float32Array }[] = [];
  let verdict = { best: 0, certainty: 0 };
  // Every eighth letter first: most pictures need few.
  for (const first of [0, 4, 2, 6, 1, 5, 3, 7]) {
    for (let at = first; at < places.length; at += 8) {
      const place = places[at] as Place;
      const window = cut(grey, place);
      if (window === undefined) continue;
      likelihoods.push(logarithms(scores(net, window, scratch)));
      judged.push({ place, window });
    }
    if (judged.length < leastWindows) continue;
    verdict = verdictOf(likelihoods);
    if (verdict.certainty >= clearCertainty) break;
  }
  if (judged.length < leastWindows) return { turn: undefined, certainty: 0, letters: [] };
  const { best, certainty } = verdict;
  const letters = judged.flatMap(({ place, window }, n) =>
    (likelihoods[n]?.[best] ?? -1) >= likely ? [{ ...place, sharpness: sharpnessOf(window) }] : [],
  );
  return { turn: certainty >= leastCertainty ? ((best * 90) as Quarter) : undefined, certainty, letters };
}

/** So many windows say what the others are like. */
const mostOfShare = 60;

/** Share of the marks that look like letters after this turn, or in any orientation where the turn is not known. */
export function uprightShare(
  grey: Grey,
  marks: readonly Mark[],
  { turn, net }: { turn: Quarter | undefined; net: Transformed },
): number {
  const scratch = new Float64Array(windowValues);
  let [count, letters] = [0, 0];
  for (const place of placesOf(marks, mostOfShare)) {
    const window = cut(grey, place);
    if (window === undefined) continue;
    const found = logarithms(scores(net, window, scratch));
    count += 1;
    if ((turn === undefined ? Math.max(...found) : (found[turn / 90] as number)) >= likely) letters += 1;
  }
  return letters / Math.max(1, count);
}

/** The orientation with the largest sum, and how far it is ahead of the second. */
function verdictOf(likelihoods: readonly number[][]): { best: number; certainty: number } {
  const sums = [0, 1, 2, 3].map((k) => likelihoods.reduce((sum, each) => sum + (each[k] as number), 0));
  const [best = 0, second = 0] = [0, 1, 2, 3].sort((a, b) => (sums[b] as number) - (sums[a] as number));
  const certainty = ahead(likelihoods.map((each) => (each[best] as number) - (each[second] as number)));
  return { best, certainty };
}

/** Logarithms of the probabilities (softmax), none below that of `mostOfOne`. */
function logarithms(found: [number, number, number, number]): number[] {
  const most = Math.max(...found);
  const total = most + Math.log(found.reduce((sum, score) => sum + Math.exp(score - most), 0));
  return found.map((score) => Math.max(-mostOfOne, score - total));
}

/** Mean over its standard error. */
function ahead(leads: number[]): number {
  const mean = leads.reduce((sum, lead) => sum + lead, 0) / leads.length;
  const variance = leads.reduce((sum, lead) => sum + (lead - mean) ** 2, 0) / leads.length;
  return mean / Math.sqrt((variance + 0.01) / leads.length);
}

function sharpnessOf(window: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < window.length - side; at += 1) {
    const here = window[at] as number;
    const below = here - (window[at + side] as number);
    // The last column has no neighbor to the right.
    const right = at % side === side - 1 ? 0 : here - (window[at + 1] as number);
    sum += below * below + right * right;
  }
  return sum / window.length;
}

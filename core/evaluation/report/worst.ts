import { isMistake, isScored } from "../compare/outcome.ts";
import type * as Wire from "../wire.ts";

/** How many receipts a report shows, and how many names of failed ones it lists. */
const shownReceipts = 50;
/** Values of one receipt; the others are counted. */
const shownValues = 100;

/** A receipt that is shown. */
export interface Receipt {
  sample: Omit<Wire.Sample, "verdicts">;
  mistakes: number;
  /** The number of scored values, and of all compared values, including those labeled as unreadable. */
  scored: number;
  compared: number;
  /** Its share of right values, 0 to 1. */
  score: number;
  /** Mistakes first, each in the order of the schema. */
  verdicts: Wire.Sample["verdicts"];
}

/** The worst by their share of right values, then by how many are wrong, then by their place in the run. */
const worse = (a: Receipt, b: Receipt): number =>
  a.score - b.score ||
  b.mistakes - a.mistakes ||
  a.sample.index - b.sample.index ||
  a.sample.document - b.sample.document;

/**
 * Keeps the worst receipts, and the first names of those without an answer: these have no values to show, and many of
 * them would hide the others. Memory holds only what is kept.
 */
export class Worst {
  readonly #receipts: Receipt[] = [];
  readonly unanswered: { count: number; first: Receipt["sample"][] } = { count: 0, first: [] };
  /** Receipts with an answer in which something is not right. */
  found = 0;

  add({ verdicts, ...sample }: Wire.Sample): void {
    if (!sample.answered) {
      this.unanswered.count += 1;
      if (this.unanswered.first.length < shownReceipts) this.unanswered.first.push(sample);
      return;
    }
    const wrong = verdicts.filter(({ canonical }) => isMistake(canonical));
    if (wrong.length === 0) return;
    this.found += 1;
    const scored = verdicts.filter(({ canonical }) => isScored(canonical)).length;
    const score = 1 - wrong.length / scored;
    const counts = { mistakes: wrong.length, scored, compared: verdicts.length, score };
    const receipt: Receipt = { sample, ...counts, verdicts: [] };
    const last = this.#receipts.at(-1);
    if (this.#receipts.length === shownReceipts && last !== undefined && worse(receipt, last) > 0) return;
    const right = verdicts.filter(({ canonical }) => !isMistake(canonical));
    receipt.verdicts = [...wrong, ...right].slice(0, shownValues);
    const at = this.#receipts.findIndex((each) => worse(receipt, each) < 0);
    this.#receipts.splice(at < 0 ? this.#receipts.length : at, 0, receipt);
    this.#receipts.length = Math.min(this.#receipts.length, shownReceipts);
  }

  /** The worst first. */
  get receipts(): readonly Receipt[] {
    return this.#receipts;
  }
}

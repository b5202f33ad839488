/*
 * The outcome of one labeled value, the counters of a field, and the figures computed from them.
 */

export const outcomes = [
  "matched",
  "wrong",
  /** The paper has a value, the answer none. Also every labeled value of an item or row that was not read. */
  "missing",
  /** The paper has none, the answer a value. */
  "invented",
  /** The paper has a value, and the model reported it as unreadable. */
  "abstained",
  "absent_both",
  /** Labeled as unreadable, and no value was given, which is right. */
  "unreadable_matched",
  "unreadable_invented",
] as const;
export type Outcome = (typeof outcomes)[number];

/** Whether a value is in the rates: one that is labeled as unreadable is in counters of its own. */
export const isScored = (outcome: Outcome): boolean => !outcome.startsWith("unreadable");
/** Whether a value is scored and not right. */
export const isMistake = (outcome: Outcome): boolean =>
  isScored(outcome) && outcome !== "matched" && outcome !== "absent_both";

export type Counters = Record<Outcome, number>;

export const none = (): Counters => ({
  matched: 0,
  wrong: 0,
  missing: 0,
  invented: 0,
  abstained: 0,
  absent_both: 0,
  unreadable_matched: 0,
  unreadable_invented: 0,
});

/** Adds the second counters to the first. */
export function add(into: Counters, counters: Readonly<Counters>): void {
  for (const outcome of outcomes) into[outcome] += counters[outcome];
}

/** Values that were given: the denominator of P. */
export const predicted = (c: Readonly<Counters>) => c.matched + c.wrong + c.invented;
/** Values that the paper has: the denominator of R. */
export const expected = (c: Readonly<Counters>) => c.matched + c.wrong + c.missing + c.abstained;
/** All labeled values that are readable. */
export const scored = (c: Readonly<Counters>) => expected(c) + c.invented + c.absent_both;
export const right = (c: Readonly<Counters>) => c.matched + c.absent_both;

/** Null for 0/0: there is nothing to measure. */
export const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

interface Rates {
  precision: number | null;
  recall: number | null;
  f1: number | null;
  accuracy: number | null;
}

/**
 * The harmonic mean of P and R, computed as 2·matched/(given + there). Defined also if only one of them is: an answer
 * without a value for what the paper has gives 0. Null if neither is defined.
 */
export const f1Of = (matched: number, given: number, there: number): number | null =>
  ratio(2 * matched, given + there);

/**
 * P = matched/(matched+wrong+invented), R = matched/(matched+wrong+missing+abstained), F1 their harmonic mean, accuracy
 * = (matched + both absent)/scored. 0/0 is null.
 */
export function rates(c: Readonly<Counters>): Rates {
  return {
    precision: ratio(c.matched, predicted(c)),
    recall: ratio(c.matched, expected(c)),
    f1: f1Of(c.matched, predicted(c), expected(c)),
    accuracy: ratio(right(c), scored(c)),
  };
}

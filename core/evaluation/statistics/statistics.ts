/*
 * How reliable figures of a few hundred receipts are, and whether two runs differ. Every formula has its source.
 */

/**
 * The cumulative normal distribution at `z`, by its Taylor series about 0 (G. Marsaglia, Evaluating the Normal
 * Distribution, Journal of Statistical Software 11(4), 2004): exact to about 15 digits for |z| < 7.
 */
export function normal(z: number): number {
  let sum = z;
  let term = z;
  for (let odd = 3; sum + term !== sum || odd === 3; odd += 2) {
    term *= (z * z) / odd;
    sum += term;
  }
  return 0.5 + sum * Math.exp(-(z * z) / 2 - 0.5 * Math.log(2 * Math.PI));
}

/** The inverse of `normal`, for shares from 10^-10 to 1 − 10^-10. */
export function quantile(share: number): number {
  let [low, high] = [-6.5, 6.5];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (normal(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** z for a two-sided 95 %, and for a power of 80 %. */
const z95 = 1.959963984540054;
const z80 = 0.8416212335729143;

/** Lower and upper end. */
export type Interval = readonly [number, number];

/**
 * The 95 % interval of a share (E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
 * JASA 22, 1927; without continuity correction). It stays within 0 and 1 and is meaningful also for 0 of n and n of n.
 * Null for n = 0.
 */
export function wilson(successes: number, n: number): Interval | null {
  if (n === 0) return null;
  const share = successes / n;
  const z2 = z95 ** 2;
  const middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = (z95 / (1 + z2 / n)) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n));
  return [successes === 0 ? 0 : middle - half, successes === n ? 1 : middle + half];
}

/**
 * The exact two-sided p of McNemar's test (Q. McNemar, Psychometrika 12, 1947; as a sign test): b right only in the
 * first run, c right only in the second, `min(1, 2·Σ_{k≤min(b,c)} C(b+c,k)/2^(b+c))`; 1 if b + c is 0.
 */
export function mcnemar(b: number, c: number): number {
  const n = b + c;
  const fewer = Math.min(b, c);
  if (n === 0) return 1;
  // 2^-n underflows at n = 1,075: large n use logarithms, which are slightly less exact.
  let term = n < 1000 ? 2 ** -n : -n * Math.LN2;
  for (let k = 1; k <= fewer; k += 1) {
    const factor = (n - k + 1) / k;
    term = n < 1000 ? term * factor : term + Math.log(factor);
  }
  const largest = n < 1000 ? term : Math.exp(term);
  // From the largest term down; each is a fraction of the one before.
  let sum = 0;
  let part = 1;
  for (let k = fewer; k >= 0 && part > Number.EPSILON * sum; k -= 1) {
    sum += part;
    part *= k / (n - k + 1);
  }
  return Math.min(1, 2 * largest * sum);
}

/**
 * Holm's adjusted p values, in the given order (S. Holm, A Simple Sequentially Rejective Multiple Test Procedure,
 * Scandinavian Journal of Statistics 6, 1979): those under α are significant at α over all of them together.
 */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((i, j) => (ps[i] ?? 1) - (ps[j] ?? 1));
  const adjusted = new Array<number>(ps.length).fill(1);
  let before = 0;
  order.forEach((i, rank) => {
    before = Math.max(before, Math.min(1, (ps.length - rank) * (ps[i] ?? 1)));
    adjusted[i] = before;
  });
  return adjusted;
}

export const alpha = 0.05;

/**
 * The fewest differing pairs with which a verdict among m fields is possible, even if all differ in one direction: 2/2ⁿ
 * ≤ α/m.
 */
export function leastDiscordant(m: number): number {
  let n = 1;
  while (2 / 2 ** n > alpha / Math.max(1, m)) n += 1;
  return n;
}

/** The difference to be detected, and the smallest share of discordant pairs that is assumed. */
const difference = 0.05;

/**
 * The number of receipts needed to detect a difference of 5 points with a power of 80 % at α/m, two-sided:
 * `((z_{1−α/2m}·√d + z₀.₈·√(d − 0.05²))/0.05)²`, with d the share of pairs that differ, at least 0.05, rounded up (R.
 * J. Connor, Sample Size for Testing Differences in Proportions for the Paired-Sample Design, Biometrics 43, 1987).
 */
export function neededReceipts(discordantShare: number, m: number): number {
  const d = Math.max(difference, discordantShare);
  const z = quantile(1 - alpha / (2 * Math.max(1, m)));
  return Math.ceil(((z * Math.sqrt(d) + z80 * Math.sqrt(d - difference ** 2)) / difference) ** 2);
}

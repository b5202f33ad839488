/**
 * Whole numbers from 0 to 2³²−1, the same for the same seed on every machine: George Marsaglia's xorshift (Xorshift RNGs,
 * Journal of Statistical Software 8(14), 2003; shifts 13, 17, 5), whose period of 2³²−1 is a hundred times what 2,000
 * resamples of 10,000 documents draw.
 */
export function generator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

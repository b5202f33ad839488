/** Whole rows from which on an answer is long because of its list, and goes on. */
export const leastRows = 10;

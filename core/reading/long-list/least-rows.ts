/** From this many whole rows on, an answer counts as long because of its list, and is continued. */
export const leastRows = 10;

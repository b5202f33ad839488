// Written by `npm run task -- rules`; a test fails where it is out of date.

/** The version of the code of core/canonical: what printed values mean, and which sums must fit. A hash without an order. */
export const version = "a017a9095127";

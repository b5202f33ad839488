// Written by `npm run task -- rules`; a test fails where it is out of date.

/** The version of the code of core/evaluation/compare: when an answer is the same as a label. A hash without an order. */
export const version = "fc7c9325b752";

import type { Verdict } from "./compare.ts";

/*
 * How a value is shown to people: in tables, in the report and on a terminal.
 */

/** A row of the answer that the paper does not have: its values are invented. */
export const isExtra = ({ rows }: Pick<Verdict, "rows">): boolean => rows?.expected === null;

/**
 * The path of a value. Rows of the paper and of the answer are counted apart, so one of the answer that the paper does not
 * have has a plus: `items[+1].price`. At the front it would be a formula of spreadsheets.
 */
export const pathOf = ({ path, in_answer }: { path: string; in_answer: boolean }): string =>
  in_answer ? path.replace("[", "[+") : path;

/** A document of a picture, as labels name it: `a.pdf#2`. */
export const documentOf = ({
  file,
  index,
  document,
}: {
  file: string | null;
  index: number;
  document: number;
}): string => `${file ?? `number ${index + 1}`}#${document}`;

/** What is labeled, null for no value: one value, or all that are accepted. */
export const acceptedOf = ({
  expected,
  accepted,
}: Pick<Verdict, "expected" | "accepted">): (string | null)[] => accepted ?? [expected];

/** Explains the plus. */
export const plus = "[+n]: in a row of the answer that the paper does not have";

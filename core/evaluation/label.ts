/*
 * What the evaluation takes of a ground truth: the labels of one document, as core/ground-truth reads them.
 */

export type Scalar = string | number | boolean;

/** What is labelled of one value. A field that has no label at all is not scored. */
export type Labelled =
  | { kind: "absent" }
  | { kind: "unreadable" }
  /** The first accepted value is the one that is shown; with `orAbsent` no value is right too. */
  | { kind: "value"; accepted: readonly [Scalar, ...Scalar[]]; orAbsent: boolean };

/** A value, a group of named ones, or a list of rows. An empty list says that the paper has no row. */
export type Label =
  | Labelled
  | { kind: "group"; members: ReadonlyMap<string, Label> }
  | { kind: "rows"; rows: readonly Label[] };

export type Labels = ReadonlyMap<string, Label>;

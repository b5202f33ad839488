import * as Record from "#core/ground-truth/record";

/** Labels as people write them; a mistake in them fails the test. */
export function labelsOf(fields: { readonly [name: string]: unknown }): Record.GroundTruth["labels"] {
  const { record, issues } = Record.parse({ file: "a.jpg", fields }, { index: 0 });
  if (record === undefined) throw new Error(JSON.stringify(issues));
  return record.labels;
}

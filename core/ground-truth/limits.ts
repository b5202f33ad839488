import { batches, groundTruths } from "#spec/limits";

/** Limits of a ground truth. */
export const limits = {
  /** The size of the JSON, compressed or not. */
  bytes: groundTruths.bytes,
  /** As many as a run has items. */
  records: batches.manifestLines,
  /** The size of one record, in characters: 10,000 rows fit. */
  recordLength: 1024 * 1024,
  /** Nested brackets, including the record's own. */
  depth: 32,
  /** Mistakes that are reported. */
  issues: 100,
} as const;

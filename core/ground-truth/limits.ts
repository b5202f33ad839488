import { batches, groundTruths } from "#spec/limits";

/** How much of a ground truth is read. */
export const limits = {
  /** Of the JSON, packed or not. */
  bytes: groundTruths.bytes,
  /** As many as a run has items. */
  records: batches.manifestLines,
  /** Of one record, in characters: 10,000 rows fit. */
  recordLength: 1024 * 1024,
  /** Brackets within brackets, from the record's own on. */
  depth: 32,
  /** Mistakes that are told of. */
  issues: 100,
} as const;

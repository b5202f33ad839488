const MiB = 1024 * 1024;

/** How much of a ground truth is read. */
export const limits = {
  /** Of the JSON, packed or not. */
  bytes: 100 * MiB,
  /** As many as a run has items. */
  records: 100_000,
  /** Of one record, in characters: 10,000 rows fit. */
  recordLength: MiB,
  /** Brackets within brackets, from the record's own on. */
  depth: 32,
  /** Mistakes that are told of. */
  issues: 100,
} as const;

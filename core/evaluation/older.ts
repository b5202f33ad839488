import type * as Schema from "./schema.ts";
import type * as Wire from "./wire.ts";

/*
 * Evaluations that were stored before 2026-12 lack the number of judged documents, and documents without a record.
 */

type Older<T extends { documents_judged: number }> = Omit<T, "documents_judged"> & {
  documents_judged?: number;
};

/**
 * The summary with the number of judged documents; for older ones it is computed from the share of right documents, if
 * any is right.
 */
export function summaryOf(stored: Older<Schema.Figures["summary"]>): Schema.Figures["summary"] {
  const { documents, canonical } = stored;
  const { documents_right: right, documents_right_share: share } = canonical;
  const judged = share === null ? 0 : share === 0 ? documents : Math.round(right / share);
  return { ...stored, documents_judged: stored.documents_judged ?? judged };
}

/** A slice with the number of judged documents; in older ones all documents counted as judged. */
export const sliceOf = (stored: Older<Schema.Slice>): Schema.Slice => ({
  ...stored,
  documents_judged: stored.documents_judged ?? stored.documents,
});

/** What is in no figure: older ones did not look for documents without a record. */
export const unmatchedOf = (
  stored: Omit<Wire.Unmatched, "documents"> & Partial<Wire.Unmatched>,
): Wire.Unmatched => ({ documents: { count: 0, first: [] }, ...stored });

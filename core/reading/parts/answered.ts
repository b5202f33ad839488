/** What an artifact stores of a document in addition to its answer, so that the answer can be computed again. */
type Recorded = "sent" | "sent_pages" | "calls" | "text_layer" | "raw_model_text" | "finish_reason";

/**
 * Several documents of one file, as in the answer. It is a separate file because lists of items need no more of the
 * artifact.
 */
export const answered = <P extends { [Name in Recorded]?: unknown }>(
  stored: readonly P[],
): Omit<P, Recorded>[] =>
  stored.map(({ sent, sent_pages, calls, text_layer, raw_model_text, finish_reason, ...answer }) => answer);

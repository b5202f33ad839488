/** What an artifact has of a document beside its answer, to compute it again. */
type Recorded = "sent" | "sent_pages" | "calls" | "text_layer" | "raw_model_text" | "finish_reason";

/** Several documents of one file as they are answered. Alone in its file: lists of items need no more of the artifact. */
export const answered = <P extends { [Name in Recorded]?: unknown }>(
  stored: readonly P[],
): Omit<P, Recorded>[] =>
  stored.map(({ sent, sent_pages, calls, text_layer, raw_model_text, finish_reason, ...answer }) => answer);

/** The reasons for the verdict on missing rows, in the order of their priority. */
export const reasons = [
  "answer_too_long",
  "adds_up",
  "sum_differs",
  "count_matches",
  "count_differs",
  "rows_seen",
  "parts_unclear",
  "nothing_to_compare",
] as const;

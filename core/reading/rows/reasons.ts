/** By what it was decided whether rows are missing, in the order in which they count. */
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

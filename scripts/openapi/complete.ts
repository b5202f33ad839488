import * as z from "zod";

/** In words that no function needs. */
export const Complete = z.boolean().nullable().meta({
  id: "Complete",
  description:
    "Whether all rows of the paper's list of items are in `result`; `rows` gives the evidence. Null if nothing on the paper decides it. Absent if the task has no such list. False does not make an extract fail, except with `rows.reason` `answer_too_long`: then the answer did not fit the model's context, `result` has the rows that were complete before, and `checks` leaves out sums over an incomplete list.",
});

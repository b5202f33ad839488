import * as z from "zod";

/** In words that no function needs. */
export const Complete = z.boolean().nullable().meta({
  id: "Complete",
  description:
    "Whether all rows of the paper's list of items are in `result`: `rows` says by what. Null where nothing on the paper decides. Absent where the task has no such list. False without `rows.reason` `answer_too_long` never makes an extract fail; with it the answer did not fit the model's context: `result` holds what was read whole before, and `checks` leaves out sums over a list that breaks off.",
});

import * as z from "zod";

/** The body of a message in the `later` queue: the next step of an evaluation. A module of its own: it is read at every message. */
export const Message = z.strictObject({ kind: z.literal("evaluation"), eval_id: z.string() });

import * as z from "zod";

/**
 * A message in the `later` queue: the next step of an evaluation. In a module of its own because it is parsed for every
 * message.
 */
export const Message = z.strictObject({ kind: z.literal("evaluation"), eval_id: z.string() });

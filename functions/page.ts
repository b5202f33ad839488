import * as z from "zod";

/** Query parameters of lists. A number is decimal digits: no sign, no space, no exponent. */
export const limit = z
  .string()
  .regex(/^[1-9]\d{0,2}$/, "a whole number from 1 to 200")
  .transform(Number)
  .pipe(z.int().max(200))
  .default(50)
  .meta({ override: { type: "integer", minimum: 1, maximum: 200, default: 50 } });

export const cursor = z
  .string()
  .max(500)
  .optional()
  .meta({ description: "`next_cursor` of the page before." });

import * as z from "zod";

/** A whole number in a query: decimal digits, no sign, no space, no exponent. OpenAPI shows it as an integer. */
export const whole = (min: number, max: number) =>
  z
    .string()
    .refine((text) => /^(0|[1-9][0-9]{0,15})$/.test(text) && Number(text) >= min && Number(text) <= max, {
      message: `must be a whole number from ${min} to ${max}`,
    })
    .transform(Number)
    .meta({
      override: { type: "integer", minimum: min, maximum: max },
    });

/** The length of a page. */
export const limit = whole(1, 200)
  .default(50)
  .meta({ description: "The most entries of a page.", override: { default: 50 } });

export const cursor = z
  .string()
  .max(500)
  .optional()
  .meta({ description: "`next_cursor` of the previous page." });

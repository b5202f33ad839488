import type * as z from "zod";
import { invalidRequest } from "#core/error";

/**
 * The value as parsed by its schema. @throws AppError `invalid_request` that lists all mistakes.
 * @param what - the word for one of its names: "field", "query parameter".
 */
export async function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what = "field",
): Promise<z.output<S>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Most calls are valid: the module with the texts is loaded only for the others.
  const { check: judge } = await import("#core/issue");
  throw invalidRequest(judge(schema, value, what).issues ?? []);
}

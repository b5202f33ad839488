import type * as z from "zod";
import { invalidRequest } from "#core/error";

/**
 * The value, as its schema makes it. @throws AppError `invalid_request` with all that is wrong.
 * @param what - how one of its names is called: a "field", a "query parameter".
 */
export async function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what = "field",
): Promise<z.output<S>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Most calls are right: the module with the texts is loaded for the others.
  const { check: judge } = await import("#core/issue");
  throw invalidRequest(judge(schema, value, what).issues ?? []);
}

import type * as z from "zod";
import { type Issue, invalidRequest } from "#core/error";

/**
 * Values that come as text, in a query or in a form, read as what JSON would have there: by the schema of their field.
 * A field that takes a text keeps it as it is, one that takes an object or a list is JSON.
 * @param shape - the fields by name; names that are not in it are kept as text, for the schema to refuse.
 * @throws AppError `invalid_request` for what should be JSON and is none.
 */
export function read(
  shape: Readonly<Record<string, z.ZodType>>,
  texts: Iterable<readonly [name: string, text: string]>,
): Record<string, unknown> {
  // A null prototype: a name is the caller's.
  const values: Record<string, unknown> = Object.create(null);
  const issues: Issue[] = [];
  for (const [name, text] of texts) {
    const field = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const found = field === undefined ? { value: text } : valueFrom(kindOf(field), text);
    if ("problem" in found) issues.push({ path: name, message: found.problem });
    else values[name] = found.value;
  }
  if (issues.length > 0) throw invalidRequest(issues);
  return { ...values };
}

type Found = { value: unknown } | { problem: string };

function valueFrom(kind: string, text: string): Found {
  switch (kind) {
    // What is neither stays a text, so that it is refused in the words that JSON gets.
    case "boolean":
    case "number":
      // Python writes True.
      if (/^(?:true|false)$/i.test(text)) return { value: text.toLowerCase() === "true" };
      return { value: /^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : text };
    case "object":
    case "array":
    case "record":
      return json(kind, text);
    default:
      return { value: text };
  }
}

function json(kind: string, text: string): Found {
  const problem = `must be JSON, ${kind === "array" ? "a list: [ … ]" : 'an object: {"name": …}'}; in a shell put it in single quotes`;
  try {
    const value: unknown = JSON.parse(text);
    const fits = kind === "array" ? Array.isArray(value) : isObject(value);
    return fits ? { value } : { problem };
  } catch {
    return { problem };
  }
}

const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);

/** What a field takes at last, whether it may be left out or not. */
function kindOf(field: z.ZodType): string {
  const { def } = field as z.ZodType & { def: { type: string; innerType?: z.ZodType } };
  return def.innerType === undefined ? def.type : kindOf(def.innerType);
}

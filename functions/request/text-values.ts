import type * as z from "zod";
import { type Issue, invalidRequest } from "#core/error";

/**
 * Converts texts of a query or a form into the values that JSON would have, by the schema of each field. A text field
 * keeps its text; a field with an object or a list is parsed as JSON.
 * @param shape - the fields by name; other names are kept as text, and the schema refuses them.
 * @throws AppError `invalid_request` for a text that should be JSON and is not.
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
    // Anything else stays a text, so that it gets the same error as in JSON.
    case "boolean":
    case "number":
    // A number or a word.
    case "union":
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

/** The kind of value that a field takes, under its optional and default wrappers. */
function kindOf(field: z.ZodType): string {
  const { def } = field as z.ZodType & { def: { type: string; innerType?: z.ZodType } };
  return def.innerType === undefined ? def.type : kindOf(def.innerType);
}

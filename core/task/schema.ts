import * as z from "zod";
import type { Field, FieldKind } from "#core/canonical/normalize";
import { formats } from "#core/task/definition/field";

export type JsonSchema = { [keyword: string]: unknown };

const kinds = new Map<unknown, FieldKind>(
  Object.entries(formats).map(([kind, format]) => [format, kind as FieldKind]),
);

/** Keywords in the order they are written. `format`, `minLength` and texts are for validation only. */
const order = [
  "type",
  "description",
  "format",
  "minLength",
  "properties",
  "required",
  "additionalProperties",
  "items",
] as const;
const forModel = new Set<string>(["type", "properties", "required", "additionalProperties", "items"]);

/**
 * The two JSON Schemas of one zod schema: `model` in the portable subset that constrained decoding understands
 * (no formats, texts or `$schema`), `validation` with our formats. Properties keep the order of declaration,
 * which is the order the model answers in; keywords have one fixed order, so the bytes are stable. Throws on a
 * zod schema outside of what field.ts builds.
 */
export function derive(schema: z.ZodType): { model: JsonSchema; validation: JsonSchema; fields: Field[] } {
  const { $schema, ...root } = z.toJSONSchema(schema, { target: "draft-2020-12" }) as JsonSchema;
  const fields: Field[] = [];
  collect(root, "", fields);
  return { model: rewrite(root, forModel), validation: { $schema, ...rewrite(root) }, fields };
}

/** zod writes a nullable of anything but a plain string as anyOf; the portable form is a list of types. */
function merged(node: JsonSchema): JsonSchema {
  const { anyOf, ...rest } = node;
  if (!Array.isArray(anyOf)) return node;
  const [value, nothing, ...more] = anyOf as JsonSchema[];
  if (!value || nothing?.type !== "null" || more.length > 0 || typeof value.type !== "string") {
    throw new Error("a task schema may use anyOf only for null");
  }
  return { ...value, ...rest, type: [value.type, "null"] };
}

function rewrite(raw: JsonSchema, keep?: Set<string>): JsonSchema {
  const node = merged(raw);
  const unknown = Object.keys(node).find((keyword) => !order.some((known) => known === keyword));
  if (unknown !== undefined) throw new Error(`a task schema may not use ${unknown}`);
  const written: JsonSchema = {};
  for (const keyword of order) {
    const value = node[keyword];
    if (value === undefined || (keep && !keep.has(keyword))) continue;
    if (keyword === "properties") {
      const properties = Object.entries(value as Record<string, JsonSchema>);
      written[keyword] = Object.fromEntries(properties.map(([name, child]) => [name, rewrite(child, keep)]));
    } else {
      written[keyword] = keyword === "items" ? rewrite(value as JsonSchema, keep) : value;
    }
  }
  return written;
}

function collect(raw: JsonSchema, path: string, fields: Field[]): void {
  const node = merged(raw);
  if (node.properties) {
    for (const [name, child] of Object.entries(node.properties as Record<string, JsonSchema>)) {
      collect(child, path === "" ? name : `${path}.${name}`, fields);
    }
  } else if (node.items) {
    collect(node.items as JsonSchema, `${path}[]`, fields);
  } else {
    fields.push({ path, kind: kinds.get(node.format) ?? "text" });
  }
}

/**
 * Changes to zod's JSON Schemas that generators and validators of other languages need. They add nothing to the API's
 * meaning.
 */

type Json = { [key: string]: unknown };

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Applies the changes to every schema below, including those in maps (properties, components). */
function each(value: unknown, change: (node: Json) => void): void {
  if (Array.isArray(value)) for (const one of value) each(one, change);
  if (!isObject(value)) return;
  change(value);
  for (const [name, child] of Object.entries(value)) if (!isExample(name)) each(child, change);
}

/** These keywords hold values, not schemas. */
const isExample = (name: string) => name === "example" || name === "examples" || name === "enum";

/** Removes what adds nothing, or what only JavaScript understands. */
export function plain(document: unknown): void {
  each(document, (node) => {
    // The format is enough; zod's pattern for it is 200 characters about leap years.
    if (node.format === "date" || node.format === "date-time") delete node.pattern;
    if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum;
    if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum;
    // Property names are always strings in JSON.
    if (isObject(node.propertyNames) && Object.keys(node.propertyNames).join() === "type")
      delete node.propertyNames;
    // zod turns a schema with a description into a reference with this beside it, which would allow no property.
    if (typeof node.$ref === "string" && node.additionalProperties === false)
      delete node.additionalProperties;
    if (isObject(node.additionalProperties) && Object.keys(node.additionalProperties).length === 0)
      node.additionalProperties = true;
  });
}

/**
 * Describes a body's defaults in words: client generators such as openapi-typescript treat a field with a `default` as
 * always present, even in requests.
 */
export function wordDefaults(schemas: unknown): void {
  each(schemas, (node) => {
    if (!("default" in node) || isObject(node.default)) return;
    const { default: value, description } = node;
    delete node.default;
    const written = typeof value === "string" ? value : JSON.stringify(value);
    node.description = [description, `Default: \`${written}\`.`].filter(Boolean).join(" ");
  });
}

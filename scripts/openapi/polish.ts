/**
 * What generators and validators of other languages need of the JSON Schemas that zod writes. Nothing here says anything
 * about the API that the schemas do not say.
 */

type Json = { [key: string]: unknown };

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Does it to every schema below, the document's own maps (properties, components) included. */
function each(value: unknown, change: (node: Json) => void): void {
  if (Array.isArray(value)) for (const one of value) each(one, change);
  if (!isObject(value)) return;
  change(value);
  for (const [name, child] of Object.entries(value)) if (!isExample(name)) each(child, change);
}

/** What these hold are values, no schemas. */
const isExample = (name: string) => name === "example" || name === "examples" || name === "enum";

/** Leaves out what says nothing, or says it in a way of JavaScript's own. */
export function plain(document: unknown): void {
  each(document, (node) => {
    // The format says it; zod's pattern for it is 200 characters of leap years.
    if (node.format === "date" || node.format === "date-time") delete node.pattern;
    if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum;
    if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum;
    // Names are strings in JSON.
    if (isObject(node.propertyNames) && Object.keys(node.propertyNames).join() === "type")
      delete node.propertyNames;
    if (isObject(node.additionalProperties) && Object.keys(node.additionalProperties).length === 0)
      node.additionalProperties = true;
  });
}

/**
 * Tells a body's defaults in words: generators of clients (openapi-typescript among them) take a field that has a
 * `default` for one that is always there, also in what is sent.
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

/** JSON Schemas as text and tables. */
import { type Html, html, inline } from "./html.ts";

export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  description?: string;
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: boolean | JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
}

/** Where a schema of `components` stands in the page. */
export const anchor = (name: string) => `schema-${name}`;

/** A type in a few words, with links to named schemas: "array of Check", "string or null". */
export function type(schema: JsonSchema): Html {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
    return html`<a href="#${anchor(name)}">${name}</a>`;
  }
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choices !== undefined) {
    const word = schema.allOf === undefined ? " or " : " and ";
    return html`${choices.map((choice, i) => html`${i === 0 ? "" : word}${type(choice)}`)}`;
  }
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`;
  if (schema.enum !== undefined) {
    return html`${schema.enum.map((value, i) => html`${i === 0 ? "" : ", "}<code>${JSON.stringify(value)}</code>`)}`;
  }
  if (schema.items !== undefined) return html`array of ${type(schema.items)}`;
  if (typeof schema.additionalProperties === "object" && schema.properties === undefined) {
    return html`object of ${type(schema.additionalProperties)}`;
  }
  const name = [schema.type ?? "anything"].flat().join(" or ");
  return html`${name}${schema.format === undefined ? "" : ` (${schema.format})`}`;
}

/** The fields of an object schema, nested ones with their path; a schema of another kind in words. */
export function table(schema: JsonSchema): Html {
  const rows = fields(schema, "");
  if (rows.length === 0) return html`<p>${type(schema)}</p>`;
  return html`<div class="scroll"><table><tr><th>Field</th><th>Type</th><th>Description</th></tr>${rows}</table></div>`;
}

/** The fields of a schema that has no name; a named one has its table elsewhere. */
export function inlineTable(schema: JsonSchema): Html | undefined {
  return schema.$ref === undefined && schema.properties !== undefined ? table(schema) : undefined;
}

function fields(schema: JsonSchema, prefix: string): Html[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const must =
      schema.required?.includes(name) === true ? html` <span class="must">required</span>` : undefined;
    const row = html`<tr><td><code>${path}</code>${must}</td><td>${type(field)}${limits(field)}</td><td>${inline(field.description ?? "")}</td></tr>`;
    const nested = field.items ?? field;
    return [row, ...fields(nested, field.items === undefined ? path : `${path}[]`)];
  });
}

function limits(schema: JsonSchema): Html {
  const parts = [
    schema.default === undefined ? undefined : html`default <code>${JSON.stringify(schema.default)}</code>`,
    schema.pattern === undefined || schema.format !== undefined
      ? undefined
      : html`pattern <code>${schema.pattern}</code>`,
    schema.minLength === undefined ? undefined : html`at least ${schema.minLength} characters`,
    schema.maxLength === undefined ? undefined : html`at most ${schema.maxLength} characters`,
    schema.minimum === undefined || schema.minimum === Number.MIN_SAFE_INTEGER
      ? undefined
      : html`from ${schema.minimum}`,
    schema.maximum === undefined || schema.maximum === Number.MAX_SAFE_INTEGER
      ? undefined
      : html`to ${schema.maximum}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0
    ? html``
    : html`<div class="dim">${parts.map((part, i) => html`${i === 0 ? "" : ", "}${part}`)}</div>`;
}

/** The reference: the viewer's page, and the same content as Markdown for readers without a browser. */

import { html } from "#core/html";
import * as Guides from "#functions/docs-page/guides";
import { type Assets, page, type Titles } from "./layout.ts";

/**
 * Scalar's configuration (https://scalar.com/products/api-references/configuration). Everything that calls another host
 * is off: fonts, the proxy for calls, the assistant and the MCP server, telemetry, the cloud editor and client. The
 * page's policy refuses them anyway, so without these lines there would be buttons that fail.
 */
export const configuration = {
  url: "/openapi.json",
  withDefaultFonts: false,
  proxyUrl: "",
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: "never",
  hideClientButton: true,
  // A key lives as long as the page: not in the browser's storage, where it would stay.
  persistAuth: false,
  authentication: { preferredSecurityScheme: "bearer" },
  documentDownloadType: "json",
  // The document has samples for curl, TypeScript and Python; the viewer's generated ones do not support files.
  hiddenClients: true,
  modelsSectionLabel: "Schemas",
  orderSchemaPropertiesBy: "preserve",
  favicon: "data:,",
} as const;

/** The page at `/docs`. */
export function render(assets: Assets, titles: Titles): string {
  return page(
    {
      name: Guides.reference,
      title: "API reference",
      summary: "Every call of the API, to read and to try out.",
      scripts: [assets.viewer],
      body: html`<noscript><p>The reference is shown by a script. Without one: <a href="/docs/${Guides.reference}.md">the same as text</a>,
or <a href="/openapi.json">openapi.json</a>.</p></noscript>
<script id="api-reference" type="application/json" data-configuration="${JSON.stringify(configuration)}"></script>`,
    },
    assets,
    titles,
  );
}

/** The part of the OpenAPI document that its Markdown shows. */
interface OpenApi {
  info: { title: string; version: string; description?: string };
  tags: { name: string; description?: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; parameters?: Record<string, Parameter> };
}

interface Operation {
  tags: string[];
  summary: string;
  description?: string;
  security?: Record<string, string[]>[];
  parameters?: (Parameter | Ref)[];
  requestBody?: { content: Record<string, { schema?: Schema }> };
  responses: Record<string, { description?: string } | Ref>;
  "x-codeSamples"?: { lang: string; source: string }[];
}

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}

type Ref = { $ref: string };

interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: unknown[];
  const?: unknown;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

/** The document as Markdown: each call with its key, parameters, body, answers and a line for curl. */
export function markdown(document: OpenApi): string {
  const { info, tags, paths, components } = document;
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const sections = tags.map(({ name, description }) =>
    [
      `## ${name}`,
      description,
      ...all
        .filter(({ operation }) => operation.tags.includes(name))
        .map(({ method, path, operation }) => call(method, path, operation, document)),
    ]
      .filter(Boolean)
      .join("\n\n"),
  );
  const schemas = Object.entries(components.schemas).map(([name, schema]) =>
    [`### ${name}`, schema.description, fields(schema, document)].filter(Boolean).join("\n\n"),
  );
  return `${[`# ${info.title} API ${info.version}`, info.description, "The whole document: [openapi.json](/openapi.json).", ...sections, "## Schemas", ...schemas].filter(Boolean).join("\n\n")}\n`;
}

function call(method: string, path: string, operation: Operation, document: OpenApi): string {
  const [security] = operation.security ?? [];
  const scopes = Object.values(security ?? {}).flat();
  const key =
    security === undefined
      ? "No key."
      : scopes.length === 0
        ? "Any key."
        : `A key with the scope \`${scopes.join(", ")}\`.`;
  const parameters = (operation.parameters ?? [])
    .map((parameter) =>
      "$ref" in parameter ? resolve(document.components.parameters, parameter) : parameter,
    )
    .filter((parameter) => parameter !== undefined)
    .map(
      ({ name, in: place, required, description, schema }) =>
        `- \`${name}\` (${place}${required ? ", required" : ""}): ${type(schema ?? {})}${text(description ?? schema?.description)}`,
    );
  const bodies = Object.entries(operation.requestBody?.content ?? {}).map(
    ([media, { schema = {} }]) => `Body, \`${media}\`:\n\n${fields(schema, document) || type(schema)}`,
  );
  const answers = Object.entries(operation.responses).map(([status, response]) =>
    "$ref" in response
      ? `- ${status}: ${response.$ref.split("/").at(-1)}`
      : `- ${status}: ${oneLine(response.description ?? "")}`,
  );
  const sample = operation["x-codeSamples"]?.[0];
  return [
    `### ${method} ${path}`,
    `${operation.summary}. ${key}`,
    operation.description,
    parameters.length === 0 ? undefined : `Parameters:\n\n${parameters.join("\n")}`,
    ...bodies,
    `Answers:\n\n${answers.join("\n")}`,
    sample === undefined ? undefined : `\`\`\`bash\n${sample.source}\n\`\`\``,
  ]
    .filter((part) => part !== undefined)
    .join("\n\n");
}

/** One line per field; deeper structures have a name among the schemas, or are in the document. */
function fields(schema: Schema, document: OpenApi): string {
  const target =
    schema.$ref === undefined ? schema : (resolve(document.components.schemas, { $ref: schema.$ref }) ?? {});
  return Object.entries(target.properties ?? {})
    .map(([name, field]) => {
      const required = target.required?.includes(name) ? ", required" : "";
      return `- \`${name}\` (${type(field)}${required})${text(field.description)}`;
    })
    .join("\n");
}

function type(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const parts = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (parts !== undefined)
    return [...new Set(parts.map(type))].join(schema.allOf === undefined ? " or " : " and ");
  if (schema.items !== undefined) return `list of ${type(schema.items)}`;
  return [schema.type ?? "any"].flat().join(" or ");
}

const oneLine = (value: string) => value.replace(/\s+/g, " ").trim();
const text = (description: string | undefined) =>
  description === undefined ? "" : `: ${oneLine(description)}`;

function resolve<T>(components: Record<string, T> | undefined, { $ref }: Ref): T | undefined {
  return components?.[$ref.slice($ref.lastIndexOf("/") + 1)];
}

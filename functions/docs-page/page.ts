/**
 * The docs page: one HTML document made of the OpenAPI document, without a script and without anything that is loaded
 * from elsewhere, so that its policy can forbid all of it. Viewers that run in the browser weigh megabytes and need a
 * policy that allows inline styles.
 */
import { createHash } from "node:crypto";
import { Html, html, inline, markdown } from "./html.ts";
import * as Schema from "./schema.ts";
import { style } from "./style.ts";

/** The part of OpenAPI 3.1 that our documents use and the page shows. */
export interface OpenApi {
  info: { title: string; version: string; description?: string };
  tags: { name: string; description?: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, Schema.JsonSchema>;
    responses: Record<string, Response>;
    parameters: Record<string, Parameter>;
    headers: Record<string, { description?: string }>;
  };
}

interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security: Record<string, string[]>[];
  parameters: (Parameter | Ref)[];
  requestBody?: { content: Content };
  responses: Record<string, Response | Ref>;
  "x-codeSamples": { source: string }[];
}

interface Parameter {
  name: string;
  in: string;
  description?: string;
  required?: boolean;
  schema: Schema.JsonSchema;
}

interface Response {
  description: string;
  headers?: Record<string, unknown>;
  content?: Content;
}

type Content = Record<
  string,
  { schema: Schema.JsonSchema; examples?: Record<string, { summary?: string; value: unknown }> }
>;
type Ref = { $ref: string };

/** Nothing may be loaded, run, framed or sent; the one style sheet is known by its hash. */
export const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The page as text. The same document gives the same page. */
export function render(document: OpenApi): string {
  const { info, tags, components } = document;
  const all = operationsOf(document);
  // In the head stands nothing but the page's own: the empty icon keeps browsers from asking for one.
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API ${info.version}</title>
<link rel="icon" href="data:,">
<style>${new Html(style)}</style>
</head>
<body>
<div class="page">
<nav aria-label="Contents">
<a href="#top"><strong>${info.title} API</strong></a> <span class="dim">${info.version}</span>
${tags.map(
  ({ name }) =>
    html`<h2>${name}</h2><ul>${all
      .filter(({ operation }) => operation.tags.includes(name))
      .map(
        ({ method, path, operation }) =>
          html`<li title="${operation.summary}"><a href="#${operation.operationId}">${badge(method)} ${path}</a></li>`,
      )}</ul>`,
)}
<h2>Reference</h2><ul><li><a href="#errors">Errors</a></li><li><a href="#headers">Headers</a></li>
${Object.keys(components.schemas).map((name) => html`<li><a href="#${Schema.anchor(name)}">${name}</a></li>`)}</ul>
</nav>
<main id="top">
<h1>${info.title} API <span class="dim">${info.version}</span></h1>
${markdown(info.description ?? "")}
<p>This page is made from <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1), which also makes typed clients.</p>
${tags.map(
  ({ name, description }) => html`<section><h2>${name}</h2>${markdown(description ?? "")}
${all.filter(({ operation }) => operation.tags.includes(name)).map((entry) => section(document, entry))}</section>`,
)}
<section><h2 id="errors">Errors</h2>${Object.values(components.responses).map((response) => answer(document, response))}</section>
<section><h2 id="headers">Headers</h2>${headerTable(document)}</section>
<section><h2>Schemas</h2>
${Object.entries(components.schemas).map(
  ([
    name,
    schema,
  ]) => html`<h3 id="${Schema.anchor(name)}"><a class="anchor" href="#${Schema.anchor(name)}">${name}</a></h3>
${markdown(schema.description ?? "")}${Schema.table(schema)}`,
)}</section>
</main>
</div>
</body>
</html>
`.text;
}

interface Entry {
  method: string;
  path: string;
  operation: Operation;
}

function operationsOf({ paths }: OpenApi): Entry[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
}

const badge = (method: string) => html`<span class="method ${method}">${method.toUpperCase()}</span>`;

function section(document: OpenApi, { method, path, operation }: Entry): Html {
  const parameters = operation.parameters
    .map((parameter) =>
      "$ref" in parameter ? resolve(document.components.parameters, parameter) : parameter,
    )
    .filter(({ name }) => name !== everywhere);
  const scopes =
    operation.security[0] === undefined ? undefined : Object.values(operation.security[0]).flat();
  const access =
    scopes === undefined
      ? html`No key is needed.`
      : scopes.length === 0
        ? html`Any key.`
        : html`A key with the scope <code>${scopes.join(", ")}</code>.`;
  const errors = Object.entries(operation.responses).filter(([, response]) => "$ref" in response);
  return html`<article>
<h3 id="${operation.operationId}"><a class="anchor" href="#${operation.operationId}">${operation.summary}</a></h3>
<div class="route">${badge(method)} <code>${path}</code></div>
<p class="dim">${access}</p>
${markdown(operation.description ?? "")}
${operation["x-codeSamples"].map(({ source }) => html`<pre><code>${source}</code></pre>`)}
${parameters.length === 0 ? undefined : html`<h4>Parameters</h4>${parameterTable(parameters)}`}
${operation.requestBody === undefined ? undefined : html`<h4>Body</h4>${content(operation.requestBody.content)}`}
${Object.entries(operation.responses).map(([status, response]) =>
  "$ref" in response ? undefined : html`<h4>${status}</h4>${answer(document, response)}`,
)}
<p class="dim">Errors: ${errors.map(([status, response], i) => {
    const { name } = "$ref" in response ? target(response) : { name: "" };
    return html`${i === 0 ? "" : ", "}<a href="#${errorAnchor(name)}">${status}</a>`;
  })}</p>
</article>`;
}

/** Every call takes it: it is told once, under "Headers". */
const everywhere = "X-Request-ID";

function parameterTable(parameters: readonly Parameter[]): Html {
  return html`<div class="scroll"><table><tr><th>Name</th><th>In</th><th>Type</th><th>Description</th></tr>
${parameters.map(
  (
    parameter,
  ) => html`<tr><td><code>${parameter.name}</code>${required(parameter.required)}</td><td>${parameter.in}</td>
<td>${Schema.type(parameter.schema)}</td><td>${inline(parameter.description ?? parameter.schema.description ?? "")}</td></tr>`,
)}</table></div>`;
}

const required = (is: boolean | undefined) =>
  is === true ? html` <span class="must">required</span>` : undefined;
const errorAnchor = (name: string) => `error-${name}`;

function answer(document: OpenApi, response: Response): Html {
  const name = Object.entries(document.components.responses).find(([, shared]) => shared === response)?.[0];
  const names = Object.keys(response.headers ?? {});
  return html`${name === undefined ? undefined : html`<h3 id="${errorAnchor(name)}">${name}</h3>`}${markdown(response.description)}
${names.length === 0 ? undefined : html`<p class="dim">Headers: ${names.map((header, i) => html`${i === 0 ? "" : ", "}<a href="#headers">${header}</a>`)}</p>`}
${response.content === undefined ? undefined : content(response.content)}`;
}

function content(types: Content): Html {
  const parts = Object.entries(types).map(
    ([
      mediaType,
      { schema, examples },
    ]) => html`<p><code>${mediaType}</code> ${Schema.type(schema)}</p>${Schema.inlineTable(schema)}
${Object.values(examples ?? {}).map(
  ({
    summary,
    value,
  }) => html`<details><summary>Example${summary === undefined ? "" : html`: ${inline(summary)}`}</summary>
<pre><code>${JSON.stringify(value, null, 2)}</code></pre></details>`,
)}`,
  );
  return html`${parts}`;
}

function headerTable({ paths, components }: OpenApi): Html {
  const names = new Map<string, string>();
  const responses = [
    ...Object.values(paths).flatMap((methods) =>
      Object.values(methods).flatMap((operation) => Object.values(operation.responses)),
    ),
    ...Object.values(components.responses),
  ];
  for (const response of responses) {
    if ("$ref" in response) continue;
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      names.set(name, resolve(components.headers, header as Ref).description ?? "");
    }
  }
  return html`<h3>Of calls</h3>${parameterTable(Object.values(components.parameters))}
<h3>Of answers</h3><div class="scroll"><table><tr><th>Name</th><th>Description</th></tr>
${[...names].map(([name, text]) => html`<tr><td><code>${name}</code></td><td>${inline(text)}</td></tr>`)}</table></div>`;
}

const target = ({ $ref }: Ref) => ({ name: $ref.slice($ref.lastIndexOf("/") + 1) });

function resolve<T>(components: Record<string, T>, reference: Ref): T {
  const found = components[target(reference).name];
  if (found === undefined) throw new Error(`${reference.$ref} leads nowhere`);
  return found;
}

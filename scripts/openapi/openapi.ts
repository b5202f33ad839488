/**
 * The OpenAPI 3.1 document, made from the route table and from the operations that the functions behind it export.
 * Everything that follows from a route is derived here, so a new route needs only its operation.
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as z from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from "zod-openapi";
import { Embedded } from "#core/einvoice/schema";
import { type Code, codes } from "#core/error";
import * as Mapping from "#core/export/ledger/mapping";
import { Rows } from "#core/reading/rows/schema";
import type { Operation, Operations } from "#functions/request/operation";
import { type FunctionSpec, functions } from "#spec/functions";
import * as Routes from "#spec/routes";
import manifest from "../../package.json" with { type: "json" };
import { Complete } from "./complete.ts";
import { type Examples, examples } from "./examples.ts";
import * as Parts from "./parts.ts";
import * as Polish from "./polish.ts";
import { nameTasks, tellForms, tellUploads } from "./requests.ts";
import { addResults, tellDetails, tellEmbedded } from "./results.ts";
import { samples } from "./samples.ts";
import { PartAnswers } from "./split.ts";
import { webhooks } from "./webhooks.ts";

type Document = ReturnType<typeof createDocument>;

const description = `Photos of receipts and invoices in, JSON checked against a schema out.

**Keys.** Send \`Authorization: Bearer <key>\` or \`X-API-Key: <key>\`. A 401 says in
\`details.reason\` whether the key is missing (\`key_missing\`), was sent in the wrong place (\`key_misplaced\`), or was refused
(\`key_refused\`: unknown, malformed, revoked and expired keys are answered alike).

**Errors.** Everything a function answers has the envelope \`{"error": {code, message, param, request_id, doc_url, details}}\`:
\`message\` says what to change, \`param\` names the field, \`doc_url\` leads to cause and cure. An answer of the API gateway itself has \`{"message"}\` and its own request id (header \`apigw-requestid\`): a body over 10 MB or an
event over 6 MB (413), headers over 10 KB (431), throttling (429), a function that died (500), 30 seconds passed (503).
An unknown path is 404, a wrong method 405 with \`Allow\`. Every GET answers a HEAD.

**Ids.** The same \`request_id\`, or the same \`Idempotency-Key\`, with the same payload gives the same answer without a second
model call; another payload is 409. An error that may be retried is not stored: the same call tries again.

**Times** are ISO 8601 in UTC, durations integers in \`*_ms\`, sizes bytes. Answers may gain fields.`;

/**
 * Loads every function of the route table and describes all routes. @throws Error if a route has no operation, or an
 * operation has no route.
 */
export async function build(): Promise<Document> {
  const document = documentOf(describeRoutes(await loadOperations()));
  const schemas = document.components?.schemas as Record<string, { [keyword: string]: unknown }>;
  tellEmbedded(schemas);
  addResults(schemas);
  tellDetails(schemas);
  nameTasks(schemas);
  tellForms(schemas);
  tellUploads(schemas);
  Polish.plain(document);
  Polish.wordDefaults(schemas);
  return document;
}

interface Described {
  readonly paths: ZodOpenApiPathsObject;
  /** Name → text. */
  readonly tags: ReadonlyMap<string, string>;
  /** The example's error. */
  readonly statuses: ReadonlySet<number>;
}

function describeRoutes(operations: Map<string, Operation>): Described {
  const paths: ZodOpenApiPathsObject = {};
  const tags = new Map<string, string>();
  const statuses = new Set<number>();
  const shown = examples();
  for (const route of Routes.routes as readonly Routes.Route[]) {
    const key = `${route.method} ${route.path}` as Routes.RouteKey;
    const operation = operations.get(key);
    if (operation === undefined) throw new Error(`${key}: functions/api has no operation`);
    operations.delete(key);
    const { tag, description: tagText } = Parts.tagOf(route.path);
    tags.set(tag, tagText);
    const errors = errorStatuses(route, operation);
    for (const status of errors) statuses.add(status);
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: describe(route, operation, { tag, errors, examples: shown[key] ?? {} }),
    };
  }
  const [left] = operations.keys();
  if (left !== undefined) throw new Error(`${left}: spec/routes.ts has no such route`);
  return { paths, tags, statuses };
}

function documentOf({ paths, tags, statuses }: Described): Document {
  return createDocument(
    {
      openapi: "3.1.1",
      info: {
        title: "OCRlty",
        version: manifest.version,
        description,
        license: { name: "MIT", identifier: "MIT" },
        contact: { name: "The operator of this server" },
      },
      servers: [{ url: "/", description: "The server that this document came from." }],
      security: [],
      tags: [...tags].map(([name, text]) => ({ name, description: text })),
      paths,
      webhooks: webhooks(),
      components: {
        // Adds the form of files, which appears in no request, and schemas that functions have only as a type.
        schemas: {
          Embedded,
          Complete,
          Rows,
          PartAnswers,
          DatevMapping: Mapping.Datev,
          XeroMapping: Mapping.Xero,
          QuickbooksMapping: Mapping.Quickbooks,
          BeancountMapping: Mapping.Beancount,
        },
        securitySchemes: {
          bearer: { type: "http", scheme: "bearer", description: "`Authorization: Bearer <key>`" },
          apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
        },
        parameters: Parts.parameters,
        headers: Parts.headers,
        responses: Parts.errorResponses(statuses),
      },
    },
    {
      // Answers may gain fields: a client generated from a closed schema would refuse them.
      override: ({ jsonSchema, zodSchema, io }) => {
        const open = zodSchema instanceof z.ZodObject && zodSchema.def.catchall === undefined;
        if (io === "output" && open) delete jsonSchema.additionalProperties;
      },
    },
  );
}

/** The document as it is committed: indented, LF, in the order of the route table. */
export function serialize(document: Document): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

async function loadOperations(): Promise<Map<string, Operation>> {
  const used = new Set(
    (Routes.routes as readonly Routes.Route[]).map((route) => functions[route.function].handler),
  );
  const found = new Map<string, Operation>();
  for (const handler of used) {
    const file = resolve(import.meta.dirname, "..", "..", `${handler.slice(0, handler.lastIndexOf("."))}.ts`);
    const { operations } = (await import(pathToFileURL(file).href)) as { operations: Operations };
    for (const [key, operation] of Object.entries(operations)) {
      if (found.has(key)) throw new Error(`${key} has two operations`);
      found.set(key, operation);
    }
  }
  return found;
}

/**
 * The error statuses of an operation. They follow from its access (keys, scopes), its input (path, query, body) and the
 * services of its function; every operation has 429 and 500.
 */
function errorStatuses(route: Routes.Route, operation: Operation): number[] {
  const derived: Code[] = ["rate_limited", "internal"];
  if (route.access !== "public") derived.push("unauthorized");
  if (route.access !== "public" && route.access !== "key") derived.push("forbidden");
  if (operation.params !== undefined || route.debugOnly || namesKeys(operation)) derived.push("not_found");
  if (operation.query !== undefined) derived.push("invalid_request");
  if (operation.body !== undefined)
    derived.push("invalid_request", "payload_too_large", "unsupported_media_type");
  if (route.method === "POST") derived.push("conflict");
  const { links }: FunctionSpec = functions[route.function];
  if (route.access !== "public" && links.length > 0) derived.push("storage_unavailable");
  if (asksModel(route)) {
    derived.push("answer_too_long", "inference_failed", "invalid_model_output");
    derived.push("inference_unavailable", "inference_timeout");
  }
  const statuses = [...derived, ...(operation.errors ?? [])].map((code) => codes[code].status);
  // A status that the operation answers itself (503 of /readyz) has its own schema.
  return [...new Set(statuses)]
    .filter((status) => operation.responses[status] === undefined)
    .sort((a, b) => a - b);
}

/** Whether the caller may name another key. */
const namesKeys = ({ query }: Operation) =>
  query instanceof z.ZodObject && Object.hasOwn(query.shape, "key_id");

/** Whether the call creates something that a repeat must not create again. */
const creates = ({ method, path }: Routes.Route) => method === "POST" && !path.endsWith("/cancel");

/** Whether the call itself waits for the model server, and so may take long. */
function asksModel(route: Routes.Route): boolean {
  const spec: FunctionSpec = functions[route.function];
  return spec.asksModel === true;
}

interface Derived {
  tag: string;
  errors: readonly number[];
  examples: Examples;
}

function describe(route: Routes.Route, operation: Operation, derived: Derived): ZodOpenApiOperationObject {
  const scopes = route.access === "public" || route.access === "key" ? [] : [route.access];
  const { params, query, body, description: text } = operation;
  return {
    operationId: operationId(route),
    tags: [derived.tag],
    summary: operation.summary,
    ...(text === undefined ? {} : { description: text }),
    security: route.access === "public" ? [] : [{ bearer: scopes }, { apiKey: scopes }],
    requestParams: {
      ...(params === undefined ? {} : { path: params as z.ZodObject }),
      ...(query === undefined ? {} : { query: query as z.ZodObject }),
    },
    parameters: [
      Parts.ref("parameters", "XRequestId"),
      ...(creates(route) ? [Parts.ref("parameters", "IdempotencyKey")] : []),
      ...(asksModel(route) ? [Parts.ref("parameters", "Prefer")] : []),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: {
              [bodyType(operation)]: { schema: body, ...example(derived.examples.request) },
              ...Object.fromEntries(
                Object.entries(operation.doors?.types ?? {}).map(([type, schema]) => [type, { schema }]),
              ),
            },
          },
        }),
    "x-codeSamples": samples(route, operation, derived.examples),
    responses: {
      ...Object.fromEntries(
        Object.entries(operation.responses).map(([status, response]) => [
          status,
          {
            description: response.description,
            headers: responseHeaders(route, Number(status)),
            ...(response.schema === undefined
              ? {}
              : {
                  content: {
                    [mediaType(response.contentType)]: {
                      schema: response.schema,
                      ...example(derived.examples.responses?.[Number(status)]),
                    },
                    ...Object.fromEntries(
                      Object.entries(response.others ?? {}).map(([type, schema]) => [type, { schema }]),
                    ),
                  },
                }),
          },
        ]),
      ),
      ...Object.fromEntries(derived.errors.map((status) => [status, Parts.errorRef(status)])),
      default: Parts.ref("responses", "Gateway"),
    },
  };
}

const bodyType = ({ bodyAs }: Operation) =>
  bodyAs === "multipart" ? "multipart/form-data" : "application/json";

const example = (value: unknown) => (value === undefined ? {} : { examples: { example: { value } } });

const mediaType = (contentType = "application/json") => contentType.split(";")[0] ?? contentType;

function responseHeaders(route: Routes.Route, status: number) {
  return {
    "X-Request-ID": Parts.ref("headers", "XRequestId"),
    ...(status === 201 || status === 202 || status === 303
      ? { Location: Parts.ref("headers", "Location") }
      : {}),
    ...(status === 202 || status === 503 ? { "Retry-After": Parts.ref("headers", "RetryAfter") } : {}),
    ...(route.access === "public" || status === 303
      ? {}
      : {
          RateLimit: Parts.ref("headers", "RateLimit"),
          "RateLimit-Policy": Parts.ref("headers", "RateLimitPolicy"),
        }),
    ...(asksModel(route) && status < 300
      ? { "Preference-Applied": Parts.ref("headers", "PreferenceApplied") }
      : {}),
    ...(route.path === "/v1/runs/{run_id}/results" && status < 400
      ? { "X-Left-Out": Parts.ref("headers", "XLeftOut"), "X-Notes": Parts.ref("headers", "XNotes") }
      : {}),
    ...(creates(route) && status < 300
      ? { "Idempotent-Replayed": Parts.ref("headers", "IdempotentReplayed") }
      : {}),
  };
}

/**
 * A name for generated clients, derived only from method and path, so that it never changes: listTasks, getTask,
 * extract, cancelRun. A collection's GET lists, its POST creates; the last word of another POST is the verb.
 */
export function operationId({ method, path }: Pick<Routes.Route, "method" | "path">): string {
  if (path === "/") return `${method.toLowerCase()}Root`;
  const segments = path.split("/").slice(path.startsWith("/v1/") ? 2 : 1);
  const words = segments.map((segment, i) => {
    const isOne = segments[i + 1]?.startsWith("{") === true;
    return segment.startsWith("{") ? "" : pascal(isOne ? singular(segment) : segment);
  });
  const last = segments.at(-1) ?? "";
  const isCollection = last.endsWith("s") && segments.length > 0 && path.startsWith("/v1/");
  if (method === "GET") return `${isCollection ? "list" : "get"}${words.join("")}`;
  if (method !== "POST") return `${method.toLowerCase()}${words.join("")}`;
  if (isCollection) return `create${words.slice(0, -1).join("")}${pascal(singular(last))}`;
  const verb = words.at(-1) ?? "";
  return `${verb.charAt(0).toLowerCase()}${verb.slice(1)}${words.slice(0, -1).join("")}`;
}

const singular = (word: string) => word.replace(/s$/, "");
const pascal = (segment: string) =>
  segment
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");

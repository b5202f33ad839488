/** Every call of the API, in order. The order matters when a case needs the result of an earlier one. */
import * as z from "zod";
import * as Routes from "#spec/routes";
import { batches } from "./batches.ts";
import type { Bench, Case } from "./case.ts";
import { deletions } from "./deletions.ts";
import { evals } from "./evals.ts";
import { extract, idOf, refusals, uploads, withoutExtract } from "./extracts.ts";
import { groundTruths } from "./ground-truths.ts";
import { cases as modelServer } from "./model-server.ts";

const withoutKeys = (bench: Bench) => (bench.authEnabled ? undefined : "the server asks for no keys");
const withoutDebug = (bench: Bench) => {
  if (!bench.debugMode) return "DEBUG_MODE is off there";
  return bench.scopes.includes("debug:read_raw") ? undefined : "the key lacks debug:read_raw";
};

const refused = {
  status: 401,
  code: "unauthorized",
  headers: { "www-authenticate": /^Bearer$/ },
} as const;

const system: Case[] = [
  {
    name: "where everything is",
    route: "GET /",
    as: "nobody",
    request: () => ({ path: "/" }),
    wants: { status: 200, body: z.looseObject({ docs_url: z.url(), openapi_url: z.url() }) },
  },
  {
    name: "a trailing slash",
    route: "GET /docs",
    as: "nobody",
    request: () => ({ path: "/docs/" }),
    wants: { status: 308, headers: { location: /^\/docs$/ } },
  },
  {
    name: "health, without a key",
    route: "GET /health",
    as: "nobody",
    request: () => ({ path: "/health" }),
    wants: {
      status: 200,
      body: z.looseObject({ ok: z.literal(true), version: z.string(), model: z.string() }),
    },
  },
  {
    name: "security headers",
    route: "GET /health",
    as: "nobody",
    request: () => ({ path: "/health" }),
    wants: {
      status: 200,
      headers: {
        "x-content-type-options": /^nosniff$/,
        "strict-transport-security": /max-age=\d+/,
        "permissions-policy": null,
        "x-powered-by": null,
      },
    },
  },
  {
    name: "a HEAD has the headers of its GET",
    route: "GET /openapi.json",
    as: "nobody",
    request: () => ({ method: "HEAD", path: "/openapi.json" }),
    wants: { status: 200, headers: { "content-type": /^application\/json/, "x-request-id": /./ } },
  },
  {
    name: "readyz, without a key: no details",
    route: "GET /readyz",
    as: "nobody",
    skip: withoutKeys,
    request: () => ({ path: "/readyz" }),
    wants: { status: 200, body: z.strictObject({ ok: z.literal(true) }) },
  },
  {
    name: "readyz",
    route: "GET /readyz",
    request: () => ({ path: "/readyz" }),
    wants: {
      status: 200,
      body: z.looseObject({
        ok: z.literal(true),
        checks: z.record(z.string(), z.looseObject({ ok: z.literal(true) })),
      }),
    },
  },
  {
    name: "openapi.json",
    route: "GET /openapi.json",
    as: "nobody",
    request: () => ({ path: "/openapi.json" }),
    wants: {
      status: 200,
      body: z.looseObject({ openapi: z.string().startsWith("3.1"), paths: z.looseObject({}) }),
    },
  },
  {
    name: "docs page",
    route: "GET /docs",
    as: "nobody",
    request: () => ({ path: "/docs" }),
    wants: {
      status: 200,
      headers: { "content-type": /^text\/html/, "x-frame-options": /DENY|SAMEORIGIN/ },
    },
    keep: (answer, bench) => bench.kept.set("docs", answer),
  },
  {
    name: "what the docs page loads",
    route: "GET /docs/assets/{asset}",
    as: "nobody",
    request: ({ kept }) => ({
      path:
        /"(\/docs\/assets\/[a-z]+-[0-9a-f]+\.css)"/.exec(kept.get("docs")?.text ?? "")?.[1] ??
        "/docs/assets/none",
    }),
    wants: { status: 200, headers: { "content-type": /^text\/css/, "cache-control": /immutable/ } },
  },
  {
    name: "a guide as Markdown",
    route: "GET /docs/{page}",
    as: "nobody",
    request: () => ({ path: "/docs/quickstart.md" }),
    wants: { status: 200, headers: { "content-type": /^text\/markdown/, "x-frame-options": null } },
  },
  {
    name: "llms.txt",
    route: "GET /llms.txt",
    as: "nobody",
    request: () => ({ path: "/llms.txt" }),
    wants: { status: 200, headers: { "content-type": /^text\/plain/ } },
  },
];

const keys: Case[] = [
  {
    name: "me",
    route: "GET /v1/me",
    request: () => ({ path: "/v1/me" }),
    wants: {
      status: 200,
      body: z.object({ key_id: z.string(), role: z.string(), scopes: z.array(z.string()) }),
    },
    keep: (answer, bench) => {
      bench.kept.set("me", answer);
      bench.scopes = z.object({ scopes: z.array(z.string()) }).safeParse(answer.json).data?.scopes ?? [];
    },
  },
  {
    name: "no key",
    route: "GET /v1/me",
    as: "nobody",
    skip: withoutKeys,
    request: () => ({ path: "/v1/me" }),
    wants: refused,
  },
  {
    name: "a malformed key",
    route: "GET /v1/me",
    as: "not-a-key",
    skip: withoutKeys,
    request: () => ({ path: "/v1/me" }),
    wants: refused,
  },
  {
    name: "an unknown key",
    route: "GET /v1/me",
    as: `ocrlty_00000000_${"A".repeat(43)}`,
    skip: withoutKeys,
    request: () => ({ path: "/v1/me" }),
    wants: refused,
  },
  {
    name: "an unknown key as X-API-Key",
    route: "GET /v1/me",
    as: "nobody",
    skip: withoutKeys,
    request: () => ({ path: "/v1/me", headers: { "x-api-key": `ocrlty_00000000_${"A".repeat(43)}` } }),
    wants: refused,
  },
  {
    name: "X-Request-ID comes back",
    route: "GET /v1/me",
    request: (bench) => ({ path: "/v1/me", headers: { "x-request-id": `smoke-${bench.run}-header` } }),
    wants: {
      status: 200,
      also: (answer, bench) =>
        answer.headers.get("x-request-id") === `smoke-${bench.run}-header`
          ? undefined
          : "another X-Request-ID came back",
    },
  },
  {
    name: "a bad X-Request-ID is replaced",
    route: "GET /v1/me",
    request: () => ({ path: "/v1/me", headers: { "x-request-id": "../../etc/passwd" } }),
    wants: { status: 200, headers: { "x-request-id": /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/ } },
  },
];

const tasks: Case[] = [
  {
    name: "tasks",
    route: "GET /v1/tasks",
    request: () => ({ path: "/v1/tasks" }),
    wants: {
      status: 200,
      body: z.looseObject({
        items: z.array(z.looseObject({ task_id: z.string(), schema_sha256: z.string() })).min(1),
      }),
    },
  },
  {
    name: "one task",
    route: "GET /v1/tasks/{task_id}",
    request: () => ({ path: "/v1/tasks/receipt_fields_v1" }),
    wants: {
      status: 200,
      body: z.looseObject({ schema: z.looseObject({}), fields: z.array(z.unknown()).min(1) }),
    },
  },
  {
    name: "a later version of it",
    route: "GET /v1/tasks/{task_id}",
    request: () => ({ path: "/v1/tasks/receipt_fields_v2" }),
    wants: {
      status: 200,
      body: z.looseObject({ schema: z.looseObject({}), fields: z.array(z.unknown()).min(1) }),
    },
  },
  {
    name: "an unknown task",
    route: "GET /v1/tasks/{task_id}",
    request: () => ({ path: "/v1/tasks/no_such_task" }),
    wants: { status: 404, code: "not_found" },
  },
];

const debug: Case[] = [
  {
    name: "debug: artifacts, newest first",
    route: "GET /v1/debug/artifacts",
    skip: withoutDebug,
    request: () => ({ path: "/v1/debug/artifacts?limit=5" }),
    wants: {
      status: 200,
      body: z.looseObject({ items: z.array(z.looseObject({})), next_cursor: z.string().nullable() }),
    },
  },
  {
    name: "debug: one artifact",
    route: "GET /v1/debug/artifacts/{request_id}",
    skip: (bench) => withoutDebug(bench) ?? withoutExtract(bench),
    request: (bench) => ({ path: `/v1/debug/artifacts/${idOf(bench)}` }),
    wants: { status: 200, body: z.looseObject({ request_id: z.string(), code_version: z.string() }) },
  },
  {
    name: "debug: the model's raw text",
    route: "GET /v1/debug/artifacts/{request_id}/raw",
    skip: (bench) => withoutDebug(bench) ?? withoutExtract(bench),
    request: (bench) => ({
      path: `/v1/debug/artifacts/${idOf(bench)}/raw`,
      headers: { accept: "text/plain" },
    }),
    wants: { status: 200, headers: { "content-type": /^text\/plain/ } },
  },
  {
    name: "debug: backup of today",
    route: "GET /v1/debug/artifacts/backup.tar.gz",
    skip: withoutDebug,
    request: () => {
      const day = new Date().toISOString().slice(0, 10);
      return { path: `/v1/debug/artifacts/backup.tar.gz?kind=extracts&from=${day}&to=${day}` };
    },
    // Bytes, their address, or "in progress", depending on the amount.
    wants: { status: [200, 202] },
  },
];

const withoutPod = (bench: Bench) =>
  bench.scopes.includes("admin:pod") ? undefined : "the key lacks admin:pod";

/** No order: a smoke test starts and stops no GPU. */
const pod: Case[] = [
  {
    name: "the managed pod",
    route: "GET /v1/admin/pod",
    skip: withoutPod,
    request: () => ({ path: "/v1/admin/pod" }),
    // 409: POD_MANAGER is off.
    wants: { status: [200, 409] },
  },
  {
    name: "no pod's id",
    route: "PUT /v1/admin/pod",
    skip: withoutPod,
    request: () => ({ method: "PUT", path: "/v1/admin/pod", body: { pod_id: "../secrets" } }),
    wants: { status: 400, code: "invalid_request" },
  },
  {
    name: "a start without a key",
    route: "POST /v1/admin/pod/start",
    as: "nobody",
    skip: withoutKeys,
    request: () => ({ method: "POST", path: "/v1/admin/pod/start" }),
    wants: refused,
  },
  {
    name: "a stop without a key",
    route: "POST /v1/admin/pod/stop",
    as: "nobody",
    skip: withoutKeys,
    request: () => ({ method: "POST", path: "/v1/admin/pod/stop" }),
    wants: refused,
  },
];

const written: readonly Case[] = [
  ...system,
  ...keys,
  ...tasks,
  ...extract,
  ...uploads,
  ...deletions,
  ...batches,
  ...groundTruths,
  ...evals,
  ...refusals,
  ...debug,
  ...pod,
  ...modelServer,
];

/** A GET without parameters and without a case is called once and must succeed. */
const derived: readonly Case[] = Routes.routes
  .map(({ method, path }) => ({ path, route: `${method} ${path}` as Case["route"] }))
  .filter(({ path, route }) => route.startsWith("GET ") && !path.includes("{"))
  .filter(({ route }) => !written.some((item) => item.route === route))
  .map(({ path, route }) => ({ name: "answers", route, request: () => ({ path }), wants: { status: 200 } }));

export const cases: readonly Case[] = [...written, ...derived];

/** Every call of the API, in the order they are made. The order matters where a case needs what an earlier one left. */
import * as z from "zod";
import type { Answer } from "#scripts/client";
import type { Bench, Case } from "#scripts/smoke/case";

const post = (body: unknown, headers: Record<string, string> = {}) => ({
  method: "POST" as const,
  path: "/v1/extract",
  body,
  headers,
});
const picture = (bench: Bench) => bench.picture.toString("base64");
const idOf = (bench: Bench) => `smoke-${bench.run}`;
const resultOf = (answer: Answer | undefined) =>
  JSON.stringify(z.looseObject({ result: z.unknown() }).safeParse(answer?.json).data?.result);

const ErrorBody = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    request_id: z.string(),
    details: z.looseObject({}),
  }),
});
const Extract = z.looseObject({
  request_id: z.string(),
  status: z.literal("succeeded"),
  result: z.looseObject({}),
  schema_ok: z.literal(true),
  artifact_rel: z.string().regex(/^extracts\/\d{4}-\d{2}-\d{2}\/[^/]+\/[^/]+\.json$/),
});
/** Bodies that must get a 400 that names the field. */
const issueAt = (path: string) => (answer: Answer) => {
  const issues = z
    .object({ error: z.object({ details: z.object({ issues: z.array(z.object({ path: z.string() })) }) }) })
    .safeParse(answer.json).data?.error.details.issues;
  return issues?.some((issue) => issue.path === path) ? undefined : `details.issues does not name ${path}`;
};

const withoutKeys = (bench: Bench) => (bench.authEnabled ? undefined : "the server asks for no keys");
const withoutDebug = (bench: Bench) => {
  if (!bench.debugMode) return "DEBUG_MODE is off there";
  return bench.scopes.includes("debug:read_raw") ? undefined : "the key lacks debug:read_raw";
};
const withoutExtract = (bench: Bench) =>
  bench.kept.has("extract") ? undefined : "the extract before failed";

const refused = {
  status: 401,
  code: "unauthorized",
  headers: { "www-authenticate": /^Bearer$/ },
} as const;

const system: Case[] = [
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
        "x-frame-options": /DENY|SAMEORIGIN/,
        "x-powered-by": null,
      },
    },
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
    wants: { status: 200, headers: { "content-type": /^text\/html/ } },
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
    name: "an unknown task",
    route: "GET /v1/tasks/{task_id}",
    request: () => ({ path: "/v1/tasks/no_such_task" }),
    wants: { status: 404, code: "not_found" },
  },
];

const extract: Case[] = [
  {
    name: "extract",
    route: "POST /v1/extract",
    request: (bench) => post({ request_id: idOf(bench), image_base64: picture(bench) }),
    wants: { status: 200, body: Extract, settles: true },
    keep: (answer, bench) => bench.kept.set("extract", answer),
  },
  {
    name: "the same again is replayed",
    route: "POST /v1/extract",
    skip: withoutExtract,
    request: (bench) => post({ request_id: idOf(bench), image_base64: picture(bench) }),
    wants: {
      status: 200,
      headers: { "idempotent-replayed": /^true$/ },
      also: (answer, bench) =>
        resultOf(answer) === resultOf(bench.kept.get("extract")) ? undefined : "the result is another one",
    },
  },
  {
    name: "the same id with another payload",
    route: "POST /v1/extract",
    skip: withoutExtract,
    request: (bench) =>
      post({ request_id: idOf(bench), image_base64: picture(bench), task_id: "payment_v1" }),
    wants: { status: 409, code: "conflict" },
  },
  {
    name: "the extract as stored",
    route: "GET /v1/extracts/{request_id}",
    skip: withoutExtract,
    request: (bench) => ({ path: `/v1/extracts/${idOf(bench)}` }),
    wants: {
      status: 200,
      body: Extract,
      also: (answer, bench) =>
        resultOf(answer) === resultOf(bench.kept.get("extract")) ? undefined : "the result is another one",
    },
  },
  {
    name: "respond-async: 202, then the answer",
    route: "POST /v1/extract",
    request: (bench) =>
      post({ request_id: `${idOf(bench)}-async`, image_base64: picture(bench) }, { prefer: "respond-async" }),
    wants: {
      status: 202,
      headers: { location: /\/v1\/extracts\//, "retry-after": /^\d+$/ },
      body: z.looseObject({ status: z.literal("running"), poll_url: z.string() }),
    },
  },
  {
    name: "what respond-async left",
    route: "GET /v1/extracts/{request_id}",
    request: (bench) => ({ path: `/v1/extracts/${idOf(bench)}-async` }),
    wants: { status: 200, body: Extract, settles: true },
  },
  {
    name: "an unknown extract",
    route: "GET /v1/extracts/{request_id}",
    request: (bench) => ({ path: `/v1/extracts/${idOf(bench)}-unknown` }),
    wants: { status: 404, code: "not_found" },
  },
];

const Upload = z.object({
  image_ref: z.string(),
  upload_url: z.url(),
  method: z.literal("PUT"),
  headers: z.record(z.string(), z.string()),
});
const uploadOf = (bench: Bench) => Upload.parse(bench.kept.get("upload")?.json);
const withoutUpload = (bench: Bench) => (bench.kept.has("upload") ? undefined : "nothing was announced");
const put = (bench: Bench) => {
  // The length is set by the client from the body.
  const { "Content-Length": _, ...headers } = uploadOf(bench).headers;
  return { method: "PUT" as const, path: "/", rawBody: new Uint8Array(bench.picture), headers };
};
const mimeTypeOf = ({ picture }: Bench) =>
  picture[0] === 0x89
    ? "image/png"
    : picture.toString("latin1", 0, 4) === "RIFF"
      ? "image/webp"
      : "image/jpeg";

const uploads: Case[] = [
  {
    name: "announce an upload",
    route: "POST /v1/uploads",
    request: (bench) => ({
      method: "POST",
      path: "/v1/uploads",
      body: { mime_type: mimeTypeOf(bench), bytes: bench.picture.length },
    }),
    wants: { status: 201, body: Upload },
    keep: (answer, bench) => bench.kept.set("upload", answer),
  },
  {
    name: "put it into the bucket",
    route: "POST /v1/uploads",
    skip: withoutUpload,
    elsewhere: (bench) => uploadOf(bench).upload_url,
    request: put,
    wants: { status: 200 },
  },
  {
    name: "put another one there",
    route: "POST /v1/uploads",
    skip: withoutUpload,
    elsewhere: (bench) => uploadOf(bench).upload_url,
    request: put,
    wants: { status: 412 },
  },
  {
    name: "extract what was uploaded",
    route: "POST /v1/extract",
    skip: withoutUpload,
    request: (bench) => post({ request_id: `${idOf(bench)}-upload`, image_ref: uploadOf(bench).image_ref }),
    wants: { status: 200, body: Extract, settles: true },
  },
  {
    name: "an upload that nobody announced",
    route: "POST /v1/extract",
    request: () => post({ image_ref: "nobody-announced-this" }),
    wants: { status: [400, 404] },
  },
  {
    name: "announce what is no picture",
    route: "POST /v1/uploads",
    request: () => ({ method: "POST", path: "/v1/uploads", body: { mime_type: "image/svg+xml", bytes: 10 } }),
    wants: { status: [400, 415] },
  },
];

/** A start that says JPEG and nothing behind it. */
const brokenJpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 74, 70, 73, 70, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0]);
const inlineTooLarge = Math.round(4.2 * 1024 * 1024);
const eventTooLarge = 7 * 1024 * 1024;

const refusals: Case[] = [
  {
    name: "no body",
    route: "POST /v1/extract",
    request: () => ({ method: "POST", path: "/v1/extract", headers: { "content-type": "application/json" } }),
    wants: { status: 400, code: "invalid_request" },
  },
  {
    name: "broken JSON",
    route: "POST /v1/extract",
    request: () => ({
      method: "POST",
      path: "/v1/extract",
      rawBody: '{"task_id": ',
      headers: { "content-type": "application/json" },
    }),
    wants: { status: 400, code: "invalid_request" },
  },
  {
    name: "a body that is not sent as JSON",
    route: "POST /v1/extract",
    request: () => ({
      method: "POST",
      path: "/v1/extract",
      rawBody: "total=1",
      headers: { "content-type": "text/plain" },
    }),
    wants: { status: 415, code: "unsupported_media_type" },
  },
  {
    name: "no picture",
    route: "POST /v1/extract",
    request: () => post({ task_id: "receipt_fields_v1" }),
    wants: { status: 400, code: "invalid_request" },
  },
  {
    name: "an unknown field",
    route: "POST /v1/extract",
    request: (bench) => post({ image_base64: picture(bench), colour: "red" }),
    wants: { status: 400, code: "invalid_request", also: issueAt("colour") },
  },
  {
    name: "an unknown task",
    route: "POST /v1/extract",
    request: (bench) => post({ image_base64: picture(bench), task_id: "no_such_task" }),
    wants: { status: 400, code: "invalid_request", also: issueAt("task_id") },
  },
  {
    name: "an id that is none",
    route: "POST /v1/extract",
    request: (bench) => post({ image_base64: picture(bench), request_id: "../x" }),
    wants: { status: 400, code: "invalid_request_id" },
  },
  {
    name: "text instead of base64",
    route: "POST /v1/extract",
    request: () => post({ image_base64: "this is *not* base64!" }),
    wants: { status: 400, code: ["invalid_request", "invalid_image"] },
  },
  {
    name: "a text file instead of a picture",
    route: "POST /v1/extract",
    request: () => post({ image_base64: Buffer.from("Total 12.00\n".repeat(20)).toString("base64") }),
    wants: { status: 415, code: "unsupported_media_type" },
  },
  {
    name: "a JPEG without a picture in it",
    route: "POST /v1/extract",
    request: () => post({ image_base64: brokenJpeg.toString("base64") }),
    wants: { status: 400, code: "invalid_image" },
  },
  {
    name: "a picture over 4 MB: our 413",
    route: "POST /v1/extract",
    request: () =>
      post({ image_base64: Buffer.concat([brokenJpeg, Buffer.alloc(inlineTooLarge)]).toString("base64") }),
    wants: { status: 413, code: ["image_too_large", "payload_too_large"] },
  },
  {
    name: "a body over 6 MB: the gateway's 413",
    route: "POST /v1/extract",
    request: () => post({ image_base64: "A".repeat(eventTooLarge) }),
    wants: { status: 413, body: z.union([z.object({ message: z.string() }), ErrorBody]) },
  },
  {
    name: "an unknown path",
    route: "$default",
    request: () => ({ path: "/v1/nothing" }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "a wrong method",
    route: "$default",
    request: () => ({ method: "DELETE", path: "/v1/me" }),
    wants: { status: 405, code: "method_not_allowed", headers: { allow: /GET/ } },
  },
  {
    name: "preflight from a stranger's page",
    route: "$default",
    as: "nobody",
    request: () => ({
      method: "OPTIONS",
      path: "/v1/extract",
      headers: { origin: "https://stranger.example", "access-control-request-method": "POST" },
    }),
    wants: { status: 204, headers: { "access-control-allow-origin": null } },
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
    // Bytes, an address of them, or "being made": which one depends on how much there is.
    wants: { status: [200, 202] },
  },
];

export const cases: readonly Case[] = [
  ...system,
  ...keys,
  ...tasks,
  ...extract,
  ...uploads,
  ...refusals,
  ...debug,
];

/** Every error answer has the shape of API.md, and the same id in header and body. */
export function errorShape(answer: Answer): string | undefined {
  const body = ErrorBody.safeParse(answer.json);
  if (!body.success) return "the error does not have the shape of the contract";
  return body.data.error.request_id === answer.headers.get("x-request-id")
    ? undefined
    : "X-Request-ID differs from the body's";
}

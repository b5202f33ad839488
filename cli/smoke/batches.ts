/** Cases for batches: sources, polling, results, reruns, cancel and delete, and refused calls. */
import { createHash } from "node:crypto";
import * as z from "zod";
import type { Answer } from "#cli/server/answer";
import type { RouteKey } from "#spec/routes";
import type { Bench, Case } from "./case.ts";
import { form, issueAt, mimeTypeOf } from "./extracts.ts";

const idOf = (bench: Bench, what = "run") => `smoke-${bench.run}-${what}`;
const post = (path: string, body: unknown) => ({ method: "POST" as const, path, body });
const needs = (what: string) => (bench: Bench) =>
  bench.kept.has(what) ? undefined : `what it needs failed before (${what})`;
const keep = (what: string) => (answer: Answer, bench: Bench) => {
  bench.kept.set(what, answer);
};
const withoutDelete = (bench: Bench) =>
  bench.scopes.includes("runs:delete") ? undefined : "the key lacks runs:delete";

const counts = z.looseObject({ total: z.int(), succeeded: z.int(), failed: z.int(), canceled: z.int() });
const Run = z.looseObject({ run_id: z.string(), status: z.string(), counts, poll_url: z.string() });
const statusOf = (answer: Answer) => Run.safeParse(answer.json).data?.status;
const hasEnded = (answer: Answer) => ["succeeded", "failed", "canceled"].includes(statusOf(answer) ?? "");
const allSucceeded = (total: number) =>
  Run.extend({
    status: z.literal("succeeded"),
    counts: z.looseObject({ total: z.literal(total), succeeded: z.literal(total), failed: z.literal(0) }),
  });

/** Waits for a run's end. */
const end = (name: string, what: string, body: z.ZodType): Case => ({
  name,
  route: "GET /v1/runs/{run_id}",
  skip: needs(what),
  request: (bench) => ({ path: `/v1/runs/${idOf(bench, what)}` }),
  wants: { status: 200, body, until: hasEnded },
  keep: keep(`${what} ended`),
});

const Announced = z.looseObject({
  image_ref: z.string().optional(),
  image_key: z.string().optional(),
  upload_url: z.url(),
  headers: z.record(z.string(), z.string()),
});
const announced = (bench: Bench, what: string) => Announced.parse(bench.kept.get(what)?.json);

/** Uploads a picture: announces it, then puts it. */
const upload = (
  name: string,
  what: string,
  more: (bench: Bench) => object,
  { mayBeThere } = { mayBeThere: false },
): Case[] => [
  {
    name: `announce ${name}`,
    route: "POST /v1/uploads",
    request: (bench) =>
      post("/v1/uploads", {
        mime_type: mimeTypeOf(bench),
        bytes: bench.picture.length,
        ...more(bench),
      }),
    wants: { status: 201, body: Announced },
    keep: keep(`${what} announced`),
  },
  {
    name: `put ${name}`,
    route: "POST /v1/uploads",
    skip: needs(`${what} announced`),
    elsewhere: (bench) => announced(bench, `${what} announced`).upload_url,
    request: (bench) => {
      const { "Content-Length": _, ...headers } = announced(bench, `${what} announced`).headers;
      return { method: "PUT", path: "/", rawBody: new Uint8Array(bench.picture), headers };
    },
    wants: { status: mayBeThere ? [200, 412] : 200 },
    keep: keep(what),
  },
];

/** If the smoke test is interrupted, what it made is removed after this time. */
const expiresAfterS = 86_400;
const manifestOf = (bench: Bench) => ({
  run_id: idOf(bench),
  expires_after: expiresAfterS,
  concurrency: 2,
  persist_inputs: true,
  manifest: [
    { custom_id: "a", file: "a.jpg", image_ref: announced(bench, "picture announced").image_ref },
    { custom_id: "b", file: "b.jpg", image_key: announced(bench, "data announced").image_key },
  ],
});
const uploaded = (bench: Bench) => needs("picture")(bench) ?? needs("data")(bench);
const keyIdOf = (bench: Bench) =>
  z.object({ key_id: z.string() }).safeParse(bench.kept.get("me")?.json).data?.key_id ?? "unknown";

const Items = z.looseObject({
  items: z
    .array(
      z.looseObject({
        index: z.int(),
        custom_id: z.string(),
        status: z.literal("succeeded"),
        request_id: z.string().regex(/~\d+$/),
        result: z.looseObject({}),
        schema_ok: z.literal(true),
      }),
    )
    .length(2),
});

const results = (format: string, check: (answer: Answer) => boolean): Case => ({
  name: `results as ${format}`,
  route: "GET /v1/runs/{run_id}/results",
  skip: needs("run ended"),
  request: (bench) => ({ path: `/v1/runs/${idOf(bench)}/results?format=${format}` }),
  wants: { status: 200, also: (answer) => (check(answer) ? undefined : "these are not the run's two items") },
});
const linesOf = (answer: Answer) => answer.text.trim().split("\n");

const runs: Case[] = [
  ...upload("a picture for a batch", "picture", () => ({ file: "a.jpg" })),
  ...upload(
    "a picture under the data root",
    "data",
    (bench) => ({
      kind: "data",
      // Always the same key, because only operators can remove the object.
      path: `smoke/${createHash("sha256").update(bench.picture).digest("hex").slice(0, 12)}.jpg`,
    }),
    { mayBeThere: true },
  ),
  {
    name: "batch of a manifest",
    route: "POST /v1/batch_extract",
    skip: uploaded,
    request: (bench) => post("/v1/batch_extract", manifestOf(bench)),
    wants: {
      status: 202,
      body: Run.extend({ expires_after: z.literal(expiresAfterS) }),
      headers: { location: /\/v1\/runs\// },
    },
    keep: keep("run"),
  },
  {
    name: "the same again is replayed",
    route: "POST /v1/batch_extract",
    skip: needs("run"),
    request: (bench) => post("/v1/batch_extract", manifestOf(bench)),
    wants: { status: 202, body: Run, headers: { "idempotent-replayed": /^true$/ } },
  },
  {
    name: "the same run_id with another payload",
    route: "POST /v1/batch_extract",
    skip: needs("run"),
    request: (bench) => post("/v1/batch_extract", { ...manifestOf(bench), concurrency: 3 }),
    wants: { status: 409, code: "conflict" },
  },
  {
    name: "a rerun of a run that goes on",
    route: "POST /v1/batch_extract_rerun",
    skip: needs("run"),
    request: (bench) => post("/v1/batch_extract_rerun", { source_run_id: idOf(bench), only: "failed" }),
    wants: { status: 409, code: "conflict" },
  },
  end("the run to its end", "run", allSucceeded(2)),
  {
    name: "runs, newest first",
    route: "GET /v1/runs",
    skip: needs("run"),
    request: () => ({ path: "/v1/runs?limit=5" }),
    wants: {
      status: 200,
      body: z.looseObject({ items: z.array(Run).min(1), next_cursor: z.string().nullable() }),
    },
  },
  {
    name: "items",
    route: "GET /v1/runs/{run_id}/items",
    skip: needs("run ended"),
    request: (bench) => ({ path: `/v1/runs/${idOf(bench)}/items?status=succeeded` }),
    wants: { status: 200, body: Items },
  },
  results("json", (answer) => Items.safeParse(answer.json).success),
  results("jsonl", (answer) => linesOf(answer).every((line) => line.includes('"status":"succeeded"'))),
  // A reader of text removes the byte order mark.
  results("csv&dialect=semicolon&bom=1", (answer) =>
    answer.text.replace(/^\ufeff/, "").startsWith("index;custom_id;"),
  ),
  results("csv&values=canonical", (answer) => linesOf(answer)[0]?.includes(",total_value,") === true),
  // A ZIP package. Its bytes are no text, so only the beginning can be compared here.
  results("xlsx", (answer) => answer.text.startsWith("PK")),
  results("csv", (answer) => {
    const [head, ...rows] = linesOf(answer);
    return head?.startsWith("index,custom_id,file,status,") === true && rows.length === 2;
  }),
  {
    name: "rerun of all",
    route: "POST /v1/batch_extract_rerun",
    skip: needs("run ended"),
    request: (bench) =>
      post("/v1/batch_extract_rerun", {
        source_run_id: idOf(bench),
        run_id: idOf(bench, "rerun"),
        task_id: "payment_v1",
        only: "all",
      }),
    wants: { status: 202, body: Run },
    keep: keep("rerun"),
  },
  end("the rerun to its end", "rerun", allSucceeded(2)),
  {
    name: "batch of a folder",
    route: "POST /v1/batch_extract",
    skip: needs("data"),
    request: (bench) =>
      post("/v1/batch_extract", {
        run_id: idOf(bench, "dir"),
        images_dir: `${keyIdOf(bench)}/smoke`,
      }),
    wants: { status: 202, body: Run.extend({ skipped: z.object({ count: z.literal(0) }) }) },
    keep: keep("dir"),
  },
  {
    name: "cancel it",
    route: "POST /v1/runs/{run_id}/cancel",
    skip: needs("dir"),
    request: (bench) => ({ method: "POST", path: `/v1/runs/${idOf(bench, "dir")}/cancel` }),
    wants: { status: 202, body: Run },
  },
  end("the canceled run to its end", "dir", Run.extend({ status: z.enum(["canceled", "succeeded"]) })),
];

const forms: Case[] = [
  {
    name: "batch of a form",
    route: "POST /v1/batch_extract_upload",
    request: (bench) =>
      form(bench, "/v1/batch_extract_upload", { run_id: idOf(bench, "form"), concurrency: "1" }, "files"),
    wants: { status: 202, body: Run },
    keep: keep("form"),
  },
  end("the form's run to its end", "form", allSucceeded(1)),
  {
    name: "a rerun without its pictures",
    route: "POST /v1/batch_extract_rerun",
    skip: needs("form ended"),
    request: (bench) => post("/v1/batch_extract_rerun", { source_run_id: idOf(bench, "form") }),
    wants: { status: 409, code: "conflict" },
  },
  {
    name: "delete a run",
    route: "DELETE /v1/runs/{run_id}",
    skip: (bench) => withoutDelete(bench) ?? needs("form ended")(bench),
    request: (bench) => ({ method: "DELETE", path: `/v1/runs/${idOf(bench, "form")}` }),
    wants: {
      status: 200,
      body: z.looseObject({ deleted: z.looseObject({ extracts: z.literal(1), runs: z.literal(1) }) }),
    },
    keep: keep("deleted"),
  },
  {
    name: "a deleted run",
    route: "GET /v1/runs/{run_id}",
    skip: needs("deleted"),
    request: (bench) => ({ path: `/v1/runs/${idOf(bench, "form")}` }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "a deleted run's id stays taken",
    route: "POST /v1/batch_extract_upload",
    skip: needs("deleted"),
    request: (bench) =>
      form(bench, "/v1/batch_extract_upload", { run_id: idOf(bench, "form"), concurrency: "1" }, "files"),
    wants: { status: 409, code: "conflict" },
  },
  {
    name: "usage",
    route: "GET /v1/usage",
    request: () => ({ path: "/v1/usage?group_by=task" }),
    wants: {
      status: 200,
      body: z.looseObject({ items: z.array(z.looseObject({ task_id: z.string(), items: z.int() })) }),
    },
  },
];

const line = { image_ref: `upload_${"x".repeat(24)}` };

/** A batch that must be refused as a whole, with the name of the wrong field. */
const refuse = (name: string, body: object, path: string): Case => ({
  name,
  route: "POST /v1/batch_extract",
  request: () => post("/v1/batch_extract", body),
  wants: { status: 400, code: "invalid_request", also: issueAt(path) },
});

const unknown = (route: RouteKey, method: "GET" | "POST" | "DELETE", more = ""): Case => ({
  name: `an unknown run${more === "" ? "" : `: ${more.slice(1)}`}`,
  route,
  ...(method === "DELETE" ? { skip: withoutDelete } : {}),
  request: (bench) => ({ method, path: `/v1/runs/${idOf(bench, "nobody")}${more}` }),
  wants: { status: 404, code: "not_found" },
});

const refusals: Case[] = [
  refuse("concurrency 0", { manifest: [line], concurrency: 0 }, "concurrency"),
  refuse("concurrency 65", { manifest: [line], concurrency: 65 }, "concurrency"),
  refuse("concurrency as text", { manifest: [line], concurrency: "4" }, "concurrency"),
  refuse("a batch without a source", {}, "manifest"),
  refuse("two sources", { manifest: [line], images_dir: "shared/x" }, "images_dir"),
  refuse("an absolute folder", { images_dir: "/etc" }, "images_dir"),
  refuse("a glob for more than anybody has", { images_dir: "shared/x", glob: "{1..99999999}" }, "glob"),
  {
    name: "duplicate custom_id and a key that climbs",
    route: "POST /v1/batch_extract",
    request: () =>
      post("/v1/batch_extract", {
        manifest: [
          { ...line, custom_id: "1" },
          { image_key: "shared/../x.jpg", custom_id: "1" },
        ],
      }),
    wants: {
      status: 400,
      code: "invalid_request",
      also: (answer) => issueAt("custom_id")(answer) ?? issueAt("image_key")(answer),
    },
  },
  {
    name: "an id of a run that is none",
    route: "POST /v1/batch_extract",
    request: () => post("/v1/batch_extract", { manifest: [line], run_id: "a~0" }),
    wants: { status: 400, code: ["invalid_request_id", "invalid_request"] },
  },
  {
    name: "a form without a boundary",
    route: "POST /v1/batch_extract_upload",
    request: () => ({
      method: "POST",
      path: "/v1/batch_extract_upload",
      rawBody: "x",
      headers: { "content-type": "multipart/form-data" },
    }),
    wants: { status: [400, 415], code: ["invalid_request", "unsupported_media_type"] },
  },
  {
    name: "a rerun of an unknown run",
    route: "POST /v1/batch_extract_rerun",
    request: (bench) => post("/v1/batch_extract_rerun", { source_run_id: idOf(bench, "nobody") }),
    wants: { status: 404, code: "not_found" },
  },
  unknown("GET /v1/runs/{run_id}", "GET"),
  unknown("GET /v1/runs/{run_id}/items", "GET", "/items"),
  unknown("GET /v1/runs/{run_id}/results", "GET", "/results"),
  unknown("POST /v1/runs/{run_id}/cancel", "POST", "/cancel"),
  unknown("DELETE /v1/runs/{run_id}", "DELETE"),
];

export const batches: readonly Case[] = [...runs, ...forms, ...refusals];

/** Cases for the main job: an extract, its repeats, uploads, and refused calls. */
import * as z from "zod";
import type { Answer, Request } from "#cli/server/answer";
import type { Bench, Case } from "./case.ts";
import { ErrorBody } from "./shape.ts";

const post = (body: unknown, headers: Record<string, string> = {}) => ({
  method: "POST" as const,
  path: "/v1/extract",
  body,
  headers,
});
const picture = (bench: Bench) => bench.picture.toString("base64");
/** From the extract that later cases read again. */
export const idOf = (bench: Bench) => `smoke-${bench.run}`;
const resultOf = (answer: Answer | undefined) =>
  JSON.stringify(z.looseObject({ result: z.unknown() }).safeParse(answer?.json).data?.result);

const Extract = z.looseObject({
  request_id: z.string(),
  status: z.literal("succeeded"),
  result: z.looseObject({}),
  schema_ok: z.literal(true),
  warnings: z.array(z.looseObject({ code: z.string() })),
  artifact_rel: z.string().regex(/^extracts\/\d{4}-\d{2}-\d{2}\/[^/]+\/[^/]+\.json$/),
});

/** Bodies that must get a 400 with the name of the field. */
export const issueAt = (path: string) => (answer: Answer) => {
  const issues = z
    .object({ error: z.object({ details: z.object({ issues: z.array(z.object({ path: z.string() })) }) }) })
    .safeParse(answer.json).data?.error.details.issues;
  return issues?.some((issue) => issue.path === path) ? undefined : `details.issues does not name ${path}`;
};

export const withoutExtract = (bench: Bench) =>
  bench.kept.has("extract") ? undefined : "the extract before failed";

export const extract: Case[] = [
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
    name: "the same call with the picture itself as the body",
    route: "POST /v1/extract",
    skip: withoutExtract,
    request: (bench) => ({
      method: "POST",
      path: `/v1/extract?request_id=${idOf(bench)}`,
      headers: { "content-type": "application/octet-stream" },
      rawBody: new Uint8Array(bench.picture),
    }),
    wants: { status: 200, body: Extract, headers: { "idempotent-replayed": /^true$/ } },
  },
  {
    name: "the same call as a form",
    route: "POST /v1/extract",
    skip: withoutExtract,
    request: (bench) => form(bench, "/v1/extract", { request_id: idOf(bench) }, "file"),
    wants: { status: 200, body: Extract, headers: { "idempotent-replayed": /^true$/ } },
  },
  {
    name: "the list of extracts begins with it",
    route: "GET /v1/extracts",
    skip: withoutExtract,
    request: () => ({ path: "/v1/extracts?limit=1&status=succeeded" }),
    wants: {
      status: 200,
      body: z.looseObject({
        items: z.array(z.looseObject({ request_id: z.string(), status: z.literal("succeeded") })).length(1),
      }),
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

/** A form as `curl -F` sends it, with the picture in the field `file`. */
export function form(
  bench: Bench,
  path: string,
  fields: Readonly<Record<string, string>>,
  file: string,
): Request {
  const boundary = `smoke${bench.run}`;
  const part = (about: string) => `--${boundary}\r\nContent-Disposition: form-data; ${about}`;
  const texts = Object.entries(fields).map(
    ([name, value]) => `${part(`name="${name}"`)}\r\n\r\n${value}\r\n`,
  );
  const head = `${part(`name="${file}"; filename="c.jpg"`)}\r\nContent-Type: ${mimeTypeOf(bench)}\r\n\r\n`;
  return {
    method: "POST",
    path,
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    rawBody: new Uint8Array(
      Buffer.concat([
        Buffer.from(texts.join("") + head),
        bench.picture,
        Buffer.from(`\r\n--${boundary}--\r\n`),
      ]),
    ),
  };
}

const Upload = z.object({
  image_ref: z.string(),
  upload_url: z.url(),
  method: z.literal("PUT"),
  headers: z.record(z.string(), z.string()),
});
export const uploadOf = (bench: Bench) => Upload.parse(bench.kept.get("upload")?.json);
export const withoutUpload = (bench: Bench) =>
  bench.kept.has("upload") ? undefined : "nothing was announced";
export const put = (bench: Bench, signed: Record<string, string>) => {
  // The client sets the length from the body. The type is not signed; curl sends this one for any file.
  const { "Content-Length": _, ...others } = signed;
  const headers = { ...others, "Content-Type": "application/x-www-form-urlencoded" };
  return { method: "PUT" as const, path: "/", rawBody: new Uint8Array(bench.picture), headers };
};
export const mimeTypeOf = ({ picture }: Bench) =>
  picture[0] === 0x89
    ? "image/png"
    : picture.toString("latin1", 0, 4) === "RIFF"
      ? "image/webp"
      : "image/jpeg";

export const uploads: Case[] = [
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
    request: (bench) => put(bench, uploadOf(bench).headers),
    wants: { status: 200 },
  },
  {
    name: "put another one there",
    route: "POST /v1/uploads",
    skip: withoutUpload,
    elsewhere: (bench) => uploadOf(bench).upload_url,
    request: (bench) => put(bench, uploadOf(bench).headers),
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
    name: "announce under a hint that is none of the types",
    route: "POST /v1/uploads",
    request: () => ({
      method: "POST",
      path: "/v1/uploads",
      body: { mime_type: "image/x-unknown", bytes: 10 },
    }),
    wants: { status: 201, body: Upload },
  },
];

/** The first bytes of a JPEG, and nothing after them. */
const brokenJpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 74, 70, 73, 70, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0]);
const inlineTooLarge = Math.round(4.2 * 1024 * 1024);
const eventTooLarge = 7 * 1024 * 1024;

export const refusals: Case[] = [
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
    // Only our own function sends `allow`: without it the gateway has answered, as it does with CORS settings of its
    // own.
    wants: { status: 204, headers: { "access-control-allow-origin": null, allow: /POST/ } },
  },
];

/**
 * Mistakes of newcomers, by route: what is sent, and the beginning of the message that says what to change. `zq-…`
 * stands for the user's values, which no answer may contain.
 */
import type { CallOptions } from "./loop.ts";

export interface Mistake {
  name: string;
  path?: string;
  options: CallOptions;
  status: number;
  /** The beginning of the message. */
  told: string;
  param: string | null;
  /** `details.reason`, if programs depend on it. */
  reason?: string;
}

const extract = (
  name: string,
  body: string,
  told: string,
  param: string | null = null,
  status = 400,
): Mistake => ({
  name,
  options: { method: "POST", body, headers: { "content-type": "application/json" } },
  ...{ status, told, param },
});
const field = (name: string, json: object, told: string, param: string, status = 400) =>
  extract(name, JSON.stringify(json), told, param, status);
const batch = (name: string, json: object, told: string, param: string) => ({
  ...field(name, json, told, param),
  path: "/v1/batch_extract",
});
const query = (path: string, told: string, param: string): Mistake => ({
  ...{ name: path, path, options: {}, status: 400, told, param },
});
const picture = "iVBORw0KGgo=";
const bytes = (content: string) => Buffer.from(content, "latin1").toString("base64");

/** `B\u00e4cker` as Windows PowerShell 5.1 sends a text. */
const latin1 = Uint8Array.from(
  Buffer.from('{"images_dir":"zq-a","run_id":"zq-1","gt_id":"B\u00e4cker"}', "latin1"),
);
const formOf = (name: string, value: string, file = "zq.jpg", field = "files") => ({
  method: "POST" as const,
  body: Uint8Array.from(
    Buffer.from(
      `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n--b\r\nContent-Disposition: form-data; name="${field}"; filename="${file}"\r\n\r\nGIF89a\r\n--b--\r\n`,
      "latin1",
    ),
  ),
  headers: { "content-type": "multipart/form-data; boundary=b" },
});

export const mistakes: readonly Mistake[] = [
  ...["application/json", "application/merge-patch+json"].map((type) => ({
    name: `Latin-1 as ${type}`,
    path: "/v1/batch_extract",
    options: { method: "POST" as const, body: latin1, headers: { "content-type": type } },
    ...{
      status: 400,
      told: "the body is not UTF-8 (at byte 48): send it as UTF-8; Windows PowerShell",
      param: null,
    },
    reason: "not_utf8",
  })),
  {
    name: "Latin-1 in a field of a form",
    path: "/v1/batch_extract_upload",
    options: formOf("run_id", "B\u00e4cker"),
    ...{ status: 400, told: "run_id: is not UTF-8 (at byte 2): send it as UTF-8", param: "run_id" },
    reason: "not_utf8",
  },
  {
    name: "Latin-1 in a file's name",
    path: "/v1/batch_extract_upload",
    options: formOf("run_id", "zq-1", "B\u00e4cker.jpg"),
    ...{ status: 400, told: "files: is not UTF-8 (at byte 2): send it as UTF-8", param: "files" },
    reason: "not_utf8",
  },
  {
    ...query("/v1/runs?cursor=B%E4cker", "cursor: is not UTF-8 where its %XX are decoded", "cursor"),
    reason: "not_utf8",
  },
  extract(
    "single quotes",
    "{'zq-a':1}",
    "the body is not valid JSON at line 1, column 2: strings and names have double",
  ),
  extract(
    "a trailing comma",
    '{"a":"zq-a",\n}',
    "the body is not valid JSON at line 2, column 1: the comma before",
  ),
  extract("a list", "[]", "must be an object, not a list"),
  extract("a text", '"zq-a"', "must be an object, not text"),
  extract(
    "__proto__",
    `{"__proto__":{"zq-a":1},"image_base64":"${picture}"}`,
    "__proto__: unknown field",
    "__proto__",
  ),
  extract(
    "a name twice",
    '{"task_id":"zq-a","task_id":"zq-b"}',
    "the body has a name twice in one object (line 1, column 19)",
  ),
  extract("nothing", "", "the body is missing: send the picture (curl -F file=@photo.jpg"),
  field(
    "no picture",
    {},
    "image_base64: exactly one of image_base64, image_ref, image_url is needed",
    "image_base64",
  ),
  field(
    "null",
    { image_base64: null },
    "image_base64: must be text, not null: leave it out instead",
    "image_base64",
  ),
  field("an empty text", { image_base64: "" }, "image_base64: must not be empty", "image_base64"),
  field(
    "an object",
    { image_base64: { "zq-a": 1 } },
    "image_base64: must be text, not an object",
    "image_base64",
  ),
  field("a file's name", { image_base64: "zq-a.jpg" }, "image_base64: is the name of a file", "image_base64"),
  field(
    "an address",
    { image_base64: "https://zq-a/b" },
    "image_base64: is an address: image_url is for those",
    "image_base64",
  ),
  field(
    "another name",
    { image_base64: picture, task: "zq-a" },
    "task: unknown field: did you mean `task_id`?",
    "task",
  ),
  field(
    "camel case",
    { imageBase64: picture },
    "imageBase64: unknown field: did you mean `image_base64`?",
    "imageBase64",
  ),
  field(
    "a far name",
    { image_base64: picture, color: "zq-a" },
    "color: unknown field: there are `task_id`, ",
    "color",
  ),
  field(
    "a near task",
    { image_base64: picture, task_id: "reciept_v1" },
    "task_id: no such task: did you mean `receipt_v1`?",
    "task_id",
  ),
  field(
    "a far task",
    { image_base64: picture, task_id: "zq-a" },
    "task_id: no such task: there are `invoice_v1`, ",
    "task_id",
  ),
  field(
    "an id",
    { image_base64: picture, request_id: "zq a" },
    "request_id: 1 to 128 letters, digits",
    "request_id",
  ),
  field(
    "a Word document",
    { image_base64: bytes("{\\rtf zq-a") },
    "this is an RTF document: send its pages as pictures",
    "image_base64",
    415,
  ),
  field(
    "the moving part of a Live Photo",
    { image_base64: bytes("\0\0\0\x18ftypqt  \0\0\0\0qt  zq-a") },
    "this is a QuickTime video, such as the moving part of a Live Photo",
    "image_base64",
    415,
  ),
  field(
    "a ZIP",
    { image_base64: bytes("PK\x03\x04\x14\0zq-a") },
    "this is a ZIP archive",
    "image_base64",
    415,
  ),
  field(
    "text",
    { image_base64: bytes("zq-a is a text") },
    "this is text (read are JPEG, PNG, HEIC",
    "image_base64",
    415,
  ),
  field(
    "twice encoded",
    { image_base64: bytes("iVBORw0KGgoAAAA") },
    "this is base64 as text",
    "image_base64",
    415,
  ),
  field(
    "a cut picture",
    { image_base64: picture },
    "the picture's header is broken or cut off",
    "image_base64",
  ),
  field(
    "a stranger's upload",
    { image_ref: "upload_zq-a" },
    "there is no upload with this image_ref",
    "image_ref",
    404,
  ),
  {
    name: "curl -d alone",
    options: {
      method: "POST",
      body: "zq-a=1",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    },
    status: 415,
    told: "a picture is sent as it is: curl",
    param: null,
  },
  batch(
    "a number too small",
    { images_dir: "zq-a", concurrency: 0 },
    "concurrency: must be a whole number from 1 to 64, or auto",
    "concurrency",
  ),
  batch(
    "a number as text",
    { images_dir: "zq-a", concurrency: "4" },
    "concurrency: must be a whole number from 1 to 64, or auto, not text: leave out the quotes",
    "concurrency",
  ),
  batch(
    "a text as truth",
    { images_dir: "zq-a", persist_inputs: "true" },
    "persist_inputs: must be true or false, not text: leave out the quotes",
    "persist_inputs",
  ),
  batch(
    "no list",
    { manifest: { image_ref: "zq-a" } },
    "manifest: must be a list, not an object",
    "manifest",
  ),
  batch(
    "a line's name",
    { manifest: [{ image: "zq-a" }] },
    "line 1: image: unknown field: did you mean `image_ref`, `image_key` or `image_url`?",
    "image",
  ),
  batch(
    "two sources",
    { images_dir: "zq-a", manifest_ref: "zq-b" },
    "manifest_ref: exactly one of manifest, manifest_ref, images_dir is needed",
    "manifest_ref",
  ),
  {
    name: "files[] as PHP and Rails call it",
    options: formOf("task_id", "receipt_v1", "zq.jpg", "files[]"),
    ...{
      status: 400,
      told: "files[]: the picture goes into the field named file: -F file=@",
      param: "files[]",
    },
  },
  query("/v1/runs?task_id=reciept_v1", "task_id: no such task: did you mean `receipt_v1`?", "task_id"),
  query("/v1/extracts?task_id=zq-a", "task_id: no such task: there are `invoice_v1`, ", "task_id"),
  ...["runs", "extracts"].map((list) => ({
    ...query(`/v1/${list}?key_id=zq-a`, "there is no key with this id", "key_id"),
    status: 404,
  })),
  field(
    "words",
    { image_base64: "no zqq picture1" },
    "image_base64: is not base64: send what",
    "image_base64",
  ),
  field(
    "a picture as a number",
    { image_base64: 4 },
    "image_base64: must be text, not a number",
    "image_base64",
  ),
  query(
    "/v1/runs?status=sucess",
    "status: must be one of `planning`, `running`, `finishing`, `succeeded`, `failed`, `canceled`: did you mean `succeeded`?",
    "status",
  ),
  batch(
    "a near folder",
    { images_dir: "shared/zq-a" },
    "images_dir: no pictures: nothing lies there: ",
    "images_dir",
  ),
  batch(
    "the data root in front",
    { images_dir: "data/shared/zq-a" },
    "images_dir: no pictures: nothing lies there: images_dir is below the data root, so leave data/ out",
    "images_dir",
  ),
  batch("an empty folder's name", { images_dir: "" }, "images_dir: must not be empty", "images_dir"),
  batch(
    "a lifetime without a unit",
    { images_dir: "zq-a", expires_after: "30d" },
    "expires_after: must be seconds, as a whole number from 60",
    "expires_after",
  ),
  query("/v1/runs?limit=0", "limit: must be a whole number from 1 to 200", "limit"),
  query(
    "/v1/runs?status=suceeded",
    "status: must be one of `planning`, `running`, `finishing`, `succeeded`, `failed`, `canceled`: did you mean `succeeded`?",
    "status",
  ),
  query("/v1/runs?cursor=zq-a", "cursor: is not a cursor of this list: take next_cursor", "cursor"),
  query("/v1/runs?pagesize=zq-a", "pagesize: unknown query parameter: there are `limit`, ", "pagesize"),
  query("/v1/usage?from=2026-02-30", "from: must be a day", "from"),
  {
    name: "a task's page",
    path: "/v1/tasks/receipt",
    options: {},
    status: 404,
    told: "no such task: did you mean `receipt_v1`?",
    param: "task_id",
  },
  {
    name: "an id",
    path: "/v1/extracts/zq-a",
    options: {},
    status: 404,
    told: "there is no extract with this id",
    param: "request_id",
  },
  {
    name: "a path",
    path: "/v1/extracs",
    options: {},
    status: 404,
    told: "no such path: did you mean `POST /v1/extract`",
    param: null,
  },
  {
    name: "a method",
    path: "/v1/tasks",
    options: { method: "PUT" },
    status: 405,
    told: "this path takes GET, HEAD and nothing else",
    param: null,
  },
];

import type { CallOptions } from "./loop.ts";
import { base64 } from "./pictures.ts";

/** Bodies that `POST /v1/extract` refuses: their name, the call, the status and the code of the answer. */
export const badBodies: [string, () => Promise<CallOptions>, number, string][] = [
  ["no body", async () => ({ method: "POST" }), 400, "invalid_request"],
  [
    "broken JSON",
    async () => ({ body: '{"image_base64": "4711', headers: { "content-type": "application/json" } }),
    400,
    "invalid_request",
  ],
  [
    "another content type",
    async () => ({ body: "image_base64=4711", headers: { "content-type": "text/plain" } }),
    415,
    "unsupported_media_type",
  ],
  ["no picture", async () => ({ json: {} }), 400, "invalid_request"],
  [
    "an empty picture",
    async () => ({ json: { image_base64: "data:image/png;base64," } }),
    400,
    "invalid_image",
  ],
  [
    "a picture over 4 MiB",
    async () => ({ json: { image_base64: Buffer.alloc(4_300_000, 1).toString("base64") } }),
    413,
    "payload_too_large",
  ],
  [
    "an id with a slash",
    async () => ({ json: { image_base64: await base64(), request_id: "a/b" } }),
    400,
    "invalid_request_id",
  ],
  [
    "an id like an item's",
    async () => ({ json: { image_base64: await base64(), request_id: "a~1" } }),
    400,
    "invalid_request_id",
  ],
  [
    "the id of a route",
    async () => ({ json: { image_base64: await base64(), request_id: "backup.tar.gz" } }),
    400,
    "invalid_request_id",
  ],
  [
    "a long id",
    async () => ({ json: { image_base64: await base64(), request_id: "x".repeat(10_000) } }),
    400,
    "invalid_request_id",
  ],
  [
    "a NUL in an id",
    async () => ({ json: { image_base64: await base64(), request_id: "a\u0000b" } }),
    400,
    "invalid_request_id",
  ],
];

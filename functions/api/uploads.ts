import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Remove from "#core/input/remove";
import { reachesAll } from "#core/key/visible";
import * as DataRoot from "#core/upload/data-root";
import * as Upload from "#core/upload/upload";
import { api } from "#functions/http";
import { idempotencyKeyOf } from "#functions/request/headers";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";
import * as Limits from "#spec/limits";

export const operations = {
  "POST /v1/uploads": operation({
    summary:
      "Announce a picture of up to 20 MiB, a PDF of up to 50 MiB, a manifest of up to 200 MiB, or a ground truth of up to 100 MiB",
    description:
      "Answers with a signed PUT straight to the bucket, also as a `curl` line: send the bytes with the headers of the answer, then use `image_ref` in `POST /v1/extract` or in a manifest, `manifest_ref` in `POST /v1/batch_extract`, or `image_key` in a manifest. The type is detected from the bytes when they are read. Length and `If-None-Match: *` are signed: the bucket refuses another size with 403, and a second PUT with 412 (its answers are XML; `docs/large-files.md` explains them). Pictures and manifests are removed after a week; what was uploaded with `kind: data` stays.",
    body: Upload.UploadRequest,
    responses: { 201: { description: "Where to send the bytes", schema: Upload.Upload } },
    run: async ({ body, call }) => {
      const { upload, replayed } = await Upload.create(
        { db: Database.connect(), bucket: Bucket.connect(), times: Limits.times(Config.app().timeScale) },
        body,
        {
          keyId: call.principal.keyId,
          limits: call.principal.limits,
          allKeys: reachesAll(call.principal),
          idempotencyKey: idempotencyKeyOf(call),
        },
      );
      return { status: 201, body: upload, headers: replayed ? { "Idempotent-Replayed": "true" } : {} };
    },
  }),
  "DELETE /v1/uploads/{ref}": operation({
    summary: "Delete an upload",
    description:
      "Removes an upload of `POST /v1/uploads` (`image_ref` or `manifest_ref`) before its week is over. 409 while an item of a run, a queued extract or the check of a manifest still needs it.",
    params: z.object({ ref: Names.uploadRef }),
    query: z.strictObject({
      key_id: Names.keyId("Another key's upload; with the scope `admin:all_keys` only."),
    }),
    responses: {
      200: {
        description: "It is gone",
        schema: z.object({ deleted: z.object({ inputs: z.int() }) }),
      },
    },
    errors: ["conflict", "image_too_large"],
    run: async ({ params, query, call }) => ({
      status: 200,
      body: {
        deleted: await Remove.remove({ db: Database.connect(), bucket: Bucket.connect() }, call.log, {
          ref: params.ref,
          keyId: query.key_id,
          principal: call.principal,
        }),
      },
    }),
  }),
  "DELETE /v1/data": operation({
    summary: "Delete pictures below the data root",
    description:
      "Removes what was uploaded with `kind: data`: a picture, or a folder with everything in it if the path ends in `/`. 409 (`details.reason` `data_in_use`) while an item of any key's run still needs some of it. `complete: false`: there was not enough time for everything; repeat the call to continue.",
    query: z.strictObject({
      path: z.string().min(1).max(1024).meta({
        pattern: DataRoot.folderPattern,
        maxLength: DataRoot.maxBytes,
        description:
          "Below your own folder, as in `POST /v1/uploads`: `receipts/1.png`, `receipts/`. A path that begins with `shared/` is in the shared folder and needs the scope `admin:all_keys`.",
      }),
      key_id: Names.keyId("Another key's folder; with the scope `admin:all_keys` only."),
    }),
    responses: {
      200: {
        description: "It is gone",
        schema: z.object({ deleted: z.object({ inputs: z.int() }), complete: z.boolean() }),
      },
    },
    errors: ["not_found", "conflict"],
    run: async ({ query, call }) => {
      const from = { path: query.path, keyId: query.key_id, principal: call.principal };
      const { inputs, complete } = await Remove.removeData(
        { db: Database.connect(), bucket: Bucket.connect() },
        call.log,
        from,
        call.deadline,
      );
      return { status: 200, body: { deleted: { inputs }, complete } };
    },
  }),
};

export const handler = api(operations);

import * as Bucket from "#core/artifact/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/client";
import { reachesAll } from "#core/key/visible";
import * as Upload from "#core/upload/upload";
import { idempotencyKeyOf } from "#functions/headers";
import { api, operation } from "#functions/http";
import * as Limits from "#infra/limits";

export const operations = {
  "POST /v1/uploads": operation({
    summary: "Announce a picture of up to 20 MiB, or a manifest of up to 200 MiB",
    description:
      "Answers with a signed PUT straight to the bucket: send the bytes with exactly the headers of the answer, then use `image_ref` in `POST /v1/extract` or in a manifest, `manifest_ref` in `POST /v1/batch_extract`, or `image_key` in a manifest. The type is a hint: the bytes decide what it is when it is read. Type, length and `If-None-Match: *` are signed: the bucket refuses anything else with 403, and a second PUT with 412. Pictures and manifests are removed after a week; what was uploaded with `kind: data` stays.",
    body: Upload.UploadRequest,
    responses: { 201: { description: "Where to put it", schema: Upload.Upload } },
    run: async ({ body, call }) => {
      const { upload, replayed } = await Upload.create(
        { db: Database.connect(), bucket: Bucket.connect(), times: Limits.times(Config.app().timeScale) },
        body,
        {
          keyId: call.principal.keyId,
          allKeys: reachesAll(call.principal),
          idempotencyKey: idempotencyKeyOf(call),
        },
      );
      return { status: 201, body: upload, headers: replayed ? { "Idempotent-Replayed": "true" } : {} };
    },
  }),
};

export const handler = api(operations);

import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import { invalidRequest } from "#core/error";
import { DryRun } from "#core/run/dry-run";
import { BatchRequest, RerunRequest, Run } from "#core/run/schema";
import * as Serialize from "#core/run/serialize";
import * as Create from "#core/run/source/create";
import * as TooLarge from "#core/upload/too-large";
import { api } from "#functions/http";
import type { Call } from "#functions/request/call";
import { checked } from "#functions/request/checked";
import { idempotencyKeyOf } from "#functions/request/headers";
import { operation, type RawBody, type Reply } from "#functions/request/operation";
import { services } from "#functions/services";
import { batches, sizes } from "#spec/limits";

const {
  task_id,
  concurrency,
  run_id,
  persist_inputs,
  look,
  max_pages,
  split,
  webhook_url,
  expires_after,
  gt_id,
  gt_path,
  gt_image_key,
} = BatchRequest.shape;

/** The fields of a form, after their texts are parsed into values. */
const FormFields = z.strictObject({
  task_id,
  concurrency,
  run_id,
  persist_inputs,
  look,
  max_pages,
  split,
  webhook_url,
  expires_after,
  ...{ gt_id, gt_path, gt_image_key },
});

/** The form as it is sent. */
const BatchForm = FormFields.extend({
  files: z
    .array(z.string().meta({ format: "binary" }))
    .min(1)
    .max(batches.multipartFiles)
    .meta({
      description: `Pictures with unique file names, at most ${batches.multipartFiles} and ${sizes.inlineImageBytes} bytes together. Upload larger ones through \`POST /v1/uploads\`.`,
    }),
}).meta({ id: "BatchForm" });

const advice =
  "upload the pictures through POST /v1/uploads, and name them in the manifest of POST /v1/batch_extract";

const responses = { 202: { description: "The run", schema: Run } };

export const operations = {
  "POST /v1/batch_extract": operation({
    summary: "Read many pictures",
    description:
      "Takes exactly one of `manifest`, `manifest_ref` and `images_dir`. Every line is checked before anything is read: all mistakes come in one 400, in `details.issues[] {line, path, message}` (the first 100) and `details.issue_count`. A request that is too large to check within the call (over 1,000 items) is checked afterwards: its run is `planning`, and becomes `failed` with the same details if something is wrong. For a folder, `skipped` counts by reason the files that did not become items; a glob that matches nothing is an error.",
    body: BatchRequest,
    bodyAs: "unchecked",
    responses: {
      200: { description: "With `dry_run`: nothing is wrong, and nothing was made", schema: DryRun },
      ...responses,
    },
    errors: ["invalid_request_id"],
    run: async ({ body, call }) => {
      const input = Create.parse(body);
      const given = [services(Bucket.connect()), call.log, input, callerOf(call)] as const;
      return input.dry_run
        ? { status: 200, body: await (await dryRun())(...given) }
        : answer(await Create.create(...given));
    },
  }),
  "POST /v1/batch_extract_upload": operation({
    summary: "Read many pictures that come with the call",
    description:
      "A form with the pictures themselves, at most 4 MiB together: they arrive as base64, and the platform's payload limit is 6 MB. For more, use `POST /v1/uploads`.",
    body: BatchForm,
    bodyAs: "multipart",
    responses,
    errors: ["invalid_request_id"],
    run: async ({ raw, call }) =>
      answer(await Create.receive(services(Bucket.connect()), call.log, await formOf(raw), callerOf(call))),
  }),
  "POST /v1/batch_extract_rerun": operation({
    summary: "Read the pictures of an earlier run again",
    description:
      "Needs inputs that were kept: `persist_inputs`, or pictures under the data root. 409 with `details.reason`: `inputs_not_kept`, `nothing_to_rerun`, `run_active`.",
    body: RerunRequest,
    responses,
    errors: ["invalid_request_id", "not_found"],
    run: async ({ body, call }) =>
      answer(await (await rerun())(services(Bucket.connect()), call.log, body, callerOf(call))),
  }),
};

/** Loaded on demand, as most calls make a run. */
const dryRun = async () => (await import("#core/run/source/dry-run")).dryRun;

/** Loaded on demand: most runs are new ones. */
const rerun = async () => (await import("#core/run/source/rerun")).rerun;

const callerOf = (call: Call): Create.Caller => ({
  principal: call.principal,
  idempotencyKey: idempotencyKeyOf(call),
  deadline: call.deadline,
});

function answer({ run, replayed }: Create.Created): Reply {
  // A replay is answered with the run's id; `GET /v1/runs/{run_id}` tells how many of its items are running.
  const body = Serialize.run(run, 0);
  const headers = { Location: body.poll_url, ...(replayed ? { "Idempotent-Replayed": "true" } : {}) };
  return { status: 202, body, headers };
}

/** @throws AppError `invalid_request`, `payload_too_large`, `unsupported_media_type`. */
async function formOf(raw: RawBody): Promise<Create.ReceiveInput> {
  const limits = {
    bytes: sizes.inlineImageBytes,
    tooLarge: TooLarge.batchForm,
    files: batches.multipartFiles,
    advice,
    otherwise: ": -F files=@a.jpg -F files=@b.jpg; JSON is for POST /v1/batch_extract",
  };
  // Only one of three routes needs them.
  const [Multipart, TextValues] = await Promise.all([
    import("#functions/request/multipart"),
    import("#functions/request/text-values"),
  ]);
  const form = await Multipart.parse(raw, limits);
  const texts: [string, string][] = [];
  const wrong = (path: string, message: string) => invalidRequest([{ path, message }]);
  for (const [name, given] of form.fields) {
    const [value = ""] = given;
    if (given.length > 1 && Object.hasOwn(FormFields.shape, name))
      throw wrong(name, "is there more than once");
    // A form sends an empty text for an input that was left empty.
    if (value === "" && Object.hasOwn(FormFields.shape, name)) continue;
    if (name === "files") throw wrong(name, "is text, not a file: with curl -F files=@photo.jpg");
    texts.push([name, value]);
  }
  const data = await checked(FormFields, TextValues.read(FormFields.shape, texts));
  if (form.files.some(({ field }) => field !== "files"))
    throw wrong("files", "a file in another field than files: with curl -F files=@photo.jpg");
  const files = form.files.map(({ name, mimeType, bytes }) => ({ name, mimeType, bytes }));
  return { ...data, files };
}

export const handler = api(operations);

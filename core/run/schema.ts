import * as z from "zod";
import * as Schema from "#core/canonical/schema";
import * as Id from "#core/id";
import * as Type from "#core/image/type";
import { Pages, Split } from "#core/reading/page-numbers";
import { Extract, StoredError, Usage } from "#core/reading/schema";
import { Warnings } from "#core/reading/warning";
import * as DataRoot from "#core/upload/data-root";
import * as Limits from "#spec/limits";
import { mimeTypes } from "#spec/pictures";
import { AutoConcurrency, Concurrency, Why } from "./auto.ts";
import { RunCost } from "./cost-schema.ts";
import * as EvaluateBy from "./evaluate-by.ts";
import { Skipped } from "./skipped.ts";
import { Tags } from "./tags.ts";
import { WebhookAttempt } from "./webhook-attempt.ts";

const { inlineManifestLines } = Limits.batches;

/** The caller's name for an item: printable, so that it can be used in logs, file names and CSV. */
const name = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    // Control characters such as NUL are not allowed in names.
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, "control characters are not allowed")
    // The same for engines without Unicode classes (Python's): a valid text has no lone surrogates.
    .meta({ pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]*$" });

/** Checked where it is read, where the error can say what is wrong (core/upload/data-root.ts). */
const keyForm = { pattern: DataRoot.keyPattern, maxLength: DataRoot.maxBytes };

const lineSources = ["image_ref", "image_key", "image_url"] as const;

const lifetime = "must be seconds, as a whole number from 60 to 3153600000 (a day is 86400)";

/** The JSON Schema form of "exactly one of these". */
const oneOf = (names: readonly string[]) => names.map((name) => ({ required: [name] }));

/** A line of a manifest: one picture, and the caller's name for it. */
export const ManifestLine = z
  .strictObject({
    custom_id: name(255).optional().meta({ description: "Your id of the item; unique within the run." }),
    file: name(1024).optional().meta({ description: "Your name of the picture; unique within the run." }),
    tags: Tags.optional(),
    pages: Pages.optional(),
    split: Split.optional().meta({ description: "For this picture alone; default: as the run says." }),
    image_ref: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ pattern: Id.uploadRefPattern.source, description: "What `POST /v1/uploads` returned." }),
    image_key: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .meta({
        ...keyForm,
        description: "A key under the data root: `shared/…` or `<your key_id>/…`.",
      }),
    image_url: z
      .string()
      .min(1)
      .max(8192)
      .optional()
      .meta({ description: "An https address on a host of `IMAGE_URL_HOSTS`; the worker fetches it." }),
  })
  .superRefine((line, context) => {
    const names = lineSources;
    const given = names.filter((each) => line[each] !== undefined);
    if (given.length === 1) return;
    for (const path of given.length === 0 ? names.slice(0, 1) : given)
      context.addIssue({
        code: "custom",
        path: [path],
        message: `exactly one of ${names.join(", ")} is needed${given.length > 1 ? `, and ${given.length} came` : ""}`,
      });
  })
  .meta({ id: "ManifestLine", oneOf: oneOf(lineSources) });
export type ManifestLine = z.output<typeof ManifestLine>;

/** The fields that all requests for a run share. */
const common = {
  task_id: z
    .string()
    .min(1)
    .max(100)
    .default("receipt_fields_v1")
    .meta({ description: "Which task to run (`GET /v1/tasks`)." }),
  concurrency: Concurrency.default(4),
  // Checked elsewhere, because an invalid form has its own error code.
  run_id: z.string().optional().meta({
    pattern: Id.runIdPattern.source,
    description:
      "Your id of the run. The same id and payload give the same run; an id stays taken when its run was deleted. `backup.tar.gz` is taken.",
  }),
  persist_inputs: z.boolean().default(false).meta({
    description:
      "Keep the pictures until the run is deleted; otherwise uploads and fetched pictures go when it ends.",
  }),
  look: z.boolean().optional().meta({
    description:
      "False: the pictures are not looked at before they are sent: as EXIF turns them, and their `quality` is null. Default: as the stage is set (`LOOK`, on).",
  }),
  split: Split.optional(),
  max_pages: z
    .int()
    .min(1)
    .max(Limits.documents.queuedPages)
    .optional()
    .meta({
      description: `Documents with more pages to read fail with \`invalid_image\` (\`details.reason\` \`too_many_pages\`) and are not read. Default: ${Limits.documents.queuedPages}.`,
    }),
  expires_after: z.int(lifetime).min(60, lifetime).max(3_153_600_000, lifetime).optional().meta({
    description:
      "This many seconds after its end the run is deleted, with all that belongs to it, and its id is free again. Without it, the run stays until you delete it, or until your key's retention ends.",
  }),
  ...EvaluateBy.fields,
  webhook_url: z.string().min(1).max(2048).optional().meta({
    description: "An https address that is called when the run has ended (Standard Webhooks).",
  }),
};

const sources = ["manifest", "manifest_ref", "images_dir"] as const;

/** The body of `POST /v1/batch_extract`. */
export const BatchRequest = z
  .strictObject({
    ...common,
    dry_run: z.boolean().default(false).meta({
      description:
        "True: everything is checked, the labels with all of their records, and no run is made. Then the source may be left out, for a check before the pictures are uploaded.",
    }),
    limit: z.int().min(1).optional().meta({ description: "Only this many items, from the first on." }),
    manifest: z
      .array(ManifestLine)
      .min(1)
      .max(
        inlineManifestLines,
        `more than ${inlineManifestLines} lines: upload them as JSON lines (POST /v1/uploads, kind manifest), and name that by manifest_ref`,
      )
      .optional()
      .meta({ description: `The items themselves, at most ${inlineManifestLines}.` }),
    manifest_ref: z.string().min(1).max(100).optional().meta({
      pattern: Id.uploadRefPattern.source,
      description:
        "A JSONL object uploaded through `POST /v1/uploads` with `kind: manifest`, up to 100,000 lines.",
    }),
    images_dir: z.string().max(1024).optional().meta({
      description: "A folder under the data root, at most 10,000 files: `shared/receipts`.",
    }),
    glob: z.string().min(1).max(500).optional().meta({
      description:
        "For images_dir; default `**/*`. As in a shell: `*`, `?`, `[a-c]`, `[!a]`, `**`, `{a,b}`, `{08..12}`, `@(a|b)`; names that begin with a dot only where the pattern does. One that fits nothing is an error.",
    }),
    exts: z
      .array(
        z
          .string()
          .regex(/^\.?[A-Za-z0-9]{1,10}$/, "must be an extension such as png: 1 to 10 letters and digits"),
      )
      .min(1)
      .max(20)
      .optional()
      .meta({
        description: `For images_dir, in any case. Default: ${Type.extensions.join(", ")}, and of up to ${Limits.batches.folderLooks} other files those that are pictures by their first bytes.`,
      }),
  })
  .superRefine((request, context) => {
    const given = sources.filter((each) => request[each] !== undefined);
    if (given.length !== 1 && !(request.dry_run && given.length === 0))
      for (const path of given.length === 0 ? sources.slice(0, 1) : given)
        context.addIssue({
          code: "custom",
          path: [path],
          message: `exactly one of ${sources.join(", ")} is needed${given.length > 1 ? `, and ${given.length} came` : ""}`,
        });
    for (const path of ["glob", "exts"] as const)
      if (request[path] !== undefined && request.images_dir === undefined)
        context.addIssue({ code: "custom", path: [path], message: "is for images_dir" });
  })
  .meta({
    id: "BatchRequest",
    oneOf: [
      ...oneOf(sources),
      {
        properties: {
          dry_run: { const: true },
          ...Object.fromEntries(sources.map((name) => [name, { not: {} }])),
        },
        required: ["dry_run"],
      },
    ],
    dependentRequired: { glob: ["images_dir"], exts: ["images_dir"] },
  });
export type BatchRequest = z.output<typeof BatchRequest>;

/** The body of `POST /v1/batch_extract_rerun`. */
export const RerunRequest = z
  .strictObject({
    ...common,
    task_id: z.string().min(1).max(100).optional().meta({ description: "Default: the source run's." }),
    concurrency: Concurrency.optional().meta({ description: "Default: the source run's." }),
    look: common.look.meta({ description: "Default: as in the source run." }),
    split: common.split.meta({
      description: "Default: as in the source run; lines that have one of their own keep it.",
    }),
    max_pages: common.max_pages.meta({ description: "Default: as in the source run." }),
    source_run_id: z.string().min(1).max(100).meta({
      pattern: Id.runIdPattern.source,
      description: "The run whose pictures are read again.",
    }),
    only: z.enum(["all", "failed"]).default("all").meta({ description: "All items, or those that failed." }),
    index: z
      .int()
      .min(0)
      .optional()
      .meta({ description: "This item alone, by its index in the source run." }),
  })
  .meta({ id: "RerunRequest" });
export type RerunRequest = z.output<typeof RerunRequest>;

/** One mistake in a manifest; `line` counts from 1. */
export interface ExtractError {
  line: number;
  path: string;
  message: string;
}

export const runStatuses = ["planning", "running", "finishing", "succeeded", "failed", "canceled"] as const;
export type RunStatus = (typeof runStatuses)[number];

export const itemStatuses = ["queued", "running", "succeeded", "failed", "canceled"] as const;
export type ItemStatus = (typeof itemStatuses)[number];

const RunError = StoredError.meta({
  id: "RunError",
  description: "Why a run could not be carried out, with `details.issues` of its manifest.",
});

/** The answer about a run. */
export const Run = z
  .object({
    run_id: z.string(),
    key_id: z.string().meta({ description: "Whose run it is." }),
    task_id: z.string(),
    status: z.enum([...runStatuses, "deleting"]).meta({
      description:
        "A run with failed items is `succeeded`; `failed` means that the run itself could not be carried out. A canceled run is `finishing` until its last item has ended.",
    }),
    created_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    finished_at: z.iso.datetime().nullable(),
    concurrency: z.union([z.int(), AutoConcurrency]),
    slots_why: Why.nullable().meta({
      description: "Why a run on auto has the slots that it has; null for others, and before its first look.",
    }),
    max_pages: z.int().nullable().meta({ description: "Most pages of an item; null: none was given." }),
    split: Split.nullable().meta({
      description: "Whether its files may be several documents; null: none was given.",
    }),
    expires_after: z.int().nullable().meta({ description: "Seconds after its end; null: none was given." }),
    source: z.object({
      kind: z.enum(["manifest", "manifest_ref", "images_dir", "upload", "rerun"]),
      source_run_id: z.string().nullable(),
      persist_inputs: z.boolean(),
    }),
    skipped: Skipped.nullable().meta({
      description: "The files that were left out of `images_dir`; null for other sources.",
    }),
    waiting_for: z.enum(["model_server", "budget"]).nullable(),
    counts: z.object({
      total: z.int(),
      queued: z.int(),
      running: z.int(),
      succeeded: z.int(),
      failed: z.int(),
      canceled: z.int(),
      pages: z
        .int()
        .meta({ description: "Pages that were read so far, of all items; the others count items." }),
      documents: z.int().meta({
        description: "Documents that were read so far: an item that was split is several.",
      }),
    }),
    types: z.partialRecord(z.enum(mimeTypes), z.int()).meta({
      description:
        'How many files of each type were read so far, by their bytes, such as `{"application/pdf": 3}`.',
    }),
    schema_ok: z.int().meta({ description: "Items whose result matches the schema." }),
    schema_failed: z.int(),
    with_warnings: z.int().meta({ description: "Items that have `warnings`." }),
    timings_ms: z.object({
      total: z.int().nullable().meta({ description: "From creation to end; null before." }),
      planning: z.int().nullable(),
      inference: z.int().meta({ description: "Time at the model server, summed over the items." }),
    }),
    usage: Usage,
    cost: RunCost.nullable().meta({
      description:
        "In `GET /v1/runs/{run_id}`; null in other answers, and where neither a pod is managed nor the price of a GPU hour is set.",
    }),
    artifact_rel: z.string().nullable(),
    error: RunError.nullable(),
    eval: z
      .object({
        eval_id: z.string(),
        status: z.enum(["running", "succeeded", "failed"]),
        gt_id: z.string().nullable(),
        gt_name: z.string().nullable(),
        documents: z.int().nullable().meta({ description: "Documents that were measured." }),
        accuracy: z.number().nullable().meta({ description: "Canonical, over all labeled values." }),
        f1: z.number().nullable(),
        poll_url: z.string(),
      })
      .nullable()
      .meta({
        id: "RunEval",
        description:
          "The newest evaluation, in `GET /v1/runs/{run_id}`; null in other answers and without one.",
      }),
    webhook: z
      .object({ delivered: z.boolean(), attempts: z.array(WebhookAttempt) })
      .nullable()
      .meta({ description: "Null without `webhook_url`." }),
    poll_url: z.string(),
  })
  .meta({ id: "Run" });
export type Run = z.output<typeof Run>;

/** Lists are answered from rows, which hold results up to 16 KiB without the fields computed from them. */
const unknownInLists =
  "Computed anew in lists; null there for results above 16 KiB, and in results whose artifact is lost: read `GET /v1/extracts/{request_id}`.";

/** The answer about one item, and a line of results.jsonl. */
export const Item = z
  .object({
    index: z.int(),
    task_id: z.string(),
    custom_id: z.string().nullable(),
    file: z.string().nullable(),
    tags: z.record(z.string(), z.string()).nullable().meta({
      description: "As the manifest's line has them; null without, and for other sources.",
    }),
    status: z.enum(itemStatuses),
    request_id: z.string().meta({ description: "`<run_id>~<index>`, for `GET /v1/extracts/{request_id}`." }),
    artifact_rel: z.string().nullable(),
    result: z.record(z.string(), z.unknown()).nullable().meta({
      description:
        "In lists null for results above 16 KiB: these are in the artifact and in the results. Null for a file that is several documents.",
    }),
    documents: Extract.shape.documents,
    complete: Extract.shape.complete,
    rows: Extract.shape.rows,
    schema_ok: z.boolean().nullable(),
    schema_errors: Extract.shape.schema_errors.nullable().meta({
      description: `As in a single extract. ${unknownInLists}`,
    }),
    normalized: Schema.Normalized.nullable().meta({
      description: `The canonical forms of the printed values, by concrete path (\`items[0].price\`). ${unknownInLists}`,
    }),
    checks: z
      .array(Schema.Check)
      .nullable()
      .meta({ description: `The arithmetic over what was read. ${unknownInLists}` }),
    warnings: Warnings,
    pages: z.int().nullable().meta({
      description: "How many pages were read. Null where the model was not asked, and of older runs.",
    }),
    quality: Extract.shape.quality,
    embedded: Extract.shape.embedded,
    error: StoredError.nullable(),
    model: z.string().nullable().meta({
      description:
        "The model's name, as the server reports it. Null if the model was not asked, and in lists.",
    }),
    prompt_sha256: z.string().nullable().meta({ description: "Null where the model was not asked." }),
    schema_sha256: z.string().nullable().meta({ description: "Null where the model was not asked." }),
    image_sha256: z.string().nullable().meta({
      description: "sha256 of the picture as received. Null if it could not be read, and in lists.",
    }),
    attempts: z.int().meta({ description: "Attempts that counted; waiting for the model server does not." }),
    timings_ms: z.object({ total: z.int(), image: z.int(), inference: z.int(), validate: z.int() }),
    usage: Usage,
  })
  .meta({ id: "RunItem" });
export type Item = z.output<typeof Item>;

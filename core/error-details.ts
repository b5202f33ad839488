import * as z from "zod";
import { mimeTypes } from "#spec/pictures";

/*
 * The facts of an error, `error.details` on the wire. The list is closed, so that clients have a type for all of
 * them.
 */

const tokens = z.int().min(0);

/** One mistake in a request. */
const Issue = z
  .object({
    line: z.int().min(1).optional().meta({ description: "In a manifest, the number of the line, from 1." }),
    file: z
      .string()
      .optional()
      .meta({ description: "In a ground truth, the picture that the record names." }),
    path: z.string().meta({ description: "Dotted path into the body or query; empty for the whole of it." }),
    message: z.string(),
  })
  .meta({ id: "ErrorIssue" });

/** An item that a ledger cannot book. */
const LeftOut = z
  .object({
    index: z.int().min(0),
    document: z
      .int()
      .min(1)
      .optional()
      .meta({ description: "Which document of the item, if it has several." }),
    custom_id: z.string().nullable(),
    file: z.string().nullable(),
    reason: z
      .string()
      .meta({ description: "In snake_case; `docs/ledgers.md` lists all, each with what to do." }),
    message: z.string(),
  })
  .meta({ id: "LeftOutItem" });

/**
 * `reason` of each `conflict`. Programs branch on it, because each needs another reaction. `docs/errors.md` has all.
 */
export const conflictReasons = [
  ...(["id_reused", "idempotency_key_reused", "extract_deleted", "run_deleted"] as const),
  ...(["extract_running", "extract_taken_over", "item_of_run"] as const),
  ...(["run_not_ended", "run_active", "rerun_not_ended", "run_ended", "run_failed"] as const),
  ...([
    "inputs_not_kept",
    "nothing_to_rerun",
    "results_missing",
    "no_results",
    "results_too_large",
    "items_left_out",
  ] as const),
  ...(["eval_not_ended", "eval_failed", "other_task", "other_order", "too_long"] as const),
  ...(["upload_replaced", "upload_in_use", "data_in_use", "pod_manager_off", "artifact_taken"] as const),
  // Of commands only.
  ...(["key_exists", "key_revoked", "key_expired", "still_overlaps", "pod_refuses"] as const),
] as const;

/** Every fact that an error may have; the code and `reason` determine which ones are present. */
export const ErrorDetails = z
  .object({
    issues: z.array(Issue).optional().meta({
      description: "For invalid_request, the mistakes; for a manifest, the first 100.",
    }),
    issue_count: z.int().min(0).optional().meta({ description: "How many issues there are in all." }),
    reason: z
      .string()
      .optional()
      .meta({
        description: `The cause within the code, in snake_case; each \`conflict\` has one of ${conflictReasons
          .slice(0, conflictReasons.indexOf("key_exists"))
          .map((reason) => `\`${reason}\``)
          .join(", ")}.`,
      }),
    required_scopes: z
      .array(z.string())
      .optional()
      .meta({ description: "The scopes that the key would need." }),
    field: z.string().optional().meta({ description: "The field that is not allowed." }),
    allowed: z
      .union([z.array(z.string()), z.number()])
      .optional()
      .meta({
        description: "For method_not_allowed, the methods of the path; beside `limit`, the limit itself.",
      }),
    expected: z
      .union([z.string(), z.array(z.string())])
      .optional()
      .meta({ description: "The media type that the body must have, or those that it may have." }),
    supported: z
      .array(z.enum(mimeTypes))
      .optional()
      .meta({ description: "The media types of pictures that are read." }),
    limit: z.union([z.string(), z.int()]).optional().meta({
      description: "The name of the key's limit that was hit; of `too_many_pages`, how many are read.",
    }),
    used: z.number().optional().meta({ description: "What is used of the limit." }),
    requested: z.number().optional().meta({ description: "What this call would have used of it." }),
    retry_after_s: z.int().min(0).optional().meta({ description: "As in `Retry-After`." }),
    limit_bytes: z.int().min(0).optional(),
    bytes: z.int().min(0).optional().meta({ description: "Beside `limit_bytes`: the actual size." }),
    recipe: z
      .array(z.string())
      .optional()
      .meta({ description: "For payload_too_large and image_too_large, what to do instead, in steps." }),
    limit_megapixels: z.number().optional(),
    megapixels: z.number().optional(),
    width: z.int().min(0).optional().meta({ description: "Of the picture, in pixels." }),
    height: z.int().min(0).optional().meta({ description: "Of the picture, in pixels." }),
    limit_ratio: z.number().optional().meta({ description: "Largest ratio of a picture's sides." }),
    limit_ms: z.int().min(0).optional().meta({ description: "Longest time that the picture may take." }),
    limit_cpu_ms: z
      .int()
      .min(0)
      .optional()
      .meta({ description: "Most CPU time that the picture may take in one step." }),
    limit_scans: z.int().min(0).optional(),
    limit_pages: z.int().min(0).optional(),
    limit_parts: z.int().min(0).optional().meta({ description: "Most parts that a picture may have." }),
    pages: z.int().min(0).optional().meta({ description: "For `too_many_pages`, the number of pages." }),
    found: z
      .int()
      .min(0)
      .optional()
      .meta({ description: "For `too_many_receipts`, how many were found before the search ended." }),
    context_tokens: tokens.nullable().optional().meta({ description: "The model's context." }),
    prompt_tokens: tokens.optional().meta({ description: "What the prompt takes of it." }),
    max_tokens: tokens.optional().meta({ description: "What the answer may take of it." }),
    rows: z.int().min(0).optional().meta({ description: "Rows that were read before the answer ended." }),
    artifact_rel: z
      .string()
      .nullable()
      .optional()
      .meta({ description: "Key of the failed attempt's record, without S3_PREFIX." }),
    skipped: z
      .object({ count: z.int().min(0), by_reason: z.record(z.string(), z.int().min(0)) })
      .optional()
      .meta({
        description:
          "For a folder without pictures, the number of its objects by the reason that left them out.",
      }),
    status: z.int().optional().meta({ description: "The HTTP status that `image_url` answered with." }),
    missing: z.int().min(0).optional().meta({ description: "Pictures of the run that are gone." }),
    left_out: z
      .array(LeftOut)
      .optional()
      .meta({ description: "For items_left_out, the first 100 items that the ledger cannot book." }),
    left_out_count: z.int().min(0).optional().meta({ description: "How many these are in all." }),
    checked: z.int().min(0).optional().meta({ description: "Pictures of the run that were looked for." }),
    differs: z.array(z.string()).optional().meta({
      description: "For `too_long`, what differs besides the answers, as in EvaluationDiff.",
    }),
  })
  .meta({ id: "ErrorDetails", description: "Facts; which ones, the code and `reason` say." });
export type ErrorDetails = z.output<typeof ErrorDetails>;

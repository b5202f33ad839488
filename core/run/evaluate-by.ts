import * as z from "zod";
import * as Schema from "#core/ground-truth/schema";
import * as Id from "#core/id";
import * as DataRoot from "#core/upload/data-root";

/**
 * Which labels a run is evaluated by at its end, as its row stores it: a `gt_id`, or a file as it was when the run
 * was made.
 */
export type EvaluateBy =
  | { gt_id: string; image_key: string }
  | { object_key: string; etag: string; image_key: string };

/** The fields of the routes that make a run. */
export const fields = {
  gt_id: z.string().min(1).max(100).optional().meta({
    pattern: Id.groundTruthIdPattern.source,
    description:
      "A ground truth (`POST /v1/ground_truths`): the run is measured by it when it ends. Needs the scope `debug:run`.",
  }),
  gt_path: z.string().min(1).max(1024).optional().meta({
    pattern: DataRoot.keyPattern,
    maxLength: DataRoot.maxBytes,
    description:
      "Instead of `gt_id`: a key under the data root, JSON or JSON lines. Needs the scope `debug:run` and `DEBUG_MODE=1`.",
  }),
  gt_image_key: Schema.ImageKey.optional().meta({
    description:
      "Which member of a record names its picture; the ground truth's own without it, `file` of a `gt_path`.",
  }),
};

/** The fields of a call that name labels. */
export interface Wish {
  gt_id?: string | undefined;
  gt_path?: string | undefined;
  gt_image_key?: string | undefined;
}

/** The part that belongs to the run's hash. Empty without labels, so that such calls keep their hash. */
export const payloadOf = ({ gt_id, gt_path, gt_image_key }: Wish): unknown[] =>
  gt_id === undefined && gt_path === undefined
    ? []
    : [["evaluate_by", gt_id ?? null, gt_path ?? null, gt_image_key ?? null]];

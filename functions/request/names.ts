import * as z from "zod";
import * as Id from "#core/id";

/*
 * Ids as parameters. The pattern of ids in paths is only documentation for client generators and is not checked: an id
 * of another form does not exist, and is answered like every unknown id.
 */

/** An extract, or an item of a run. */
export const requestId = z.string().meta({
  pattern: Id.readableIdPattern.source,
  description: "The extract's id; of an item of a run `<run_id>~<index>`.",
  example: "receipt-0001",
});

export const runId = z.string().meta({
  pattern: Id.runIdPattern.source,
  description: "The run's id.",
  example: "november",
});

export const uploadRef = z.string().meta({
  pattern: Id.uploadRefPattern.source,
  description: "The `image_ref` or `manifest_ref` of the upload.",
  example: "upload_3q2W1x9vT0aZ8yB7cD6eF5gH",
});

export const evalId = z.string().meta({
  pattern: Id.evalIdPattern.source,
  description: "The evaluation's id.",
});
export const groundTruthId = z.string().meta({
  pattern: Id.groundTruthIdPattern.source,
  description: "The ground truth's id.",
  example: "gt_3q2W1x9vT0aZ8yB7cD6eF5gH",
});

export const taskId = z.string().meta({ description: "The task's id.", example: "receipt_fields_v1" });

/**
 * Query parameter: another key, whose objects are meant. It is checked, because a list would answer a typing error with
 * an empty page.
 */
export const keyId = (description: string) =>
  z
    .string()
    .regex(Id.keyIdPattern, "not the id of a key: lower-case letters, digits, - and _, 64 at most")
    .optional()
    .meta({ description });

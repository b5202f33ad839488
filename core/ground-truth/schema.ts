import * as z from "zod";
import * as Id from "#core/id";

/*
 * Requests and responses of the ground truth routes.
 */

/** The member of a record that names its picture, unless another one is set (`gt_image_key`). */
export const defaultImageKey = "file";

const Name = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "control characters are not allowed")
  // A command takes either: it could not tell which one is meant.
  .refine((name) => !Id.groundTruthIdPattern.test(name), "has the form of a gt_id: choose another name")
  .meta({
    // The same for engines without Unicode classes.
    pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
    description: "Your name for it. Ground truths of one name are versions of it.",
  });

/** The member of a record that names its picture; also used by the routes that create a run. */
export const ImageKey = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "control characters are not allowed")
  .meta({ pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]*$" });

const image_key = ImageKey.default(defaultImageKey).meta({
  description: "Which member of a record names its picture.",
});

/** The JSON body of `POST /v1/ground_truths`. */
export const Request = z
  .strictObject({
    name: Name,
    content: z
      .union([z.array(z.unknown()), z.record(z.string(), z.unknown()), z.string()])
      .optional()
      .meta({
        description:
          "The records: a list, an object with the list `items`, an object of records by their pictures' names, or JSON lines as a text.",
      }),
    data_ref: z.string().min(1).max(100).optional().meta({
      pattern: Id.uploadRefPattern.source,
      description:
        "What `POST /v1/uploads` returned for `kind: ground_truth`: JSON or JSON lines of up to 100 MiB, packed with gzip or not.",
    }),
    gt_image_key: image_key,
  })
  .superRefine(({ content, data_ref }, context) => {
    if ((content === undefined) === (data_ref === undefined))
      context.addIssue({
        code: "custom",
        path: ["content"],
        message: "exactly one of content, data_ref is needed",
      });
  })
  .meta({
    id: "GroundTruthRequest",
    oneOf: [{ required: ["content"] }, { required: ["data_ref"] }],
  });
export type Request = z.output<typeof Request>;

/** The same as a form: the records are sent as a file. */
export const FormFields = z.strictObject({ name: Name, gt_image_key: image_key });
export const Form = FormFields.extend({
  file: z.string().meta({ format: "binary", description: "JSON or JSON lines, packed with gzip or not." }),
}).meta({ id: "GroundTruthForm" });

/** The body of `POST /v1/ground_truths/from_run`. */
export const FromRunRequest = z
  .strictObject({
    name: Name,
    run_id: z.string().min(1).max(100).meta({
      pattern: Id.runIdPattern.source,
      description: "A run that has ended: its answers become a draft.",
    }),
  })
  .meta({ id: "GroundTruthFromRunRequest" });
export type FromRunRequest = z.output<typeof FromRunRequest>;

const Version = z.object({
  gt_id: z.string(),
  sha256: z.string(),
  created_at: z.iso.datetime(),
});

/** A ground truth, without its records. */
export const GroundTruth = z
  .object({
    gt_id: z.string(),
    key_id: z.string().meta({ description: "The key that it belongs to." }),
    name: z.string(),
    sha256: z.string().meta({
      description: "sha256 of its records: equal labels have the same one, whatever form they were sent in.",
    }),
    records: z.int().min(0),
    bytes: z.int().min(0),
    gt_image_key: z.string(),
    from_run_id: z.string().nullable().meta({
      description: "The run that it was drafted from: measured against it, that run's answers are all right.",
    }),
    created_at: z.iso.datetime(),
  })
  .meta({ id: "GroundTruth" });
export type GroundTruth = z.output<typeof GroundTruth>;

/** With the URL of its records. */
export const WithContent = GroundTruth.extend({
  content_url: z
    .string()
    .meta({ description: "URL of its records as JSON lines. Keep it secret until it expires." }),
  content_expires_at: z.iso.datetime(),
}).meta({ id: "GroundTruthWithContent" });

/** The new ground truth, and what to check before using it. */
export const Created = GroundTruth.extend({
  previous: Version.nullable().meta({ description: "The previous version of the same name." }),
  unnamed: z.int().min(0).meta({
    description: "Records that do not name a picture: no run has an item for them.",
  }),
  duplicates: z.array(z.string()).meta({
    description: "Names that several records have, the first 100: none of those is used.",
  }),
  duplicate_count: z.int().min(0),
}).meta({ id: "CreatedGroundTruth" });
export type Created = z.output<typeof Created>;

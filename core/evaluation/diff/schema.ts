import * as z from "zod";

/** The differences between two runs, as stored and returned. */

const count = z.int().min(0);

export const Verdict = z.enum(["regressed", "improved", "INCONCLUSIVE", "no_change"]).meta({
  id: "EvalVerdict",
  description:
    "regressed, improved: found at 5 % over all fields together (McNemar's exact test, Holm); INCONCLUSIVE: documents changed sides, and chance may do so; no_change: none did",
});
export type Verdict = z.infer<typeof Verdict>;

export const DiffField = z
  .object({
    path: z.string(),
    documents: count.meta({ description: "Documents in which it is scored, by the labels of both" }),
    regressed_documents: count.meta({ description: "b: right in the first run, wrong in the second" }),
    improved_documents: count.meta({ description: "c: wrong in the first run, right in the second" }),
    fixed: count.meta({ description: "Values (for columns: cells) that were wrong and are right now" }),
    broken: count.meta({ description: "Values that were right and are wrong now" }),
    changed: count.meta({ description: "Wrong in both, with another value" }),
    still_wrong: count.meta({ description: "Wrong in both with the same value" }),
    p: z.number().min(0).max(1),
    p_adjusted: z.number().min(0).max(1).meta({ description: "Holm's, over `fields_tested`" }),
    verdict: Verdict,
    documents_needed: count.meta({
      description:
        "How many documents a difference of 5 points needs to be found with 80 % power, given how many change sides here",
    }),
  })
  .meta({ id: "EvalDiffField" });
export type DiffField = z.infer<typeof DiffField>;

const differences = { first_only: count, second_only: count, relabeled: count };

const LabelDifferences = z
  .object({ ...differences, fields: z.array(z.object({ path: z.string(), ...differences })) })
  .meta({
    id: "EvalDiffLabels",
    description:
      "Values that only the labels of the first evaluation score, those that only the second's score, and those that the two label with another value (`relabeled`); they are in no other figure. All are 0 where both evaluations have the same labels",
  });

export const DiffFigures = z
  .object({
    documents: count.meta({ description: "Labeled documents that both runs have" }),
    answers: z.object({ first_only: count, second_only: count, neither: count }).meta({
      description:
        "Documents that only the first run answered, only the second, and neither: items that failed or were canceled miss every labeled value",
    }),
    verdict: Verdict.meta({ description: "regressed if any field is, else improved if any field is" }),
    alpha: z.number(),
    fields_tested: count,
    least_discordant: count.meta({
      description: "With fewer documents that change sides, a field among so many can have no verdict",
    }),
    label_differences: LabelDifferences,
    fields: z.array(DiffField),
  })
  .meta({ id: "EvalDiff" });
export type DiffFigures = z.infer<typeof DiffFigures>;

export const DiffSide = z.object({
  eval_id: z.string(),
  run_id: z.string(),
  gt_name: z.string().nullable(),
  gt_sha256: z.string().nullable(),
  gt_image_key: z.string(),
  gt_from_run_id: z.string().nullable().meta({
    description:
      "The run whose answers are the labels, as an uncorrected draft: a verdict then only says how far runs agree",
  }),
  rules_version: z.string().nullable(),
});
export type DiffSide = z.infer<typeof DiffSide>;

const text = z.string().nullable();
const DiffChange = z
  .object({
    kind: z.enum(["broken", "fixed", "changed", "still_wrong"]),
    file: text,
    custom_id: text,
    document: z.int().min(1).meta({ description: "More than 1 if a picture shows several papers" }),
    field: z.string(),
    path: z.string(),
    in_answer: z.boolean().meta({
      description:
        "True for a value of a row that the paper does not have: `path` is its place in the answer, else in the labels",
    }),
    expected: text.meta({ description: "As labeled; texts are cut after 500 characters" }),
    accepted: z.array(text).meta({
      description: "All accepted values, null for none; the first 16",
    }),
    before: text,
    after: text,
    before_answered: z.boolean().meta({ description: "False if the first run has no answer for it" }),
    after_answered: z.boolean(),
  })
  .meta({ id: "EvalDiffChange" });
export type DiffChange = z.infer<typeof DiffChange>;

/** The differences of two evaluations. */
export const EvaluationDiff = DiffFigures.extend({
  first: DiffSide,
  second: DiffSide,
  compared_by: z.enum(["canonical", "exact"]),
  differs: z.array(z.enum(["labels", "rules", "str_mode"])).meta({
    description:
      "What differs besides the answers: the labels (their version, or the member that names their pictures), the version of the rules for the meaning of values, how printed texts are compared. Any of these may be the cause of a verdict",
  }),
  only_in_first: count.meta({
    description: "Documents that the other one does not have, by file or custom_id; they are in no figure",
  }),
  only_in_second: count,
  changes: z.array(DiffChange).meta({
    description: "The first 100 values of each kind; all are counted under `fields`",
  }),
}).meta({ id: "EvaluationDiff" });
export type EvaluationDiff = z.infer<typeof EvaluationDiff>;

const AgreementField = z
  .object({
    path: z.string(),
    compared: count,
    same: count.meta({ description: "Equal in meaning; two missing values are equal" }),
    same_exact: count,
    one_sided: count.meta({ description: "A value in only one of the runs" }),
    agreement: z.number().min(0).max(1).nullable(),
    agreement_exact: z.number().min(0).max(1).nullable(),
  })
  .meta({ id: "EvalAgreementField" });

export const AgreementFigures = z
  .object({
    documents: count,
    not_compared: count.meta({ description: "Documents without an answer in at least one of the runs" }),
    fields: z.array(AgreementField),
  })
  .meta({
    id: "EvalAgreement",
    description: "How far two runs agree, without a ground truth: not which of them is right",
  });
export type AgreementFigures = z.infer<typeof AgreementFigures>;

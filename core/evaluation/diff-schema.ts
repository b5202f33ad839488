import * as z from "zod";

/** What two runs differ in, as it is stored and answered. */

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
    documents: count.meta({ description: "In which it is scored" }),
    regressed_documents: count.meta({ description: "b: right in the first run, wrong in the second" }),
    improved_documents: count.meta({ description: "c: wrong in the first run, right in the second" }),
    fixed: count.meta({ description: "Values, of columns cells, that are right now" }),
    broken: count.meta({ description: "Values that were right" }),
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

export const DiffFigures = z
  .object({
    documents: count.meta({ description: "That both runs have and that are labelled" }),
    verdict: Verdict.meta({ description: "regressed where any field is, else improved where any is" }),
    alpha: z.number(),
    fields_tested: count,
    least_discordant: count.meta({
      description: "With fewer documents that change sides, a field among so many can have no verdict",
    }),
    fields: z.array(DiffField),
  })
  .meta({ id: "EvalDiff" });
export type DiffFigures = z.infer<typeof DiffFigures>;

const AgreementField = z
  .object({
    path: z.string(),
    compared: count,
    same: count.meta({ description: "The same in meaning; nothing in both is the same" }),
    same_exact: count,
    one_sided: count.meta({ description: "A value in one run alone" }),
    agreement: z.number().min(0).max(1).nullable(),
    agreement_exact: z.number().min(0).max(1).nullable(),
  })
  .meta({ id: "EvalAgreementField" });

export const AgreementFigures = z
  .object({
    documents: count,
    not_compared: count.meta({ description: "Without an answer in one of the runs, or in both" }),
    fields: z.array(AgreementField),
  })
  .meta({
    id: "EvalAgreement",
    description: "How far two runs agree, without a ground truth: not which of them is right",
  });
export type AgreementFigures = z.infer<typeof AgreementFigures>;

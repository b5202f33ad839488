import * as z from "zod";

/** The figures of an evaluation, as stored and returned. */

const share = z.number().min(0).max(1).nullable();
/** Lower and upper end. */
const interval = z.array(z.number()).length(2).nullable();
const count = z.int().min(0);

const rates = { precision: share, recall: share, f1: share, accuracy: share };

export const Rates = z
  .object({
    ...rates,
    intervals: z.object({ precision: interval, recall: interval, f1: interval, accuracy: interval }),
  })
  .meta({
    id: "EvalRates",
    description:
      "P = matched/(matched+wrong+invented), R = matched/(matched+wrong+missing+abstained), F1 = 2·matched/(both denominators), accuracy = (matched+absent_both)/scored. null is 0/0. `intervals` are of 95 %: Wilson's over documents for P, R and accuracy of a single field, else percentiles of 2,000 resamples of the documents. Of fewer than 10 documents, or where all resamples are the same, they are Wilson's with each document as one trial",
  });
export type Rates = z.infer<typeof Rates>;

const counters = {
  matched: count,
  wrong: count,
  missing: count.meta({ description: "The paper has a value, the answer none; all values of a failed item" }),
  invented: count.meta({ description: "The paper has none, the answer a value" }),
  abstained: count.meta({ description: "The model said that it cannot read it" }),
  absent_both: count,
  unreadable_matched: count.meta({ description: "Labeled `?` and left out, which is right; in no rate" }),
  unreadable_invented: count.meta({ description: "Labeled `?` and answered; in no rate" }),
};

export const FieldFigures = z
  .object({
    path: z.string().meta({ description: "`totals.total`, `items[].price`: of columns, cells are counted" }),
    kind: z.enum(["money", "count", "percent", "date", "time", "currency", "text"]),
    ...counters,
    scored: count.meta({ description: "All values except those labeled as unreadable" }),
    ...Rates.shape,
    exact: z.object({ ...counters, ...Rates.shape }).meta({ description: "The same by printed text" }),
  })
  .meta({ id: "EvalField", description: "One field, its values compared by what they mean" });
export type FieldFigures = z.infer<typeof FieldFigures>;

export const ListFigures = z
  .object({
    path: z.string(),
    rows_expected: count,
    rows_predicted: count,
    rows_paired: count,
    row_recall: share,
    row_precision: share,
    cell_accuracy: share.meta({ description: "Right cells of paired rows" }),
    cell_accuracy_exact: share,
    intervals: z.object({
      ...{ row_recall: interval, row_precision: interval },
      ...{ cell_accuracy: interval, cell_accuracy_exact: interval },
    }),
  })
  .meta({ id: "EvalLineItems" });
export type ListFigures = z.infer<typeof ListFigures>;

export const Overall = z
  .object({
    // Without a description: beside one the generated schema would allow no property.
    micro: Rates,
    macro: Rates,
    documents_right: count.meta({ description: "Documents whose labeled values are all right" }),
    documents_right_share: share.meta({ description: "Of `documents_judged`" }),
    documents_right_interval: interval,
  })
  .meta({
    id: "EvalOverall",
    description:
      "`micro`: all values of all fields together. `macro`: the mean over fields that have the rate.",
  });
export type Overall = z.infer<typeof Overall>;

export const Published = z
  .object({
    donut: z
      .object({
        accuracy: share,
        f1: share,
        documents: count.meta({
          description:
            "Number of documents in the mean accuracy: documents with more than about 300 rows have none",
        }),
        ...{ accuracy_interval: interval, f1_interval: interval },
      })
      .meta({ description: "Tree-edit accuracy and F1 as Donut's evaluator computes them (1.0.9)" }),
    sroie: z
      .object({ precision: share, recall: share, f1: share, f1_interval: interval })
      .nullable()
      .meta({ description: "SROIE task 3; null for a task without company, date, address and total" }),
    extract_bench: z
      .object({ value_f1: share, value_f1_interval: interval })
      .meta({ description: "ExtractBench's value F1, without its per-field options" }),
  })
  .meta({ id: "EvalPublished", description: "Figures that can be compared with published ones" });
export type Published = z.infer<typeof Published>;

export const Slice = z
  .object({
    dimension: z.string().meta({
      description:
        "`tags.NAME`, `folder`, `merchant`, `currency`, `language`, `quality` or `rows`: a document is in the slice of its value in each dimension that it has, and in one slice for each fault of its picture",
    }),
    value: z.string().meta({ description: "`(others)` stands for all after the first 200 values" }),
    documents: count,
    documents_judged: count,
    documents_right: count,
    documents_right_interval: interval,
    ...rates,
    exact: z.object(rates),
    row_recall: share,
    row_precision: share,
  })
  .meta({ id: "EvalSlice" });
export type Slice = z.infer<typeof Slice>;

export const AmbiguousLabels = z
  .object({
    count,
    first: z.array(z.object({ file: z.string().nullable(), path: z.string(), label: z.string() })),
  })
  .meta({
    id: "EvalAmbiguousLabels",
    description:
      "Labeled values that can be read in several ways, such as `35.000`, and so are compared as printed. All are counted; the first hundred are named",
  });
export type AmbiguousLabels = z.infer<typeof AmbiguousLabels>;

export const Figures = z
  .object({
    summary: z
      .object({
        documents: count.meta({ description: "Labeled documents" }),
        documents_judged: count.meta({
          description:
            "Labeled documents with at least one value that is scored: `documents_right` counts among them. Not judged are documents whose labels are all `?`, or all for fields that the task does not read",
        }),
        answered: count.meta({ description: "The others failed, were canceled, or have no answer" }),
        canonical: Overall,
        exact: Overall,
        line_items: z.array(ListFigures),
        published: Published,
      })
      .meta({ id: "EvalSummary" }),
    fields: z.array(FieldFigures),
    slices: z.array(Slice),
  })
  .meta({ id: "EvalFigures" });
export type Figures = z.infer<typeof Figures>;

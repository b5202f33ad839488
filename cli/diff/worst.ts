/** The receipts that changed between two evaluations, as a table: most broken values first. */
import { stringify } from "csv-stringify/sync";
import * as Progress from "#cli/batch/progress";
import * as Evaluate from "#cli/evals/evaluate";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";
import * as Place from "#core/artifact/place";
import * as Said from "#core/evaluation/compare/said";
import * as Diff from "#core/evaluation/diff/diff";
import * as Pair from "#core/evaluation/diff/pair";
import type * as Schema from "#core/evaluation/diff/schema";
import type * as Read from "#core/evaluation/read";
import type * as Wire from "#core/evaluation/wire";

const kinds = ["broken", "fixed", "changed", "still_wrong"] as const;

interface Receipt {
  counts: Record<(typeof kinds)[number], number>;
  samples: readonly [Wire.Sample, Wire.Sample];
  /** Paths of the broken values. */
  broken: string[];
}

/**
 * A line for each document that both have and that has a value not right in both. Memory holds a line each; the documents
 * themselves are read in step. Texts cannot become formulas. Throws CallError.
 */
export async function worst(
  context: Context,
  server: Server,
  [first, second]: readonly [Read.Shown, Read.Shown],
  { compared_by: mode, differs }: Pick<Schema.EvaluationDiff, "compared_by" | "differs">,
): Promise<string> {
  const diff = Diff.create(first.fields, { sameLabels: !differs.includes("labels") });
  const left: Pair.Left = { only_in_first: 0, only_in_second: 0 };
  const total = Math.min(first.summary?.documents ?? 0, second.summary?.documents ?? 0);
  const progress = Progress.start(context, { label: "worst receipts", unit: "documents", total });
  const receipts: Receipt[] = [];
  try {
    const lines = (side: Read.Shown) => Evaluate.lines(context, side);
    for await (const samples of Pair.pairs<Wire.Sample>(lines(first), lines(second), left)) {
      const changes = Diff.add(diff, ...samples, mode);
      progress.update(diff.documents);
      if (changes.length === 0) continue;
      const counts = { broken: 0, fixed: 0, changed: 0, still_wrong: 0 };
      for (const { kind } of changes) counts[kind] += 1;
      const broken = changes.flatMap((change) => (change.kind === "broken" ? [Said.pathOf(change)] : []));
      receipts.push({ counts, samples: samples.map(lighter) as [Wire.Sample, Wire.Sample], broken });
    }
  } finally {
    progress.stop();
  }
  const runs = await Promise.all(
    [first, second].map(({ run_id }) => Evaluate.runOf(context, server, run_id)),
  );
  const rows = receipts
    .toSorted((a, b) => kinds.map((kind) => b.counts[kind] - a.counts[kind]).find((by) => by !== 0) ?? 0)
    .map(({ counts, samples, broken }) => [
      ...kinds.map((kind) => counts[kind]),
      samples[1].file ?? "",
      String(samples[1].document),
      samples[1].custom_id ?? "",
      ...samples.map(({ request_id }, i) =>
        Place.extractKey(runs[i]?.key_id ?? "", request_id, new Date(runs[i]?.created_at ?? 0)),
      ),
      broken.join(" "),
    ]);
  const about = ["file", "document", "custom_id"];
  const head = [...kinds, ...about, "first_artifact_rel", "second_artifact_rel", "broken_fields"];
  return stringify([head, ...rows], { bom: true, escape_formulas: true });
}

/** The document without its values, which need most of the memory. */
const lighter = (sample: Wire.Sample): Wire.Sample => ({ ...sample, verdicts: [] });

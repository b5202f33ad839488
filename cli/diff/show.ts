/** Differences of two evaluations, and the agreement of two runs, for a terminal. */
import type { Context } from "#cli/terminal/context";
import * as Prose from "#cli/terminal/prose";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import * as Said from "#core/evaluation/compare/said";
import type * as Pair from "#core/evaluation/diff/pair";
import type * as Schema from "#core/evaluation/diff/schema";
import type { Agreed } from "./agree.ts";

type Columns = Pick<Context, "columns">;

const percent = (share: number | null): string => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

function probability(p: number): string {
  if (p < 0.0001) return "<0.0001";
  return p.toFixed(4).replace(/\.?0+$/, "");
}

const labelsOf = ({ gt_name, gt_sha256 }: Schema.DiffSide): string =>
  `${gt_name ?? "of a file"}${gt_sha256 === null ? "" : ` (${gt_sha256.slice(0, 12)})`}`;

/** What was compared, and by which labels. */
function sides({ first, second }: Schema.EvaluationDiff): string[] {
  const [before, after] = [labelsOf(first), labelsOf(second)];
  return [
    `first:  ${first.run_id} (${first.eval_id})`,
    `second: ${second.run_id} (${second.eval_id})`,
    `labels: ${before === after ? before : `${before}, ${after}`}`,
  ];
}

/** What differs besides the answers. */
function warnings(found: Schema.EvaluationDiff): string[] {
  const { differs, first, second, label_differences: labels } = found;
  const says: Record<Schema.EvaluationDiff["differs"][number], string> = {
    labels:
      first.gt_image_key === second.gt_image_key
        ? "the labels are of two versions"
        : `the labels name their pictures by ${Text.shown(first.gt_image_key)}, and by ${Text.shown(second.gt_image_key)}`,
    rules: `rules for values: ${first.rules_version ?? "unknown"}, ${second.rules_version ?? "unknown"}`,
    str_mode: "texts are compared in two ways (--str-mode)",
  };
  const lines = differs.map((what) => `NOT THE SAME: ${says[what]}`);
  for (const run of new Set([first.gt_from_run_id, second.gt_from_run_id]))
    if (run !== null)
      lines.push(
        `NOT CORRECTED: the labels are a draft of ${Text.shown(run)}, so this says how far the runs agree with it, and not which is better.`,
      );
  if (labels.fields.length > 0) {
    const { first_only, second_only, relabeled, fields } = labels;
    const of = fields.map(
      (field) => `${field.path} ${field.first_only}, ${field.second_only}, ${field.relabeled}`,
    );
    lines.push(
      `Labels differ: ${Text.counted(first_only, "value")} labeled for the first alone, ${second_only} for the second alone, ${relabeled} for both with another value (${of.join("; ")}). They are in no other figure.`,
    );
  }
  if (differs.length > 0) lines.push("A verdict may speak of that, and not of the answers.");
  return lines;
}

/** How many documents are compared, which are not, and which have no answer. */
function documentLines({ documents, answers, ...left }: Schema.EvaluationDiff): string[] {
  const { first_only: lost, second_only: won, neither } = answers;
  return [
    `${Text.counted(documents, "document")} in both${alone(left)}`,
    ...(lost + won + neither > 0
      ? [
          `without an answer (failed, canceled or not read): ${won} before and read now, ${lost} now and read before, ${neither} in both`,
        ]
      : []),
  ];
}

const alone = ({ only_in_first: a, only_in_second: b }: Pair.Left): string =>
  a + b === 0 ? "" : `; in one of them alone: ${a} and ${b}, in no figure`;

/** The verdicts, the counts of values, and examples of each kind. */
export function diff(found: Schema.EvaluationDiff, examples: number, context: Columns): string {
  const scored = found.fields.filter(({ documents }) => documents > 0);
  const parts = [
    Prose.lines([...sides(found), ...documentLines(found), ...warnings(found)], context),
    verdicts(found, scored, context),
    values(scored, context),
    ...kinds.map((kind) => listed(found, kind, examples, context)),
    lines([`verdict: ${found.verdict}`]),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("");

function verdicts(
  found: Schema.EvaluationDiff,
  scored: readonly Schema.DiffField[],
  context: Columns,
): string {
  const rows = scored.map((field) => [
    field.path,
    ...[field.regressed_documents, field.improved_documents].map(String),
    ...[field.p, field.p_adjusted].map(probability),
    field.verdict,
    field.verdict === "INCONCLUSIVE" ? String(field.documents_needed) : "",
  ]);
  const table = Table.table([["FIELD", "B", "C", "P", "HOLM", "VERDICT", "NEEDS"], ...rows], context);
  const many = Text.counted(found.fields_tested, "field");
  const legend = [
    "B, C: documents in which the first run alone is right, or the second alone.",
    `P: McNemar's exact test. HOLM: corrected for ${many}; verdicts are under ${found.alpha}.`,
  ];
  if (scored.some(({ verdict }) => verdict === "INCONCLUSIVE"))
    legend.push(
      `INCONCLUSIVE: it may be chance. With ${many} at least ${found.least_discordant} documents must`,
      "change sides; NEEDS is how many receipts a difference of 5 points needs.",
    );
  return `${table}${Prose.lines(legend, context)}`;
}

const kinds = ["broken", "fixed", "changed", "still_wrong"] as const;
const called = { broken: "broken", fixed: "fixed", changed: "changed", still_wrong: "still wrong" } as const;
const meaning = {
  broken: "right before, wrong now",
  fixed: "wrong before, right now",
  changed: "wrong in both, differently",
  still_wrong: "wrong in both, the same",
} as const;

function values(scored: readonly Schema.DiffField[], context: Columns): string {
  const rows = scored
    .filter((field) => kinds.some((kind) => field[kind] > 0))
    .map((field) => [field.path, ...kinds.map((kind) => String(field[kind]))]);
  if (rows.length === 0) return lines(["every labeled value is right in both"]);
  return Table.table([["FIELD", ...kinds.map((kind) => called[kind].toUpperCase())], ...rows], context);
}

function listed(
  { fields, changes }: Schema.EvaluationDiff,
  kind: (typeof kinds)[number],
  examples: number,
  context: Columns,
): string {
  const total = fields.reduce((sum, field) => sum + field[kind], 0);
  const some = changes.filter((change) => change.kind === kind).slice(0, examples);
  if (some.length === 0) return "";
  const rows = some.map((change) => [
    nameOf(change),
    Said.pathOf(change),
    change.accepted.map((value) => value ?? "–").join(" or "),
    change.before_answered ? (change.before ?? "–") : "(no answer)",
    change.after_answered ? (change.after ?? "–") : "(no answer)",
  ]);
  const of = total > some.length ? `, ${some.length} of them` : "";
  const table = [["FILE", "VALUE", "EXPECTED", "BEFORE", "NOW"], ...rows];
  const shown = Table.overflows(table, context)
    ? Prose.lines(
        rows.flatMap(([file, path, expected, before, now]) => [
          `${file} ${path}`,
          `  expected ${expected}, before ${before}, now ${now}`,
        ]),
        context,
      )
    : Table.table(table, context);
  const plus = some.some(({ in_answer }) => in_answer) ? `${Said.plus}\n` : "";
  return `${called[kind]} (${meaning[kind]}): ${total}${of}\n${shown}${plus}`;
}

const nameOf = ({ file, custom_id, document }: Schema.DiffChange): string =>
  `${file ?? custom_id ?? "(unnamed)"}${document > 1 ? `#${document}` : ""}`;

/** The agreement of two runs, with the plain statement that it is not a verdict. */
export function agreement(found: Agreed, context: Columns): string {
  const { first, second, documents, not_compared } = found;
  const rows = found.fields
    .filter(({ compared }) => compared > 0)
    .map((field) => [
      field.path,
      percent(field.agreement),
      percent(field.agreement_exact),
      ...[field.compared, field.one_sided].map(String),
    ]);
  return [
    lines([Text.shown(`first:  ${first.run_id}`), Text.shown(`second: ${second.run_id}`)]),
    Table.table([["FIELD", "AGREE", "EXACT", "COMPARED", "ONE SIDE ONLY"], ...rows], context),
    Prose.lines(
      [
        `${Text.counted(documents, "document")} in both${not_compared > 0 ? `, ${not_compared} of them without an answer in one or both` : ""}${alone(found)}`,
        "AGREE compares what values mean, EXACT printed texts; ONE SIDE ONLY: the other has none.",
        "Neither run has labels: this says how far they agree, and not which of them is right.",
      ],
      context,
    ),
  ].join("\n");
}

/** The bench as one table: a column for each model. */

import { ambiguousLines } from "#cli/evals/show";
import type { Context } from "#cli/terminal/context";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import type { Bench, Measured } from "./bench.ts";

const none = "–";
type Share = number | null | undefined;
type Ends = readonly number[] | null | undefined;
type Row = readonly [name: string, cell: (of: Measured) => string];

const number = (value: number | null | undefined, digits: number): string =>
  value === null || value === undefined ? none : value.toFixed(digits);
const percent = (share: Share): string =>
  share === null || share === undefined ? none : `${(100 * share).toFixed(1)} %`;
/** `97.5 % (91.4–99.3)`. */
const within = (share: Share, ends: Ends): string =>
  ends ? `${percent(share)} (${ends.map((end) => (100 * end).toFixed(1)).join("–")})` : percent(share);

/** The figures, fields in the order of the task, and what the figures mean. */
export function table(bench: Bench, context: Pick<Context, "columns">): string {
  const rows = [...quality, ...fieldsOf(bench), ...published, ...cost, ...verdict(bench)];
  const head = ["FIGURE", ...bench.models.map(({ label }) => label)];
  const body = rows.map(([name, cell]) => [name, ...bench.models.map(cell)]);
  return `${Table.table([head, ...body], context)}\n${legend(bench)
    .map((line) => `${Text.shown(line)}\n`)
    .join("")}`;
}

const all = ({ evaluation }: Measured) => evaluation.summary?.canonical;

const quality: readonly Row[] = [
  ["documents", ({ evaluation }) => String(evaluation.summary?.documents ?? 0)],
  ["answered", ({ evaluation }) => String(evaluation.summary?.answered ?? 0)],
  ["documents judged", ({ evaluation }) => String(evaluation.summary?.documents_judged ?? 0)],
  ["documents right", (of) => within(all(of)?.documents_right_share, all(of)?.documents_right_interval)],
  ["accuracy, all values", (of) => within(all(of)?.micro.accuracy, all(of)?.micro.intervals.accuracy)],
  ["accuracy as printed", ({ evaluation }) => percent(evaluation.summary?.exact.micro.accuracy)],
  ["F1, all values", (of) => within(all(of)?.micro.f1, all(of)?.micro.intervals.f1)],
];

/** A row for each labeled field, with its verdict. */
function fieldsOf({ models }: Bench): Row[] {
  const scored = new Set(
    models.flatMap(({ evaluation }) =>
      evaluation.fields.filter((field) => field.scored > 0).map(({ path }) => path),
    ),
  );
  return [...scored].map((path) => [
    path,
    ({ evaluation, diff }) => {
      const field = evaluation.fields.find((each) => each.path === path);
      const verdict = diff?.fields.find((each) => each.path === path)?.verdict;
      return `${within(field?.accuracy, field?.intervals.accuracy)}${verdict === undefined || verdict === "no_change" ? "" : ` ${verdict}`}`;
    },
  ]);
}

const of = ({ evaluation }: Measured) => evaluation.summary?.published;
const published: readonly Row[] = [
  ["Donut accuracy", (m) => within(of(m)?.donut.accuracy, of(m)?.donut.accuracy_interval)],
  ["Donut F1", (m) => within(of(m)?.donut.f1, of(m)?.donut.f1_interval)],
  ["SROIE F1", (m) => within(of(m)?.sroie?.f1, of(m)?.sroie?.f1_interval)],
  ["ExtractBench F1", (m) => within(of(m)?.extract_bench.value_f1, of(m)?.extract_bench.value_f1_interval)],
];

const cost: readonly Row[] = [
  ["model s/receipt", ({ per_receipt }) => number(per_receipt.model_seconds, 2)],
  [
    "p50, p95 in s",
    ({ evaluation }) => {
      const slow = evaluation.cost?.latency_ms;
      return slow ? `${number(slow.p50 / 1000, 2)}, ${number(slow.p95 / 1000, 2)}` : none;
    },
  ],
  [
    "tokens/receipt",
    ({ per_receipt: { prompt_tokens: asked, completion_tokens: answered } }) =>
      `${number(asked, 0)} + ${number(answered, 0)}`,
  ],
  ["$ per 1,000", ({ per_receipt: { cost_usd: usd } }) => number(usd === null ? null : 1_000 * usd, 2)],
  ["right per $", ({ evaluation }) => number(evaluation.cost?.right_documents_per_usd, 0)],
];

function verdict({ models }: Bench): Row[] {
  if (models.every(({ diff }) => diff === null)) return [];
  return [["against the first", ({ diff }) => diff?.verdict ?? none]];
}

function legend({ task_id, documents, gt_sha256, concurrency, rounds, models }: Bench): string[] {
  const tested = models.find(({ diff }) => diff !== null)?.diff;
  return [
    `${task_id}, ${Text.counted(documents, "document")}, labels ${(gt_sha256 ?? "").slice(0, 12)}, ${concurrency} at once, ${Text.counted(rounds, "round")}`,
    ...ambiguousLines(models[0]?.evaluation.ambiguous_labels),
    "In brackets: intervals of 95 %. Donut's figures are its authors' on CORD's schema alone, else Donut-style.",
    "tokens: asked + answered. $: model seconds at GPU_COST_PER_HOUR.",
    ...(tested
      ? [
          `Verdicts: McNemar's exact test, corrected for ${Text.counted(tested.fields_tested, "field")}; INCONCLUSIVE: it may be chance,`,
          `and under ${tested.least_discordant} documents that change sides always is.`,
        ]
      : []),
  ];
}

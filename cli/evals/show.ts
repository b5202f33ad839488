/** An evaluation for a terminal, for CI (JUnit), and its worst receipts as a table. */
import { stringify } from "csv-stringify/sync";
import type * as Run from "#cli/batch/run";
import type { Context } from "#cli/terminal/context";
import * as Prose from "#cli/terminal/prose";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import * as Place from "#core/artifact/place";
import * as Outcome from "#core/evaluation/compare/outcome";
import * as Said from "#core/evaluation/compare/said";
import type * as Read from "#core/evaluation/read";
import type * as Wire from "#core/evaluation/wire";
import type { Judged } from "./bar.ts";

const percent = (share: number | null | undefined): string =>
  share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`;

const between = (interval: readonly number[] | null | undefined): string =>
  interval ? interval.map((end) => (100 * end).toFixed(1)).join("–") : "–";

/** The figures for people, with fields in the order of the task. */
export function table(evaluation: Read.Shown, context: Pick<Context, "columns">): string {
  const { summary, fields, unmatched, cost, ambiguous_labels: ambiguous } = evaluation;
  const scored = fields.filter(
    ({ scored, unreadable_invented, unreadable_matched }) =>
      scored + unreadable_invented + unreadable_matched > 0,
  );
  const all = summary?.canonical;
  const lines = [
    ...legend(scored),
    ...documentLines(summary),
    `all values: accuracy ${percent(all?.micro.accuracy)} (95 % ${between(all?.micro.intervals.accuracy)}), F1 ${percent(all?.micro.f1)}; exact ${percent(summary?.exact.micro.accuracy)}`,
    ...(summary?.line_items ?? []).map(
      (list) =>
        `${list.path}: row recall ${percent(list.row_recall)}, row precision ${percent(list.row_precision)}, cells ${percent(list.cell_accuracy)}`,
    ),
    publishedLine(evaluation),
    ...(cost === null ? [] : [costLine(cost)]),
    ...unmatchedLines(unmatched),
    ...ambiguousLines(ambiguous),
    ...draftLines(evaluation),
  ];
  return `${tables(scored, context)}\n${Prose.lines(lines, context)}`;
}

/** The rates and the counts of each field, in one table if a line has room for both. */
function tables(scored: readonly Field[], context: Pick<Context, "columns">): string {
  const rates = [
    ["FIELD", "ACCURACY", "95 %", "EXACT", "P", "R"],
    ...scored.map((field) => [
      field.path,
      percent(field.accuracy),
      between(field.intervals.accuracy),
      percent(field.exact.accuracy),
      percent(field.precision),
      percent(field.recall),
    ]),
  ];
  const counts = [
    ["FIELD", "MATCHED", "WRONG", "MISSING", "INVENTED", "ABSTAINED", "ABSENT", "?"],
    ...scored.map((field) => [
      field.path,
      ...[field.matched, field.wrong, field.missing, field.invented, field.abstained].map(String),
      String(field.absent_both),
      unreadable(field) === 0 ? "0" : `${field.unreadable_matched}, ${field.unreadable_invented}`,
    ]),
  ];
  const both = rates.map((row, i) => [...row, ...(counts[i] ?? []).slice(1)]);
  return Table.overflows(both, context)
    ? `${Table.table(rates, context)}\n${Table.table(counts, context)}`
    : Table.table(both, context);
}

type Field = Read.Shown["fields"][number];
const unreadable = (field: Field) => field.unreadable_matched + field.unreadable_invented;

/** Explains the columns with unusual names. */
const legend = (scored: readonly Field[]): string[] => [
  "ACCURACY is by meaning, EXACT by print. ABSENT: labeled as absent and not answered, which is right.",
  ...(scored.some((field) => unreadable(field) > 0)
    ? ["?: labeled as unreadable: left out, which is right, and answered. They are in no rate."]
    : []),
];

/** How many documents are right, among those that have scored labels. */
function documentLines(summary: Read.Shown["summary"]): string[] {
  if (summary === null) return [];
  const { documents, documents_judged: judged, answered, canonical } = summary;
  return [
    `documents right: ${canonical.documents_right} of ${judged} (${percent(canonical.documents_right_share)}, 95 % ${between(canonical.documents_right_interval)})`,
    ...(judged < documents
      ? [
          `${Text.counted(documents - judged, "more labeled document has", "more labeled documents have")} no value that is scored`,
        ]
      : []),
    ...(answered < documents
      ? [
          `${Text.counted(documents - answered, "document has", "documents have")} no answer (failed, canceled or not read): all that is labeled is missing`,
        ]
      : []),
  ];
}

function publishedLine({ summary }: Read.Shown): string {
  const { donut, sroie, extract_bench } = summary?.published ?? {};
  return `published metrics: Donut accuracy ${percent(donut?.accuracy)}, F1 ${percent(donut?.f1)}; SROIE F1 ${percent(sroie?.f1)}; ExtractBench value F1 ${percent(extract_bench?.value_f1)}`;
}

function costLine(cost: Wire.Cost): string {
  const { model_seconds, latency_ms, cost_usd, right_documents_per_usd } = cost;
  const tokens = `${cost.prompt_tokens} + ${cost.completion_tokens} tokens`;
  // At GPU_COST_PER_HOUR it is as if the GPU had read one picture at a time.
  const how =
    cost.cost_basis === "pod_sessions" ? (cost.cost_provisional ? "provisional" : "of the pod") : "estimated";
  const usd = cost_usd === null ? "" : `, $${cost_usd.toFixed(4)} (${how})`;
  const worth =
    right_documents_per_usd === null
      ? ""
      : `, ${Math.round(right_documents_per_usd)} right documents per dollar`;
  const slow = latency_ms === null ? "" : `, p50 ${latency_ms.p50} ms, p95 ${latency_ms.p95} ms`;
  return `cost: ${model_seconds.toFixed(1)} model seconds, ${tokens}${usd}${worth}${slow}`;
}

const shownNames = 5;
const shownFields = 20;

/** Why an item has no labels, or a record is not used (docs/ground-truth.md). */
const reasons: Readonly<Record<string, string>> = {
  no_record: "no record has its name",
  ambiguous: "records name it and other items as well",
  unnamed: "names no picture",
  no_item: "no item has its name",
  duplicate: "another record labels the same document",
  several_items: "several items have its name",
};

function unmatchedLines(unmatched: Wire.Unmatched | null): string[] {
  if (unmatched === null) return [];
  const { items, records, documents, unknown_fields } = unmatched;
  const fields = Text.several(unknown_fields, shownFields);
  return [
    ...becauseOf(
      Text.counted(items.count, "item has no labels", "items have no labels"),
      items.count,
      items.first,
      ({ file }) => file,
    ),
    ...becauseOf(
      Text.counted(records.count, "record is not used", "records are not used"),
      records.count,
      records.first,
      ({ image }) => image,
    ),
    ...unlabeledLines(documents),
    ...(unknown_fields.length > 0 ? [`fields that are labeled and not read by the task: ${fields}`] : []),
  ];
}

/** Documents without labels beside some that have them. A server of before 2026-12 does not say. */
function unlabeledLines(documents: Wire.Unmatched["documents"] | undefined): string[] {
  if (documents === undefined || documents.count === 0) return [];
  const { count, first } = documents;
  const have = "has no labels, while another of its picture has";
  const haveAll = "have no labels, while others of their pictures have";
  const names = Text.several(first.map(Said.documentOf), shownNames, count);
  return [`${Text.counted(count, `document ${have}`, `documents ${haveAll}`)}: ${names}`];
}

/** How many labels can be read in several ways, and the first of them. */
export function ambiguousLines(ambiguous: Read.Shown["ambiguous_labels"] | undefined): string[] {
  if (!ambiguous || ambiguous.count === 0) return [];
  const named = ambiguous.first.map(({ file, path, label }) => `${file ?? "(unnamed)"} ${path} ${label}`);
  const { count } = ambiguous;
  return [
    `${Text.counted(count, "labeled value can", "labeled values can")} be read in several ways, and ${count === 1 ? "is" : "are"} compared as printed: ${Text.several(named, shownNames, count)}`,
  ];
}

/** The figures of a draft are no measure of the run that it was made from. */
function draftLines({ run_id, gt_from_run_id: from }: Read.Shown): string[] {
  if (!from) return [];
  return [
    from === run_id
      ? "NOT CORRECTED: the labels are a draft of this run itself, which is right by them whatever it read"
      : `NOT CORRECTED: the labels are a draft of ${Text.shown(from)}: this says how far the two runs agree, and not how good one is`,
  ];
}

/** The total, and the first names for each reason. */
function becauseOf<T extends { index: number; reason: string }>(
  what: string,
  count: number,
  first: readonly T[],
  nameOf: (entry: T) => string | null,
): string[] {
  if (count === 0) return [];
  const groups = [...Map.groupBy(first, ({ reason }) => reason)].map(([reason, entries]) => {
    const names = entries.map((entry) => nameOf(entry) ?? `number ${entry.index + 1}`);
    return `  ${reasons[reason] ?? reason} (${reason}): ${Text.several(names, shownNames)}`;
  });
  const rest = count - first.length;
  return [`${what}:`, ...groups, ...(rest > 0 ? [`  … and ${rest} more`] : [])];
}

/** One line about a bar. */
export function bar({ what, least, lower, value, judged, ok }: Judged): string {
  const isDocuments = what === "documents";
  const figure = `${isDocuments ? "documents right" : `${what} accuracy`}${lower ? ", lower bound" : ""}`;
  const of = Text.counted(judged, isDocuments ? "document" : "value");
  return `${ok ? "reached" : "MISSED"}: ${figure} ${percent(value)} of ${of}, at least ${percent(least)}`;
}

const xml = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    // Characters that XML 1.0 cannot contain, not even escaped.
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");

/** JUnit's XML, as CI servers read it: a case for each bar. */
export function junit(evaluation: Read.Shown, judged: readonly Judged[]): string {
  const failed = judged.filter(({ ok }) => !ok).length;
  const cases = judged.map((each) => {
    const name = `${each.what} >= ${each.least}${each.lower ? " (lower bound)" : ""}`;
    const failure = each.ok ? "" : `<failure message="${xml(bar(each))}"/>`;
    return `    <testcase classname="${xml(evaluation.task_id)}" name="${xml(name)}">${failure}</testcase>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="${judged.length}" failures="${failed}">
  <testsuite name="${xml(`evaluation of ${evaluation.run_id}`)}" tests="${judged.length}" failures="${failed}">
${cases.join("")}  </testsuite>
</testsuites>
`;
}

/**
 * Receipts with the most values that are not right first, with the keys of their artifacts. `extra` are values of rows that
 * the paper does not have, which no label names: they are not right and not among the labeled. Values labeled as unreadable
 * are in no count. Texts cannot become formulas.
 */
export function worst(samples: readonly Wire.Sample[], run: Run.Run): string {
  const rows = samples
    .map((sample) => ({
      sample,
      off: sample.verdicts.filter(({ canonical }) => Outcome.isMistake(canonical)),
      extra: sample.verdicts.filter(Said.isExtra).length,
      scored: sample.verdicts.filter(({ canonical }) => Outcome.isScored(canonical)).length,
    }))
    .sort((a, b) => b.off.length - a.off.length || a.sample.index - b.sample.index)
    .map(({ sample, off, extra, scored }) => [
      ...[off.length, scored - extra, extra],
      sample.file ?? "",
      String(sample.document),
      sample.custom_id ?? "",
      sample.request_id,
      Place.extractKey(run.key_id ?? "", sample.request_id, new Date(run.created_at)),
      off.map((verdict) => Said.pathOf({ ...verdict, in_answer: Said.isExtra(verdict) })).join(" "),
    ]);
  const about = ["file", "document", "custom_id", "request_id", "artifact_rel"];
  const head = ["not_right", "labeled", "extra", ...about, "fields"];
  return stringify([head, ...rows], { bom: true, escape_formulas: true });
}

import * as Said from "#core/evaluation/compare/said";
import { type Html, html } from "#core/html";
import type * as Schema from "../schema.ts";
import type * as Wire from "../wire.ts";
import { table } from "./table.ts";
import * as Text from "./text.ts";

/*
 * The sections of a report, except its receipts.
 */

/** The most values of a dimension that are shown, those with most documents first. */
const shownSlices = 20;
/** Longest name of a file, a merchant, a tag. */
const nameLength = 120;

const n = true as const;
const rateOf = (share: number | null, ends: readonly number[] | null): Html =>
  html`${Text.percent(share)} <small>${Text.interval(ends)}</small>`;

const tile = (title: string, share: number | null, ends: readonly number[] | null, about: string): Html =>
  html`<div class="tile"><dt>${title}</dt><dd><strong>${Text.percent(share)}</strong>${Text.bar(share, ends)}<small>${Text.interval(
    ends,
  )}</small><span>${about}</span></dd></div>`;

/** The run's cost and accuracy in one line. */
function inShort({ summary, cost }: Given): Html | undefined {
  if (cost === null) return undefined;
  const { latency_ms: latency, cost_usd: usd, right_documents_per_usd: worth } = cost;
  const tokens = Text.count(cost.prompt_tokens + cost.completion_tokens);
  const times =
    latency === null ? "" : `; p50 ${Text.count(latency.p50)} ms, p95 ${Text.count(latency.p95)} ms`;
  return html`<p>${Text.percent(summary.canonical.micro.accuracy)} of the values right for ${Text.number(cost.model_seconds, " s")} of the model, ${tokens} tokens${
    usd === null ? "" : `, ${Text.number(usd, " $")}`
  }${worth === null ? "" : html`: <strong>${Text.number(worth)} right documents per dollar</strong>, as an estimate`}${times}.</p>`;
}

interface Given {
  summary: NonNullable<Wire.Evaluation["summary"]>;
  cost: Wire.Cost | null;
}

export function overall({ summary, cost, run_id, gt_from_run_id }: Given & Draft): Html {
  const { canonical, exact } = summary;
  const kinds = [
    ["Micro, all values together", "micro"],
    ["Macro, mean over fields", "macro"],
  ] as const;
  const rates = (name: string, rates: Schema.Rates) => [
    name,
    rateOf(rates.accuracy, rates.intervals.accuracy),
    rateOf(rates.precision, rates.intervals.precision),
    rateOf(rates.recall, rates.intervals.recall),
    rateOf(rates.f1, rates.intervals.f1),
  ];
  return html`<section id="overall"><h2>Overall</h2>
<p>${labeledDocuments(summary)}</p>
${draft({ run_id, gt_from_run_id })}
<dl class="tiles">${tile("Values right", canonical.micro.accuracy, canonical.micro.intervals.accuracy, "by what they mean")}${tile(
    "Values right as printed",
    exact.micro.accuracy,
    exact.micro.intervals.accuracy,
    "by their text",
  )}${tile(
    "Documents right",
    canonical.documents_right_share,
    canonical.documents_right_interval,
    `${Text.count(canonical.documents_right)} of ${Text.count(summary.documents_judged)} with every labeled value right`,
  )}</dl>
${inShort({ summary, cost })}
${table(
  "Overall",
  [
    { title: "" },
    { title: "Accuracy", numbers: n },
    { title: "Precision", numbers: n },
    { title: "Recall", numbers: n },
    { title: "F1", numbers: n },
  ],
  [
    ...kinds.map(([name, kind]) => rates(`${name}, by meaning`, canonical[kind])),
    ...kinds.map(([name, kind]) => rates(`${name}, as printed`, exact[kind])),
  ],
)}
<p class="note">Small figures are intervals of 95 %. – is 0/0: there is nothing to judge by.</p></section>`;
}

type Draft = Pick<Wire.Evaluation, "run_id" | "gt_from_run_id">;

/** The figures of a draft are no measure of the run that it was made from. */
function draft({ run_id, gt_from_run_id: from }: Draft): Html | undefined {
  if (from === null) return undefined;
  return html`<p><strong>Not corrected:</strong> the labels are a draft of ${
    from === run_id
      ? "this run itself, which is right by them whatever it read."
      : html`<code>${Text.shown(from, nameLength)}</code>: the figures say how far the two runs agree, and not how good one is.`
  }</p>`;
}

/** How many documents there are, and how many of them are judged. */
function labeledDocuments(summary: Schema.Figures["summary"]): string {
  const { documents, documents_judged: judged, answered } = summary;
  const silent = documents - judged;
  return [
    `${Text.counted(documents, "labeled document", "labeled documents")}, ${Text.count(answered)} with an answer.`,
    ...(answered < documents ? ["The others failed or were canceled and miss all that is labeled."] : []),
    ...(silent > 0
      ? [
          `${Text.count(silent)} without a value that is scored; the others (${Text.count(judged)}) are judged.`,
        ]
      : []),
  ].join(" ");
}

const counted = ["matched", "wrong", "missing", "invented", "abstained", "absent_both"] as const;

/** A row's field, the bar of its accuracy, and the counts that the bar shows. */
export function fields({ fields: all }: Pick<Wire.Evaluation, "fields">): Html {
  const scored = all.filter(
    (field) => field.scored + field.unreadable_matched + field.unreadable_invented > 0,
  );
  const silent = all.length - scored.length;
  return html`<section id="fields"><h2>Fields</h2>
${table(
  "Fields",
  [
    { title: "Field" },
    { title: "Accuracy, by meaning" },
    { title: "As printed", numbers: n },
    { title: "P", about: "Precision", numbers: n },
    { title: "R", about: "Recall", numbers: n },
    { title: "F1", numbers: n },
    { title: "Scored", numbers: n },
    ...counted.map((name) => ({ title: name.replace("_", " "), numbers: n })),
    { title: "unreadable", about: "Labeled “?”: left out, answered. In no rate.", numbers: n },
  ],
  scored.map((field) => [
    html`<code>${field.path}</code>`,
    html`<span class="rated">${Text.bar(field.accuracy, field.intervals.accuracy)}<span>${rateOf(field.accuracy, field.intervals.accuracy)}</span></span>`,
    Text.percent(field.exact.accuracy),
    Text.percent(field.precision),
    Text.percent(field.recall),
    Text.percent(field.f1),
    Text.count(field.scored),
    ...counted.map((name) => Text.count(field[name])),
    `${Text.count(field.unreadable_matched)}, ${Text.count(field.unreadable_invented)}`,
  ]),
)}
<p class="note">The line over a bar is the interval of 95 %.${
    silent === 0
      ? ""
      : ` ${silent === 1 ? "1 field of the task is not labeled and is" : `${silent} fields of the task are not labeled and are`} left out.`
  }</p></section>`;
}

export function lineItems(lists: readonly Schema.ListFigures[]): Html | undefined {
  if (lists.length === 0) return undefined;
  return html`<section id="line-items"><h2>Line items</h2>
${table(
  "Line items",
  [
    { title: "List" },
    ...["Row recall", "Row precision", "Cell accuracy", "As printed"].map((title) => ({ title, numbers: n })),
    ...["Rows on paper", "Rows read", "Paired"].map((title) => ({ title, numbers: n })),
  ],
  lists.map((list) => [
    html`<code>${list.path}</code>`,
    rateOf(list.row_recall, list.intervals.row_recall),
    rateOf(list.row_precision, list.intervals.row_precision),
    rateOf(list.cell_accuracy, list.intervals.cell_accuracy),
    rateOf(list.cell_accuracy_exact, list.intervals.cell_accuracy_exact),
    Text.count(list.rows_expected),
    Text.count(list.rows_predicted),
    Text.count(list.rows_paired),
  ]),
)}</section>`;
}

export function published({ donut, sroie, extract_bench: bench }: Schema.Published): Html {
  const sroieRow =
    sroie === null
      ? [["SROIE task 3", "F1", "–", "the task has no company, date, address and total"]]
      : [
          ["SROIE task 3", "precision", Text.percent(sroie.precision), ""],
          ["SROIE task 3", "recall", Text.percent(sroie.recall), ""],
          ["SROIE task 3", "F1", rateOf(sroie.f1, sroie.f1_interval), "micro over all receipts"],
        ];
  return html`<section id="published"><h2>Published figures</h2>
${table(
  "Published figures",
  [{ title: "Evaluator" }, { title: "Figure" }, { title: "Value", numbers: n }, { title: "Made of" }],
  [
    [
      "Donut-style",
      "tree-edit accuracy",
      rateOf(donut.accuracy, donut.accuracy_interval),
      `mean over ${Text.counted(donut.documents, "document", "documents")}`,
    ],
    ["Donut-style", "F1", rateOf(donut.f1, donut.f1_interval), "micro over all values"],
    ...sroieRow,
    [
      "ExtractBench",
      "value F1",
      rateOf(bench.value_f1, bench.value_f1_interval),
      "mean over documents, without its per-field options",
    ],
  ],
)}
<p class="note">Computed as the authors' evaluators compute them, so that they can be laid beside papers. Donut's are published ones on CORD's schema alone.</p></section>`;
}

export function slices(all: readonly Schema.Slice[]): Html | undefined {
  if (all.length === 0) return undefined;
  const dimensions = new Map<string, Schema.Slice[]>();
  for (const slice of all)
    dimensions.set(slice.dimension, [...(dimensions.get(slice.dimension) ?? []), slice]);
  return html`<section id="slices"><h2>Slices</h2>${[...dimensions].map(([dimension, values]) => {
    const largest = [...values].sort((a, b) => b.documents - a.documents);
    const left = largest.length - shownSlices;
    const columns = ["Documents", "Judged", "Right", "Accuracy", "As printed", "F1", "Row recall"];
    return html`<h3>${Text.shown(dimension, nameLength)}</h3>${table(
      `Slices by ${Text.shown(dimension, nameLength)}`,
      [{ title: "Value" }, ...columns.map((title) => ({ title, numbers: n }))],
      largest
        .slice(0, shownSlices)
        .map((slice) => [
          html`<bdi>${Text.shown(slice.value, nameLength)}</bdi>`,
          Text.count(slice.documents),
          Text.count(slice.documents_judged),
          Text.count(slice.documents_right),
          Text.percent(slice.accuracy),
          Text.percent(slice.exact.accuracy),
          Text.percent(slice.f1),
          Text.percent(slice.row_recall),
        ]),
    )}${left > 0 ? html`<p class="note">${left} more with fewer documents are in the evaluation.</p>` : ""}`;
  })}</section>`;
}

export function cost(found: Wire.Cost | null): Html | undefined {
  if (found === null) return undefined;
  const { latency_ms: latency, cost_usd: usd } = found;
  const perDollar = found.right_documents_per_usd;
  return html`<section id="cost"><h2>Cost</h2>
<p>${
    perDollar === null
      ? "Right documents per dollar: –, for the price of a GPU hour (GPU_COST_PER_HOUR) is not set."
      : html`<strong>${Text.number(perDollar)} right documents per dollar</strong>, ${Text.number(usd, " $")} in all, as an estimate.`
  }</p>
${table(
  "Cost",
  [
    { title: "Model seconds" },
    ...["Calls to the model", "Prompt tokens", "Completion tokens", "p50", "p95", "p99"].map((title) => ({
      ...{ title, numbers: n },
    })),
  ],
  [
    [
      Text.number(found.model_seconds, " s"),
      Text.count(found.model_calls),
      Text.count(found.prompt_tokens),
      Text.count(found.completion_tokens),
      ...([latency?.p50, latency?.p95, latency?.p99] as const).map((ms) =>
        ms === undefined ? "–" : `${Text.count(ms)} ms`,
      ),
    ],
  ],
)}
<p class="note">p50, p95 and p99 are latencies of items that succeeded.${
    usd === null
      ? ""
      : found.cost_basis === "pod_sessions"
        ? ` Dollars are the run's part of what the pod cost, its idle time included.${found.cost_provisional ? " The pod was still up: more work makes each receipt cheaper." : ""}`
        : " Dollars are an estimate: the model's seconds of all items added, at GPU_COST_PER_HOUR. A GPU that reads several at a time costs less, one that waits costs more."
  }</p></section>`;
}

const reasons = {
  ...{ no_record: "no record names it", ambiguous: "several records could be meant" },
  other_document: "a record names another document of its picture",
  ...{ unnamed: "names no picture", no_item: "no item has this name" },
  ...{ duplicate: "another record names the same picture", several_items: "several items could be meant" },
} as const;

/** Labels that can be read in several ways. */
export function ambiguous(found: Schema.AmbiguousLabels | null): Html | undefined {
  if (found === null || found.count === 0) return undefined;
  const { count, first } = found;
  return html`<section id="ambiguous"><h2>Ambiguous labels</h2>
<p>${Text.counted(count, "labeled value can be read in several ways, and is", "labeled values can be read in several ways, and are")} compared as printed.</p>
<details><summary>Which</summary><ul>${first.map(
    ({ file, path, label }) =>
      html`<li><bdi>${Text.shown(file ?? "(unnamed)", nameLength)}</bdi> <code>${Text.shown(path)}</code>: ${Text.value(label)}</li>`,
  )}</ul>${count > first.length ? html`<p class="note">The first ${first.length} are named.</p>` : ""}</details></section>`;
}

export function unmatched(found: Wire.Unmatched | null): Html | undefined {
  if (found === null) return undefined;
  const { items, records, documents, unknown_fields: unknown } = found;
  if (items.count + records.count + documents.count + unknown.length === 0) return undefined;
  const list = (
    title: string,
    {
      count,
      first,
    }: { count: number; first: { index: number; name: string | null; reason: keyof typeof reasons }[] },
  ) =>
    count === 0
      ? undefined
      : html`<details><summary>${title}: ${Text.count(count)}</summary><ul>${first.map(
          ({ index, name, reason }) =>
            html`<li><bdi>${name === null ? `#${index}` : Text.shown(name, nameLength)}</bdi>: ${reasons[reason]}</li>`,
        )}</ul>${count > first.length ? html`<p class="note">The first ${first.length} are named.</p>` : ""}</details>`;
  return html`<section id="unmatched"><h2>In no figure</h2>
${list("Items without labels", { ...items, first: items.first.map(({ file, ...rest }) => ({ ...rest, name: file })) })}
${list("Documents without labels", { ...documents, first: documents.first.map((each) => ({ ...each, name: Said.documentOf(each), reason: "other_document" })) })}
${list("Labels without an item", { ...records, first: records.first.map(({ image, ...rest }) => ({ ...rest, name: image })) })}
${
  unknown.length === 0
    ? undefined
    : html`<p>Labeled, and not read by the task: ${unknown.map((name, i) => [i > 0 ? ", " : "", html`<code>${Text.shown(name, nameLength)}</code>`])}.</p>`
}</section>`;
}

import { createHash } from "node:crypto";
import { Html, html } from "#core/html";
import type { Measured } from "../read.ts";
import type * as Wire from "../wire.ts";
import { script } from "./filter.ts";
import * as Receipts from "./receipts.ts";
import * as Sections from "./sections.ts";
import { style } from "./style.ts";
import * as Text from "./text.ts";
import { Worst } from "./worst.ts";

/** The most bytes of a report. */
export const maxBytes = 5_000_000;

/**
 * One complete HTML file: it makes no requests and runs no script except its filter's, whose hash is in its policy.
 * Every value is escaped. At most 5 MB, however large the evaluation is; only the worst receipts are kept in memory.
 * @throws what `samples` and `pictures` throw.
 */
export async function of(
  evaluation: Measured,
  samples: AsyncIterable<Wire.Sample>,
  pictures: Receipts.Given = "not_wanted",
): Promise<string> {
  const worst = new Worst();
  for await (const sample of samples) worst.add(sample);
  const sections = [
    Sections.overall(evaluation),
    Sections.fields(evaluation),
    Sections.lineItems(evaluation.summary.line_items),
    Sections.published(evaluation.summary.published),
    Sections.slices(evaluation.slices),
    Sections.cost(evaluation.cost),
    Sections.unmatched(evaluation.unmatched),
    Sections.ambiguous(evaluation.ambiguous_labels),
  ];
  const before = pageOf(evaluation, sections, undefined);
  const room = maxBytes - Buffer.byteLength(before);
  return pageOf(evaluation, sections, await Receipts.receipts(worst, room, pictures));
}

const policy = [
  ...["default-src 'none'", "style-src 'unsafe-inline'"],
  `script-src 'sha256-${createHash("sha256").update(script).digest("base64")}'`,
  ...["img-src data:", "base-uri 'none'", "form-action 'none'"],
].join("; ");

const links = [
  ...[["overall", "Overall"] as const, ["fields", "Fields"] as const, ["line-items", "Line items"] as const],
  ...[["published", "Published figures"] as const, ["slices", "Slices"] as const, ["cost", "Cost"] as const],
  ...[["unmatched", "In no figure"] as const],
  ...[["ambiguous", "Ambiguous labels"] as const, ["receipts", "Worst receipts"] as const],
];

function pageOf(
  evaluation: Measured,
  sections: readonly (Html | undefined)[],
  receipts: Html | undefined,
): string {
  const { run_id, task_id, eval_id, gt_name, gt_sha256, gt_image_key } = evaluation;
  const there = (id: string) =>
    id === "receipts" || sections.some((section) => section?.text.startsWith(`<section id="${id}"`));
  const about: [string, string | null][] = [
    ["Run", run_id],
    ["Task", task_id],
    ["Labels", gt_name === null ? "a file under the data root" : Text.shown(gt_name)],
    ["Version of the labels", gt_sha256],
    ["Named by", Text.shown(gt_image_key)],
    ["Rules", evaluation.rules_version],
    ["Printed texts", evaluation.str_mode === "strip" ? "without blanks around them" : "as they are"],
    ["Evaluation", eval_id],
    ["Made", evaluation.finished_at ?? evaluation.created_at],
  ];
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">
<title>${run_id}: how good it was</title><style>${new Html(style)}</style></head><body>
<a class="skip" href="#receipts">To the receipts</a>
<header><h1>Evaluation of ${run_id}</h1>
<dl class="about">${about.map(([name, text]) => (text === null ? undefined : html`<dt>${name}</dt><dd>${text}</dd>`))}</dl>
<nav aria-label="Sections">${links.filter(([id]) => there(id)).map(([id, title]) => html`<a href="#${id}">${title}</a>`)}</nav></header>
<main>${sections}${receipts}</main>
<script>${new Html(script)}</script></body></html>
`.text;
}

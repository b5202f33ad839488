import { Html, html } from "#core/html";
import { isMistake, outcomes } from "../compare/outcome.ts";
import { table } from "./table.ts";
import * as Text from "./text.ts";
import type { Receipt, Worst } from "./worst.ts";

/** The most bytes of one receipt's values; values beyond are only counted. */
const receiptBytes = 12_000;
const nameLength = 120;
/** The most bytes of a thumbnail: a JPEG with a long side of 600. */
const pictureBytes = 61_440;

/** The picture of a receipt as a JPEG, long side 600 and 60 KB at most; null if there is none. */
export type Pictures = (requestId: string) => Promise<Uint8Array | null>;

const names = (outcome: string) => outcome.replaceAll("_", " ");
const nameOf = ({ file, custom_id, index, document }: Receipt["sample"]) =>
  html`<bdi>${Text.shown(file ?? custom_id ?? `item ${index}`, nameLength)}</bdi>${document > 1 ? `, document ${document}` : ""}`;

type Verdict = Receipt["verdicts"][number];

function rowOf({ field, path, canonical, exact, expected, predicted }: Verdict): Html {
  const otherwise = canonical === "matched" && exact === "wrong" ? ", printed otherwise" : "";
  const kind = isMistake(canonical) ? "bad" : "good";
  const unreadable = canonical.startsWith("unreadable");
  return html`<tr data-field="${field}" data-outcome="${canonical}"><th scope="row"><code>${Text.shown(path)}</code></th><td data-label="Printed">${
    unreadable ? html`<span class="none">unreadable</span>` : Text.value(expected)
  }</td><td data-label="Read">${Text.value(predicted)}</td><td><span class="${kind}">${names(canonical)}${otherwise}</span></td></tr>`;
}

function receiptOf(receipt: Receipt, place: number, picture: Html | undefined): Html {
  const { sample, verdicts, mistakes, labeled, score } = receipt;
  const rows: Html[] = [];
  let bytes = 0;
  for (const verdict of verdicts) {
    const row = rowOf(verdict);
    bytes += Buffer.byteLength(row.text);
    if (bytes > receiptBytes) break;
    rows.push(row);
  }
  const left = labeled - rows.length;
  return html`<article aria-labelledby="r${place}"><h3 id="r${place}">${nameOf(sample)}</h3>
<p class="note">${mistakes} of ${labeled} labeled values are not right (${Text.percent(score)} right). <code>${Text.shown(sample.request_id, nameLength)}</code></p>
<div class="receipt">${picture}<table class="values"><thead><tr><th scope="col">Field</th><th scope="col">Printed (label)</th><th scope="col">Read</th><th scope="col">Outcome</th></tr></thead><tbody>${rows}</tbody></table></div>${
    left > 0 ? html`<p class="note">${left} more values are in the samples of the evaluation.</p>` : ""
  }</article>`;
}

/** The picture embedded in the file; one that is no JPEG, or is too large, is left out. */
async function pictureOf(pictures: Pictures, { sample }: Receipt): Promise<Html | undefined> {
  const bytes = await pictures(sample.request_id);
  if (bytes === null || bytes.length > pictureBytes || bytes[0] !== 0xff || bytes[1] !== 0xd8)
    return undefined;
  const data = Buffer.from(bytes).toString("base64");
  const alt = `The picture of ${Text.shown(sample.file ?? sample.request_id, nameLength)}`;
  return html`<img alt="${alt}" loading="lazy" src="data:image/jpeg;base64,${new Html(data)}">`;
}

function filterOf(receipts: readonly Receipt[]): Html {
  const fields = [...new Set(receipts.flatMap(({ verdicts }) => verdicts.map(({ field }) => field)))];
  const found = new Set(receipts.flatMap(({ verdicts }) => verdicts.map(({ canonical }) => canonical)));
  const option = (value: string, text: string) => html`<option value="${value}">${text}</option>`;
  return html`<div id="filter" role="search" aria-label="Values of receipts" hidden><label>Field <select id="f-field">${option("", "all fields")}${fields.map(
    (field) => option(field, field),
  )}</select></label><label>Outcome <select id="f-outcome">${option("!", "not right")}${option("", "all")}${outcomes
    .filter((each) => found.has(each))
    .map((each) =>
      option(each, names(each)),
    )}</select></label><label>Text <input id="f-text" type="search" placeholder="value, field, file (key /)" autocomplete="off"></label><p id="f-status" role="status"></p></div>`;
}

/**
 * The worst receipts, each with its values as labeled and as read.
 * @param room - bytes that all of it may take; a picture that does not fit is left out.
 */
export async function receipts(worst: Worst, room: number, pictures: Pictures | undefined): Promise<Html> {
  const { receipts, unanswered, found } = worst;
  const shown: Html[] = [];
  // Values come first: each receipt has its share of the room, and pictures get the rest.
  const plain = receipts.map((receipt, i) => receiptOf(receipt, i + 1, undefined));
  let left = room - plain.reduce((sum, each) => sum + Buffer.byteLength(each.text), 0) - 40_000;
  let without = 0;
  for (const [i, receipt] of receipts.entries()) {
    const picture = pictures && (await pictureOf(pictures, receipt));
    const bytes = Buffer.byteLength(picture?.text ?? "");
    const fits = bytes <= left;
    if (picture === undefined || !fits) {
      shown.push(plain[i] ?? html``);
      without += 1;
      continue;
    }
    left -= bytes;
    shown.push(receiptOf(receipt, i + 1, picture));
  }
  const about =
    pictures === undefined
      ? "This report has no pictures."
      : without > 0
        ? `${without} of these have no picture.`
        : "";
  return html`<section id="receipts"><h2>Worst receipts</h2>
<p>${Text.count(found)} receipts with an answer have a value that is not right${
    found > receipts.length
      ? `; these are the ${receipts.length} with the smallest share of right values`
      : ""
  }. ${about}</p>
${receipts.length === 0 ? undefined : filterOf(receipts)}${shown}
<p id="f-none" hidden>No value fits the filter.</p>
${unansweredOf(unanswered)}</section>`;
}

function unansweredOf({ count, first }: Worst["unanswered"]): Html | undefined {
  if (count === 0) return undefined;
  return html`<h3>Without an answer</h3>${table(
    "Without an answer",
    [{ title: "Receipt" }, { title: "Request" }],
    first.map((sample) => [nameOf(sample), html`<code>${Text.shown(sample.request_id, nameLength)}</code>`]),
  )}<p class="note">${Text.count(count)} in all${count > first.length ? `; the first ${first.length} are named` : ""}. All their labeled values count as missing.</p>`;
}

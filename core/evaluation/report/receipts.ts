import { Html, html } from "#core/html";
import { isMistake, isScored, outcomes } from "../compare/outcome.ts";
import * as Said from "../compare/said.ts";
import type * as Pictures from "./pictures.ts";
import { table } from "./table.ts";
import * as Text from "./text.ts";
import * as Thumbnail from "./thumbnail.ts";
import type { Receipt, Worst } from "./worst.ts";

/** The most bytes of one receipt's values; values beyond are only counted. */
const receiptBytes = 12_000;
const nameLength = 120;

/** The source of pictures, or the reason why there are none. */
export type Given = Pick<Pictures.Pictures, "of"> | "not_wanted" | "not_kept";

const without = {
  not_wanted: "This report was made without pictures, as requested.",
  not_kept: "This report has no pictures: the run did not keep its inputs (persist_inputs).",
} as const;

const names = (outcome: string) => outcome.replaceAll("_", " ");
const nameOf = ({ file, custom_id, index, document }: Receipt["sample"]) =>
  html`<bdi>${Text.shown(file ?? custom_id ?? `item ${index}`, nameLength)}</bdi>${document > 1 ? `, document ${document}` : ""}`;

type Verdict = Receipt["verdicts"][number];

function rowOf(verdict: Verdict): Html {
  const { field, canonical, exact, predicted } = verdict;
  const otherwise = canonical === "matched" && exact === "wrong" ? ", printed otherwise" : "";
  const kind = isMistake(canonical) ? "bad" : isScored(canonical) ? "good" : "none";
  return html`<tr data-field="${field}" data-outcome="${canonical}"><th scope="row"><code>${Text.shown(Said.pathOf({ ...verdict, in_answer: Said.isExtra(verdict) }))}</code></th><td data-label="Printed">${
    isScored(canonical) ? Text.values(Said.acceptedOf(verdict)) : html`<span class="none">unreadable</span>`
  }</td><td data-label="Read">${Text.value(predicted)}</td><td><span class="${kind}">${names(canonical)}${otherwise}</span></td></tr>`;
}

function receiptOf(receipt: Receipt, place: number, picture: Html | undefined): Html {
  const { sample, verdicts, mistakes, scored, compared, score } = receipt;
  const rows: Html[] = [];
  let bytes = 0;
  for (const verdict of verdicts) {
    const row = rowOf(verdict);
    bytes += Buffer.byteLength(row.text);
    if (bytes > receiptBytes) break;
    rows.push(row);
  }
  const left = compared - rows.length;
  return html`<article aria-labelledby="r${place}"><h3 id="r${place}">${nameOf(sample)}</h3>
<p class="note">${mistakes} of ${Text.counted(scored, "scored value is", "scored values are")} not right (${Text.percent(score)} right). <code>${Text.shown(sample.request_id, nameLength)}</code></p>
<div class="receipt">${picture}<table class="values"><thead><tr><th scope="col">Field</th><th scope="col">Printed (label)</th><th scope="col">Read</th><th scope="col">Outcome</th></tr></thead><tbody>${rows}</tbody></table></div>${
    left > 0
      ? html`<p class="note">${Text.counted(left, "more value is", "more values are")} in the samples of the evaluation.</p>`
      : ""
  }</article>`;
}

/** A picture as part of the file, or the reason why it is missing. */
function pictureOf(one: Thumbnail.Thumbnail, { sample }: Receipt): Html {
  if ("missing" in one) return html`<p class="nothing">No picture: ${Text.shown(one.missing)}.</p>`;
  // Only a small JPEG becomes part of the file.
  const isJpeg = one.jpeg[0] === 0xff && one.jpeg[1] === 0xd8 && one.jpeg.length <= Thumbnail.maxBytes;
  if (!isJpeg) return pictureOf({ missing: "its thumbnail cannot be shown" }, { sample } as Receipt);
  const data = Buffer.from(one.jpeg).toString("base64");
  const alt = `The picture of ${Text.shown(sample.file ?? sample.request_id, nameLength)}`;
  return html`<img alt="${alt}" src="data:image/jpeg;base64,${new Html(data)}">`;
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

const full = { missing: "the report is full" };

/** Each receipt, and pictures as far as there is room for them: values come first. */
async function shownOf(
  receipts: readonly Receipt[],
  room: number,
  given: Given,
): Promise<{ shown: Html[]; left: number }> {
  const of = (pictures: readonly (Thumbnail.Thumbnail | undefined)[]) =>
    receipts.map((each, i) => receiptOf(each, i + 1, pictures[i] && pictureOf(pictures[i], each)));
  if (typeof given === "string") return { shown: of([]), left: 0 };
  const pictures = await given.of(receipts.map(({ sample }) => sample.index));
  const plain = of(receipts.map(() => full)).reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  // Bytes that are reserved for the filter, and for the names of receipts without an answer.
  let left = room - plain - 40_000;
  const fitting = pictures.map((one, i) => {
    const bytes = Buffer.byteLength(pictureOf(one, receipts[i] as Receipt).text);
    if (bytes > left) return full;
    left -= bytes;
    return one;
  });
  return { shown: of(fitting), left: fitting.filter((one) => "missing" in one).length };
}

/**
 * The worst receipts, each with its values as labeled and as read.
 * @param room - the most bytes of the whole section; a picture that does not fit is replaced by a note.
 * @throws what the pictures throw.
 */
export async function receipts(worst: Worst, room: number, given: Given): Promise<Html> {
  const { receipts, unanswered, found } = worst;
  const { shown, left } = await shownOf(receipts, room, given);
  const about =
    typeof given === "string"
      ? without[given]
      : left > 0
        ? `${left} of these ${left === 1 ? "has" : "have"} no picture.`
        : "";
  return html`<section id="receipts"><h2>Worst receipts</h2>
<p>${Text.counted(found, "receipt with an answer has", "receipts with an answer have")} a value that is not right${
    found > receipts.length
      ? `; these are the ${receipts.length} with the smallest share of right values`
      : ""
  }. ${about}${receipts.some(({ verdicts }) => verdicts.some(Said.isExtra)) ? ` ${Said.plus}.` : ""}</p>
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

import type { Merged } from "#core/reading/merge";
import { qualityOfAll } from "#core/reading/quality";
import type { Performed } from "#core/reading/reading";
import { storedError } from "#core/reading/record";
import type { StoredPart } from "#core/reading/schema";
import { ofRows, type Warning } from "#core/reading/warning";
import type { Work } from "#core/reading/work";
import type { Unit } from "./units.ts";

/* One of several documents in a file: the answers of its pages, joined into one answer and one record. */

export interface Read {
  unit: Unit;
  performed: Performed;
}

/** The joined value of the pages that have an answer; undefined if none has one. */
export async function joined(
  work: Work,
  reads: readonly Read[],
): Promise<Pick<Merged, "value" | "disagree"> | undefined> {
  const answers = reads.flatMap(({ unit, performed: { answer } }) =>
    answer.result === null ? [] : [{ page: unit.page.number, tile: undefined, value: answer.result }],
  );
  const [only] = answers;
  if (only === undefined) return undefined;
  if (answers.length === 1) return { value: only.value, disagree: [] };
  const Examine = await import("#core/reading/examine");
  return Examine.joined(work, answers);
}

/** @param reads - the pages of the document, or the one receipt; at least one. @param at - its number, from 0. */
export async function partOf(work: Work, reads: readonly Read[], at: number): Promise<StoredPart> {
  const [first] = reads as [Read, ...Read[]];
  const { answer, record } = first.performed;
  const error = reads.find(({ performed }) => performed.error !== undefined)?.performed.error;
  const head = {
    pages: reads.map(({ unit }) => unit.page.number),
    ...(first.unit.box === undefined ? {} : { box: first.unit.box }),
    status: error === undefined ? ("succeeded" as const) : ("failed" as const),
    usage: usageOf(reads),
    ...(error === undefined ? {} : { error: storedError(error) }),
  };
  const embedded = at === 0 && answer.embedded !== undefined ? { embedded: answer.embedded } : {};
  if (reads.length === 1) {
    const { result, complete, rows, schema_ok, schema_errors, normalized, checks, warnings, quality } =
      answer;
    return {
      ...head,
      ...{ result, schema_ok, schema_errors, normalized, checks, warnings, quality },
      ...(complete === undefined ? {} : { complete }),
      ...(rows === undefined ? {} : { rows }),
      ...embedded,
      ...recordOf(record),
    };
  }
  return { ...head, ...(await answerOf(work, reads, embedded)), ...embedded, ...pagesOf(reads) };
}

/** Of all pages together. */
export function usageOf(reads: readonly Read[]): StoredPart["usage"] {
  const sum = (of: keyof StoredPart["usage"]) =>
    reads.reduce((total, { performed }) => total + performed.answer.usage[of], 0);
  return {
    prompt_tokens: sum("prompt_tokens"),
    completion_tokens: sum("completion_tokens"),
    attempts: sum("attempts"),
  };
}

type Own = Pick<
  StoredPart,
  | "result"
  | "complete"
  | "rows"
  | "schema_ok"
  | "schema_errors"
  | "normalized"
  | "checks"
  | "warnings"
  | "quality"
>;

/** Several pages as one answer. Where one of them failed, the document has no result. */
async function answerOf(
  work: Work,
  reads: readonly Read[],
  { embedded }: Pick<StoredPart, "embedded">,
): Promise<Own> {
  const answers = reads.map(({ performed }) => performed.answer);
  const qualities = answers.flatMap(({ quality }) => quality ?? []);
  const quality = qualities.length === 0 ? null : qualityOfAll(qualities);
  // Missing rows are determined for the whole document.
  const warnings = answers.flatMap((answer) => answer.warnings.filter(({ code }) => code !== "rows_missing"));
  const isWhole = reads.every(({ performed: { error } }) => error === undefined);
  const both = isWhole ? await joined(work, reads) : undefined;
  if (both === undefined)
    return {
      result: null,
      schema_ok: null,
      schema_errors: [],
      normalized: {},
      checks: [],
      warnings,
      quality,
    };
  const Examine = await import("#core/reading/examine");
  const whole = Examine.whole({ ...work, embedded }, both.value);
  const account = Examine.accounted(work, both.value, whole, evidenceOf(answers));
  const disagree: Warning[] =
    both.disagree.length > 0 ? [{ code: "pages_disagree", fields: both.disagree }] : [];
  return {
    ...{ result: both.value, quality },
    ...whole,
    ...account,
    warnings: [...warnings, ...disagree, ...ofRows(account)],
  };
}

/** What the pages show about their rows: the printed number is on one of them; lines with amounts are added up. */
function evidenceOf(answers: readonly Performed["answer"][]): {
  printed: number | null;
  seen: number | null;
} {
  const rows = answers.map((answer) => answer.rows);
  const seen = rows.map((row) => row?.seen ?? null);
  return {
    printed: rows.findLast((row) => row?.printed !== null && row?.printed !== undefined)?.printed ?? null,
    seen: seen.includes(null) ? null : seen.reduce<number>((sum, lines) => sum + (lines ?? 0), 0),
  };
}

function recordOf(record: Performed["record"]) {
  const { sent, sent_pages, calls, text_layer, raw_model_text, finish_reason } = record;
  return {
    ...{ sent, raw_model_text, finish_reason },
    ...(sent_pages === undefined ? {} : { sent_pages }),
    ...(calls === undefined ? {} : { calls }),
    ...(text_layer === undefined ? {} : { text_layer }),
  };
}

/** The record of several pages, like that of a document whose pages were asked for one by one. */
function pagesOf(
  reads: readonly Read[],
): Pick<StoredPart, "sent" | "sent_pages" | "calls" | "text_layer" | "raw_model_text" | "finish_reason"> {
  const records = reads.map(({ performed }) => performed.record);
  const sentPages = reads.flatMap(({ unit, performed: { record } }) => {
    const [first] = record.calls ?? [];
    const whole = record.sent && first ? [{ page: unit.page.number, call: first.call, ...record.sent }] : [];
    return [...whole, ...(record.sent_pages ?? [])];
  });
  const texts = records.flatMap((record) => record.raw_model_text ?? []);
  const layers = records.flatMap((record) => record.text_layer ?? []);
  const layer = { pages: layers.flatMap(({ pages }) => pages), cut: layers.some(({ cut }) => cut) };
  return {
    ...{ sent: null, sent_pages: sentPages, calls: records.flatMap(({ calls }) => calls ?? []) },
    ...(layers.length === 0 ? {} : { text_layer: layer }),
    raw_model_text: texts.length === 0 ? null : texts.join("\n"),
    finish_reason: records.at(-1)?.finish_reason ?? null,
  };
}

import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { type AppError, from } from "#core/error";
import * as Metrics from "#core/metrics/metrics";
import { qualityOfAll } from "#core/reading/quality";
import { type Performed, perform, unperformed } from "#core/reading/reading";
import type { StoredPart } from "#core/reading/schema";
import type { Warning } from "#core/reading/warning";
import type { Work } from "#core/reading/work";
import * as Vision from "#core/vision/vision";
import { goesOn } from "./begins.ts";
import { partOf, type Read, usageOf } from "./parts.ts";
import { planOf, type Unit, unitsOf } from "./units.ts";

/*
 * A file that may be several documents (`split: auto`): receipts beside each other on a page are cut out, and pages
 * that begin another document are not joined to those before them. Each unit (a receipt that was cut out, or a page) is
 * asked for by a call of its own, in steps as long documents are (#core/reading/steps/steps); the units of one document
 * are then joined like the pages of any document.
 */

/**
 * Reads each document of a file separately. A file of one document, or of one page, has the same answer as without
 * `split`. Never throws for a fault of the document or the model.
 * @throws Steps.Overtaken if another worker goes on with the document.
 */
export async function performApart(model: Config.Model, work: Work): Promise<Performed> {
  let units: Unit[];
  try {
    units = await unitsOf(work, model.look && work.look !== false);
  } catch (thrown) {
    const failed = { ...unperformed(model, work), error: from(thrown) };
    Metrics.item(failed.error);
    return failed;
  }
  const [only] = units;
  if (units.length === 1 && only?.box === undefined) return await perform(model, work);
  const reads: Read[] = [];
  const plan = planOf(units);
  let callsBefore = 0;
  for (const [at, unit] of units.entries()) {
    const document = Document.alone(work.document, unit.page);
    const part = { at, plan, callsBefore, isFirst: reads.every(isBlank) };
    const performed = await perform(model, { ...work, document, pages: [unit.page.number], part });
    reads.push({ unit, performed });
    if (performed.isStepOver) return { ...together(model, work, reads), isStepOver: true };
    if (endsAll(performed.error)) break;
    callsBefore += performed.record.calls?.length ?? 0;
  }
  const performed = await summed(model, work, reads);
  Metrics.item(performed.error);
  return performed;
}

/**
 * True if the whole file fails: the model server was away, time ran out, or the call itself is wrong. An answer that is
 * not JSON or is cut off, and a picture that the server refuses, are failures of one document only.
 */
function endsAll(error: AppError | undefined): boolean {
  if (error === undefined || error.code === "invalid_model_output") return false;
  if (error.code === "invalid_request") return true;
  const fault = error instanceof Vision.VisionError ? error.fault : undefined;
  return error.retry && (fault === undefined || Vision.classify(fault) !== "refused");
}

const isBlank = ({ performed }: Read): boolean => performed.error?.details?.reason === "blank_page";

/** One outcome for the whole file. */
async function summed(model: Config.Model, work: Work, reads: readonly Read[]): Promise<Performed> {
  const all = together(model, work, reads);
  const ended = reads.find(({ performed }) => endsAll(performed.error))?.performed.error;
  if (ended !== undefined) return { ...all, error: ended };
  const printed = reads.filter((read) => !isBlank(read));
  const blank = reads.filter(isBlank).map(({ unit }) => unit.page.number);
  const [first] = reads;
  if (printed.length === 0) return { ...all, error: first?.performed.error };
  const documents: Read[][] = [];
  for (const read of printed) {
    const before = documents.at(-1);
    if (before !== undefined && (await goesOn(work, before, read))) before.push(read);
    else documents.push([read]);
  }
  await boundTexts(reads);
  const parts: StoredPart[] = [];
  for (const [at, document] of documents.entries()) parts.push(await partOf(work, document, at));
  if (blank.length > 0) all.answer.warnings.push({ code: "blank_pages", pages: blank });
  const [one] = parts;
  return one !== undefined && parts.length === 1 ? asOne(all, one, printed) : asSeveral(all, parts, printed);
}

/** The counts that are added up over all units, whatever their outcome. */
function together(model: Config.Model, work: Work, reads: readonly Read[]): Performed {
  const base = unperformed(model, work);
  const performed = reads.map((read) => read.performed);
  const sum = (of: (each: Performed) => number) => performed.reduce((total, each) => total + of(each), 0);
  const qualities = performed.flatMap(({ answer }) => answer.quality ?? []);
  const texts = performed.flatMap(({ record }) => record.raw_model_text ?? []);
  const told = performed.flatMap(({ record }) => record.file_texts ?? []);
  const sizes = new Map(performed.flatMap(({ pageSizes }) => pageSizes.map((size) => [size.page, size])));
  return {
    ...base,
    pageSizes: [...sizes.values()],
    answer: {
      ...base.answer,
      quality: qualities.length === 0 ? null : qualityOfAll(qualities),
      model: performed.findLast(({ answer }) => answer.model !== "")?.answer.model ?? base.answer.model,
      usage: usageOf(reads),
    },
    earlierMs: work.steps?.earlierMs ?? 0,
    timingsMs: {
      image: sum(({ timingsMs }) => timingsMs.image),
      inference: sum(({ timingsMs }) => timingsMs.inference),
      validate: sum(({ timingsMs }) => timingsMs.validate),
    },
    record: {
      ...base.record,
      request: performed.at(-1)?.record.request ?? base.record.request,
      raw_model_text: texts.length === 0 ? null : texts.join("\n"),
      calls: performed.flatMap(({ record }) => record.calls ?? []),
      ...(told.length === 0 ? {} : { file_texts: told }),
      attempts: performed.flatMap(({ record }) => record.attempts),
    },
  };
}

/** The pages turned out to be one document: its answer is that of the file. */
function asOne(all: Performed, part: StoredPart, reads: readonly Read[]): Performed {
  const { pages: _, box: __, status: ___, usage: ____, error: _____, warnings, ...rest } = part;
  const { sent, sent_pages, calls, text_layer, raw_model_text, finish_reason, ...answer } = rest;
  const error = reads.find(({ performed }) => performed.error !== undefined)?.performed.error;
  return {
    ...all,
    error,
    answer: { ...all.answer, ...answer, warnings: distinct([...all.answer.warnings, ...warnings]) },
    record: {
      ...all.record,
      ...{ sent, raw_model_text, finish_reason },
      ...(sent_pages === undefined ? {} : { sent_pages }),
      ...(calls === undefined ? {} : { calls }),
      ...(text_layer === undefined ? {} : { text_layer }),
    },
  };
}

/** No single document is the result of the file: `result` is null. The file failed only if all of its documents did. */
function asSeveral(all: Performed, documents: StoredPart[], reads: readonly Read[]): Performed {
  const isFailed = documents.every(({ status }) => status === "failed");
  // Each document has its own result.
  const { calls: _, ...record } = all.record;
  const judged = documents.flatMap(({ schema_ok }) => schema_ok ?? []);
  return {
    ...all,
    error: isFailed
      ? reads.find(({ performed }) => performed.error !== undefined)?.performed.error
      : undefined,
    answer: {
      ...all.answer,
      schema_ok: judged.length === 0 ? null : judged.length === documents.length && judged.every(Boolean),
      warnings: distinct([...all.answer.warnings, ...documents.flatMap(({ warnings }) => warnings)]),
    },
    record: { ...record, documents },
  };
}

/** The texts of all pages together are bounded as those of any document. */
async function boundTexts(reads: readonly Read[]): Promise<void> {
  const records = reads.map(({ performed }) => performed.record);
  const all = records.flatMap(({ text_layer }) => text_layer ?? []);
  if (all.length === 0) return;
  const TextLayer = await import("#core/reading/text-layer");
  const layers = TextLayer.bounded(all);
  for (const record of records) {
    const layer = record.text_layer && layers.shift();
    if (layer !== undefined) record.text_layer = layer;
  }
}

/** The file's own warnings are those of each of its parts, too. */
function distinct(warnings: readonly Warning[]): Warning[] {
  const seen = new Map(warnings.map((warning) => [JSON.stringify(warning), warning]));
  return [...seen.values()];
}

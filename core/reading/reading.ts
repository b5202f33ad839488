import type * as Config from "#core/config";
import { type AppError, from, invalidRequest } from "#core/error";
import * as Metrics from "#core/metrics/metrics";
import { usageOf } from "#core/vision/fault";
import * as Vision from "#core/vision/vision";
import { Asking, type Examine } from "./asking.ts";
import * as Embedded from "./embedded.ts";
import type { Artifact, Extract, PageSize } from "./schema.ts";
import * as Steps from "./steps/steps.ts";
import * as Warning from "./warning.ts";
import type { Settings, Work } from "./work.ts";

/** The result for a picture and a task: the part of the artifact that does not depend on the caller. */
export interface Performed {
  /**
   * Undefined if the model's answer was one JSON object, even one that breaks the schema. The part that was read of an
   * incomplete answer is in `answer` nevertheless.
   */
  error: AppError | undefined;
  /**
   * Another worker makes the further calls: the calls so far are stored (./steps/steps.ts), and the work has not ended.
   */
  isStepOver?: true;
  answer: Pick<
    Extract,
    | "result"
    | "complete"
    | "rows"
    | "schema_ok"
    | "schema_errors"
    | "normalized"
    | "checks"
    | "warnings"
    | "quality"
    | "embedded"
    | "model"
    | "prompt_sha256"
    | "schema_sha256"
    | "image_sha256"
    | "usage"
  >;
  /** The sizes of the pages that were read. */
  pageSizes: PageSize[];
  timingsMs: { image: number; inference: number; validate: number };
  /** The part of these times that earlier workers spent. */
  earlierMs?: number;
  record: Pick<
    Artifact,
    | "documents"
    | "sent"
    | "sent_pages"
    | "calls"
    | "text_layer"
    | "file_texts"
    | "request"
    | "raw_model_text"
    | "finish_reason"
    | "attempts"
  >;
}

/** Temperature 0 and a fixed seed: as repeatable as the server is. */
const defaultTemperature = 0;
const seed = 1;

const settingsOf = ({ task, debug }: Work): Settings => ({
  temperature: debug?.temperature ?? defaultTemperature,
  max_tokens: task.maxOutputTokens,
  response_format: "json_schema",
  seed,
  ...(debug === undefined ? {} : { debug }),
});

/** The result before the model was asked. */
export const unperformed = (model: Config.Model, work: Work): Performed => ({
  error: undefined,
  answer: {
    result: null,
    schema_ok: null,
    schema_errors: [],
    normalized: {},
    checks: [],
    warnings: Warning.ofFile(work.document),
    quality: null,
    model: model.model,
    prompt_sha256: work.task.promptSha256,
    schema_sha256: work.task.schemaSha256,
    image_sha256: work.document.sha256,
    usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 0 },
  },
  pageSizes: [],
  timingsMs: { image: 0, inference: 0, validate: 0 },
  record: {
    sent: null,
    request: settingsOf(work),
    raw_model_text: null,
    finish_reason: null,
    attempts: [],
  },
});

/**
 * Prepares the pages, asks the model, and checks its answer. The same code serves single calls and items of a
 * batch. Never throws for a fault of the document or the model: `error` has it, beside the results so far.
 * @throws Steps.Overtaken if another worker goes on with the document.
 */
export async function perform(model: Config.Model, work: Work): Promise<Performed> {
  const settings = settingsOf(work);
  const performed = unperformed(model, work);
  const asking = new Asking(model, work, settings);
  try {
    // The text layer needs no model, so it is read after a failure of the model, too. If another worker goes on, that
    // worker reads it.
    const noted = async () => noteBeside(performed, work, asking);
    await asking.run().then(noted, async (thrown: unknown) => {
      if (!(thrown instanceof Steps.StepOver)) await noted();
      throw thrown;
    });
    const validateAt = Date.now();
    const known = { ...work, embedded: performed.answer.embedded };
    record(performed, asking, settings, await examine(await asking.examining, known, asking));
    performed.timingsMs.validate = Date.now() - validateAt;
  } catch (thrown) {
    if (thrown instanceof Steps.StepOver) performed.isStepOver = true;
    else await fail(performed, work, asking, thrown);
  }
  const recorded = asking.record();
  const { attempts } = recorded;
  performed.record = { ...performed.record, ...recorded, raw_model_text: asking.rawText };
  performed.answer.usage = { ...usageOf(attempts), attempts: attempts.length };
  performed.pageSizes = asking.pageSizes;
  performed.answer.quality = asking.quality;
  performed.earlierMs = work.steps?.earlierMs ?? 0;
  performed.timingsMs.image = asking.imageMs;
  performed.timingsMs.inference = asking.inferenceMs;
  if (!performed.isStepOver && work.part === undefined) Metrics.item(performed.error);
  return performed;
}

/** @throws Steps.Overtaken. */
async function fail(performed: Performed, work: Work, asking: Asking, thrown: unknown): Promise<void> {
  if (thrown instanceof Steps.Overtaken) throw thrown;
  performed.error = ofCaller(thrown, work) ?? from(thrown);
  if (thrown instanceof Vision.VisionError) await recordFailure(performed, work, asking, thrown);
}

/** Adds what the file itself contains: its e-invoice, its text layers, and which pages lack fonts. */
async function noteBeside({ answer, record }: Performed, work: Work, asking: Asking): Promise<void> {
  // The file has it once, however many parts are read.
  if (work.part?.isFirst ?? true) await Embedded.note(answer, work);
  const { textLayers } = asking;
  const layer = await textLayers?.record();
  if (layer !== undefined) record.text_layer = layer;
  const pages = await textLayers?.withoutFonts();
  if (pages?.length) answer.warnings = [...answer.warnings, { code: "fonts_missing", pages }];
}

/** The model server does not support the caller's schema: the request is wrong, and a repeat does not help. */
function ofCaller(thrown: unknown, { debug }: Work): AppError | undefined {
  if (debug?.schema_override === undefined) return undefined;
  if (!(thrown instanceof Vision.VisionError) || thrown.fault?.schemaRefused !== true) return undefined;
  const message = "the model server does not support this schema: leave out its unusual parts";
  return invalidRequest([{ path: "debug.schema_override", message }], {
    details: { reason: "schema_refused" },
  });
}

/** The joined answer, its evaluation, and its warnings. */
async function examine(
  Examine: Examine,
  work: Work & Pick<Extract, "embedded">,
  asking: Asking,
): Promise<Partial<Performed["answer"]>> {
  const answers = asking.answered.map(answeredOf);
  const { value, disagree, unclear } = asking.isJoined
    ? Examine.joined(work, answers)
    : { value: answers[0]?.value ?? {}, disagree: [], unclear: false };
  const whole = Examine.whole(work, value);
  const account = Examine.accounted(work, value, whole, { ...(await asking.seenRows()), unclear });
  const fromTextLayer = (await asking.textLayers?.pathsFrom(value)) ?? [];
  const { blank, limited } = asking;
  const receipts = [...asking.looks.values()].flatMap(({ papers }) => papers).length;
  const warnings = Warning.ofPages({ blank, limited, disagree, fromTextLayer, receipts });
  return { result: value, ...whole, ...account, warnings: [...warnings, ...Warning.ofRows(account)] };
}

/** The pages, or parts of one, that an answer is about. */
function answeredOf({ pieces: [piece], answer: { value } }: Asking["answered"][number]) {
  return { page: piece?.page ?? 1, tile: piece?.tile, value };
}

/** Records an answer, its evaluation, and how the model was asked for it. */
function record(
  performed: Performed,
  asking: Asking,
  settings: Settings,
  examined: Partial<Performed["answer"]>,
): void {
  const last = asking.answered.at(-1)?.answer;
  performed.answer = {
    ...performed.answer,
    ...examined,
    warnings: [...performed.answer.warnings, ...(examined.warnings ?? [])],
    // The server's name for the model; a long text is cut.
    model: (last?.model ?? "").slice(0, 200),
  };
  performed.record = {
    ...performed.record,
    finish_reason: last?.finishReason ?? null,
    request: {
      ...settings,
      max_tokens: last?.attempts.at(-1)?.max_tokens ?? settings.max_tokens,
      response_format: last?.attempts.at(-1)?.response_format ?? settings.response_format,
    },
  };
}

async function recordFailure(
  performed: Performed,
  work: Work,
  asking: Asking,
  error: Vision.VisionError,
): Promise<void> {
  const { partial } = error;
  performed.record.finish_reason = error.finishReason;
  if (error.code !== "answer_too_long") return;
  performed.answer.complete = false;
  if (partial === null) return;
  const validateAt = Date.now();
  const Examine = await import("./examine.ts");
  const [{ page, tile } = { page: 1, tile: undefined }] = asking.asked;
  const answers = [...asking.answered.map(answeredOf), { page, tile, value: partial.value }];
  const value = asking.isJoined ? Examine.joined(work, answers).value : partial.value;
  const known = Examine.partial({ ...work, embedded: performed.answer.embedded }, { ...partial, value });
  const account = Examine.accounted(work, value, known, { ...(await asking.seenRows()), cut: true });
  performed.answer = { ...performed.answer, result: value, ...known, ...account };
  performed.timingsMs.validate = Date.now() - validateAt;
}

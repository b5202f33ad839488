import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { type AppError, from, invalidRequest } from "#core/error";
import * as Budget from "#core/image/budget";
import type { Log } from "#core/log";
import type { Look } from "#core/look/look";
import * as Metrics from "#core/metrics/metrics";
import type * as Override from "#core/task/override";
import type * as OwnSchema from "#core/task/own-schema";
import type * as Task from "#core/task/task";
import { usageOf } from "#core/vision/fault";
import * as Vision from "#core/vision/vision";
import type { Artifact, Extract } from "./schema.ts";
import * as Warning from "./warning.ts";

/** One picture, one task, and how long there is. */
interface Work {
  task: Task.Task;
  document: Document.Document;
  requestId: string;
  /** When the artifact was created. Two-digit years are read by it, so that a repeat gives the same values. */
  createdAt: Date;
  /** Epoch milliseconds at which the model call is cut off. */
  deadline: number;
  signal: AbortSignal;
  log: Log;
  /** The caller's debug options; `task` already contains their changes. */
  debug?: Override.Debug | undefined;
  /** A lost connection ends the attempt, so that the picture can be asked alone. */
  endOnSuspect?: boolean | undefined;
  /** Instead of the task's own validation. */
  validate?: OwnSchema.Overridden["validate"] | undefined;
}

/** The result for a picture and a task: the part of the artifact that does not depend on the caller. */
export interface Performed {
  /** Undefined when the model's answer was one JSON object, however wrong its schema. What came of one that did not fit is in `answer` all the same. */
  error: AppError | undefined;
  answer: Pick<
    Extract,
    | "result"
    | "complete"
    | "schema_ok"
    | "schema_errors"
    | "normalized"
    | "checks"
    | "warnings"
    | "model"
    | "prompt_sha256"
    | "schema_sha256"
    | "image_sha256"
    | "usage"
  >;
  timingsMs: { image: number; inference: number; validate: number };
  record: Pick<Artifact, "sent" | "request" | "raw_model_text" | "finish_reason" | "attempts">;
}

type Settings = NonNullable<Artifact["request"]>;

/** Temperature 0 and a fixed seed: as repeatable as the server is. */
const defaultTemperature = 0;
const seed = 1;

/**
 * Prepares the picture, asks the model, and checks its answer. The same code serves single calls and items of a
 * batch. Never throws for a fault of the picture or the model: `error` has it, beside what is known so far.
 */
export async function perform(model: Config.Model, work: Work): Promise<Performed> {
  const { task, document } = work;
  const settings: Settings = {
    temperature: work.debug?.temperature ?? defaultTemperature,
    max_tokens: task.maxOutputTokens,
    response_format: "json_schema",
    seed,
    ...(work.debug === undefined ? {} : { debug: work.debug }),
  };
  const performed: Performed = {
    error: undefined,
    answer: {
      result: null,
      schema_ok: null,
      schema_errors: [],
      normalized: {},
      checks: [],
      warnings: Warning.ofPages(document.frames),
      model: model.model,
      prompt_sha256: task.promptSha256,
      schema_sha256: task.schemaSha256,
      image_sha256: document.sha256,
      usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 0 },
    },
    timingsMs: { image: 0, inference: 0, validate: 0 },
    record: {
      sent: null,
      request: settings,
      raw_model_text: null,
      finish_reason: null,
      attempts: [],
    },
  };
  try {
    await run(performed, model, work, settings);
  } catch (thrown) {
    performed.error = ofCaller(thrown, work) ?? from(thrown);
    if (thrown instanceof Vision.VisionError) await recordFailure(performed, work, thrown);
  }
  Metrics.item(performed.error);
  return performed;
}

/** A schema of the caller's that the model server cannot hold an answer to: the request is wrong, and stays so. */
function ofCaller(thrown: unknown, { debug }: Work): AppError | undefined {
  if (debug?.schema_override === undefined) return undefined;
  if (!(thrown instanceof Vision.VisionError) || thrown.fault?.schemaRefused !== true) return undefined;
  const message = "the model server cannot hold an answer to this schema: leave out what is unusual in it";
  return invalidRequest([{ path: "debug.schema_override", message }], {
    details: { reason: "schema_refused" },
  });
}

function countCall({ duration_ms, error }: Record<string, unknown>): void {
  Metrics.modelCall({
    durationMs: Number(duration_ms),
    failed: error !== undefined,
    timedOut: error === "inference_timeout",
  });
}

async function run(performed: Performed, model: Config.Model, work: Work, settings: Settings): Promise<void> {
  const { task, signal } = work;
  const room = await openRoom(performed, model, work);
  settings.max_tokens = room.fit.maxTokens;

  const inferenceAt = Date.now();
  // Loaded while the model answers; without an answer it is not awaited.
  const examining = import("./examine.ts");
  examining.catch(() => undefined);
  let answer: Vision.Answer;
  try {
    answer = await Vision.ask(
      model,
      {
        prompt: task.prompt,
        ...room.fit,
        schema: task.modelSchema,
        schemaName: task.id,
        temperature: settings.temperature,
        seed,
        requestId: work.requestId,
      },
      {
        signal,
        deadline: work.deadline,
        endOnSuspect: work.endOnSuspect,
        // The log names the call and the extract already.
        onEvent: ({ event, request_id: _, ...facts }) => {
          work.log.info(event, facts);
          if (event !== "vllm_call_start") countCall(facts);
        },
        onPictureRefused: () => room.reencoded(),
        room,
      },
    );
  } finally {
    performed.timingsMs.inference = Date.now() - inferenceAt;
  }

  const validateAt = Date.now();
  const examined = (await examining).whole(work, answer.value);
  record(performed, answer, examined, settings);
  performed.timingsMs.validate = Date.now() - validateAt;
}

/** Records an answer, its evaluation, and how it came about. */
function record(
  performed: Performed,
  answer: Vision.Answer,
  examined: Partial<Performed["answer"]>,
  settings: Settings,
): void {
  performed.answer = {
    ...performed.answer,
    result: answer.value,
    ...examined,
    // The server's name for the model; a long text is cut.
    model: answer.model.slice(0, 200),
    usage: { ...answer.usage, attempts: answer.attempts.length },
  };
  performed.record = {
    ...performed.record,
    raw_model_text: answer.rawText,
    finish_reason: answer.finishReason,
    attempts: answer.attempts,
    request: {
      ...settings,
      max_tokens: answer.attempts.at(-1)?.max_tokens ?? settings.max_tokens,
      response_format: answer.attempts.at(-1)?.response_format ?? settings.response_format,
    },
  };
}

/** What is seen of the picture before it is sent; undefined where nobody is to look. */
async function lookAt(
  performed: Performed,
  model: Config.Model,
  { document, signal }: Work,
): Promise<Look | undefined> {
  if (!model.look) return undefined;
  const startedAt = Date.now();
  const look = await Document.look(document.first, { signal });
  performed.timingsMs.image += Date.now() - startedAt;
  return look;
}

/** The picture in a size that fits, and how it is changed if the server refuses it. */
async function openRoom(performed: Performed, model: Config.Model, work: Work): Promise<Vision.Room> {
  const { task, document, signal } = work;
  const asked = work.debug?.max_tokens;
  const most = Math.min(asked ?? Number.POSITIVE_INFINITY, model.maxTokens ?? Number.POSITIVE_INFINITY);
  const look = await lookAt(performed, model, work);
  return await Vision.Room.open({
    server: model,
    promptTokens: Budget.textTokens(task.prompt),
    maxTokens: task.maxOutputTokens,
    mostTokens: Number.isFinite(most) ? most : undefined,
    exact: asked !== undefined,
    signal,
    prepare: async (maxImageTokens, encodeAs) => {
      const startedAt = Date.now();
      const prepared = await Document.prepare(document.first, {
        maxImageTokens,
        encodeAs,
        look,
        signal,
      });
      performed.timingsMs.image += Date.now() - startedAt;
      performed.record.sent = {
        sha256: prepared.sha256,
        width: prepared.width,
        height: prepared.height,
        mime_type: prepared.mimeType,
        bytes: prepared.bytes.length,
        turned: prepared.turned,
      };
      return prepared;
    },
  });
}

async function recordFailure(performed: Performed, work: Work, error: Vision.VisionError): Promise<void> {
  const { attempts, partial } = error;
  performed.record = {
    ...performed.record,
    raw_model_text: error.rawText || null,
    finish_reason: error.finishReason,
    attempts,
  };
  performed.answer.usage = { ...usageOf(attempts), attempts: attempts.length };
  if (error.code !== "answer_too_long") return;
  performed.answer.complete = false;
  if (partial === null) return;
  const validateAt = Date.now();
  const examined = (await import("./examine.ts")).partial(work, partial);
  performed.answer = { ...performed.answer, result: partial.value, ...examined };
  performed.timingsMs.validate = Date.now() - validateAt;
}

import { setTimeout as sleep } from "node:timers/promises";
import type { Code } from "#core/error";
import * as Complete from "#core/vision/complete";
import {
  type AttemptKind,
  type AttemptRecord,
  type ContextTooLong,
  type Fault,
  reasonOf,
  type Usage,
  VisionError,
} from "#core/vision/fault";
import { Guard } from "#core/vision/guard";
import { extractJson, type Found, type JsonObject } from "#core/vision/json";
import { probe } from "#core/vision/probe";
import { judgeThinking, modelThinks } from "#core/vision/reasoning";
import { tokenBound } from "#core/vision/schema-bound";
import { classify, suspect } from "#core/vision/weather";

/*
 * ask(server, ask, options) -> Answer     one checked JSON object, or a VisionError with every attempt
 * probe(server, signal?)   -> Probe       is the server there, what does it serve
 * complete(…)                             one call without retries, in #core/vision/complete
 */

export type { Ask, Completion, Event, Picture, Server, TokenLogprob } from "#core/vision/complete";
export { complete } from "#core/vision/complete";
export { type AttemptRecord, type Fault, type Usage, VisionError } from "#core/vision/fault";
export { type Probe, probe } from "#core/vision/probe";
export { classify, suspect, type Verdict } from "#core/vision/weather";

/** What the server said about a request that did not fit, for whoever makes the picture smaller. */
export interface TooLong {
  /** 1 for the first shrink of this question, at most 3. */
  n: number;
  maxModelLen: number | undefined;
  /** Tokens of text and pictures as the server counted them. */
  promptTokens: number | undefined;
  /** Tokens that have to go, where the server's numbers tell. */
  excessTokens: number | undefined;
}

export interface AskOptions {
  signal?: AbortSignal | undefined;
  /** Epoch milliseconds; nothing here takes longer. */
  deadline: number;
  onEvent?: ((event: Complete.Event) => void) | undefined;
  /** Makes smaller pictures (`Budget.afterTooLong` has the arithmetic); undefined when that is not possible. */
  onContextTooLong?: ((limit: TooLong) => Promise<Complete.Picture[] | undefined>) | undefined;
  /** Encodes the pictures anew after the server refused them; undefined when that was done already. */
  onPictureRefused?: (() => Promise<Complete.Picture[] | undefined>) | undefined;
  /** Pauses between retries; the server's `Retry-After` has precedence. */
  backoff?: { baseMs: number; maxMs: number } | undefined;
  probeTimeoutMs?: number | undefined;
  /** Do not ask again after a connection that was lost with the request sent, although the server is there. */
  endOnSuspect?: boolean | undefined;
  /** 0 up to 1; replaced in tests. */
  random?: (() => number) | undefined;
}

export interface Answer {
  value: JsonObject;
  rawText: string;
  finishReason: string;
  /** Of all attempts together. */
  usage: Usage;
  attempts: AttemptRecord[];
  model: string;
  logprobs: Complete.TokenLogprob[] | null;
}

const maxRetries = 4;
const maxShrinks = 3;
const defaultBackoff = { baseMs: 250, maxMs: 8_000 };
/** A retry needs at least this much time to be worth the pause in front of it. */
const minCallMs = 100;
/** At temperature 0 another seed changes nothing: from the second rung on a little randomness helps out of a loop. */
const laterTemperature = 0.2;

/** The rungs of the ladder: how the next question differs after an answer that was no JSON object. */
const rungs = [
  "first",
  "another_seed",
  "smaller_max_tokens",
  "without_response_format",
] as const satisfies AttemptKind[];

/**
 * Fields that a server has refused, by its address: asked for once, not at every call. Noted only when the call
 * without them was answered, and for ten minutes: a server may be replaced, and an error may name what is innocent.
 */
const refusedFields = new Map<string, { fields: ReadonlySet<string>; until: number }>();
const refusedFieldsMs = 600_000;

/** Never remembered: what was refused may be one caller's schema, and nobody else may lose the constraint by it. */
const neverNoted = new Set(["response_format", "structured_outputs"]);

function refusedBy(server: Complete.Server): ReadonlySet<string> {
  const known = refusedFields.get(server.baseUrl);
  return known !== undefined && known.until > Date.now() ? known.fields : new Set();
}

/**
 * Asks until there is one JSON object, or a reason to stop:
 * - an answer that is nothing but thinking → the end after this one call, `model_thinks`, not to be repeated;
 * - an answer that is no object, was cut off or ended at `max_tokens` → the next rung: another seed → a `max_tokens`
 *   bounded by the schema → without `response_format`;
 * - "context too long" → smaller pictures from `onContextTooLong`, at most three times;
 * - a picture that the server cannot open → the same encoded anew by `onPictureRefused`, once;
 * - 408, 425, 429, 5xx and broken connections → the same again, after `Retry-After` or a growing pause;
 * - signs of an absent server → a probe; when that fails too, the end at once.
 * Everything within the deadline, every call recorded in `attempts`.
 *
 * Throws VisionError: `inference_unavailable` (absent or overloaded, with `retryAfterS`), `inference_timeout`,
 * `inference_failed`, `invalid_model_output`.
 */
export async function ask(
  server: Complete.Server,
  question: Complete.Ask,
  options: AskOptions,
): Promise<Answer> {
  const ladder = new Ladder(server, question, options);
  for (;;) {
    const answer = await ladder.step();
    if (answer !== undefined) return answer;
  }
}

/** The state of one question between its calls. */
class Ladder {
  readonly #server: Complete.Server;
  readonly #question: Complete.Ask;
  readonly #options: AskOptions;
  readonly #attempts: AttemptRecord[] = [];
  #images: Complete.Picture[];
  #rung = 0;
  #kind: AttemptKind = "first";
  /** Fields left out: what the server is known to refuse, and what it has refused in this question. */
  #without: ReadonlySet<string>;
  #retries = 0;
  #shrinks = 0;
  #reencoded = false;
  #rawText = "";
  #finishReason: string | null = null;

  constructor(server: Complete.Server, question: Complete.Ask, options: AskOptions) {
    this.#server = server;
    this.#question = question;
    this.#options = options;
    this.#images = question.images;
    this.#without = refusedBy(server);
  }

  /** One call; an answer, or undefined when the next call may start. */
  async step(): Promise<Answer | undefined> {
    const { ask, without } = this.#request();
    const startedAt = Date.now();
    const record: AttemptRecord = {
      n: this.#attempts.length + 1,
      kind: this.#kind,
      seed: ask.seed,
      temperature: ask.temperature,
      max_tokens: ask.maxTokens,
      response_format: Complete.sendsSchema(ask, without) ? "json_schema" : "none",
      status: null,
      finish_reason: null,
      ms: 0,
      first_token_ms: null,
      usage: null,
    };
    let completion: Complete.Completion;
    try {
      completion = await Complete.complete(this.#server, ask, {
        signal: this.#options.signal,
        deadline: this.#options.deadline,
        onEvent: (event) => this.#options.onEvent?.({ ...event, attempt: record.n }),
        guard: new Guard(ask.maxTokens),
        without,
      });
    } catch (thrown) {
      if (!(thrown instanceof VisionError) || thrown.fault === undefined) throw thrown;
      const { fault } = thrown;
      record.ms = Date.now() - startedAt;
      record.status = fault.status ?? (fault.kind === "unfinished" ? 200 : null);
      record.error = reasonOf(fault);
      this.#attempts.push(record);
      if (thrown.rawText !== "") this.#rawText = thrown.rawText;
      await this.#afterFault(fault, thrown, ask.maxTokens);
      return undefined;
    }
    record.ms = completion.totalMs;
    record.status = 200;
    record.first_token_ms = completion.firstTokenMs;
    record.finish_reason = completion.finishReason;
    record.usage = completion.usage;
    this.#attempts.push(record);
    this.#note();
    const rawText = completion.text.trim() === "" ? completion.reasoning : completion.text;
    this.#rawText = rawText;
    this.#finishReason = completion.finishReason;
    const judged = judge(completion);
    if (typeof judged !== "string") {
      if (judged.repaired !== undefined) record.repaired = judged.repaired;
      return {
        value: judged.value,
        rawText,
        finishReason: completion.finishReason ?? "stop",
        usage: this.#usage(),
        attempts: this.#attempts,
        model: completion.model,
        logprobs: completion.logprobs,
      };
    }
    record.error = judged;
    // It would think again, at the price of another whole answer: only the server's operator can change that.
    if (judged === modelThinks) throw this.#thinks();
    this.#climb(judged);
    return undefined;
  }

  #request(): { ask: Complete.Ask; without: ReadonlySet<string> | undefined } {
    const rung = rungs[this.#rung] ?? "first";
    const question = this.#question;
    const bounded = rung === "smaller_max_tokens" || rung === "without_response_format";
    const bound = question.schema === undefined ? Number.POSITIVE_INFINITY : tokenBound(question.schema);
    return {
      ask: {
        ...question,
        images: this.#images,
        seed: question.seed + this.#rung,
        temperature:
          this.#rung === 0 ? question.temperature : Math.max(question.temperature, laterTemperature),
        maxTokens: bounded ? Math.min(question.maxTokens, bound) : question.maxTokens,
        schema: rung === "without_response_format" ? undefined : question.schema,
      },
      without: this.#without,
    };
  }

  /** The next rung, or the end of the ladder. */
  #climb(reason: string): void {
    this.#rung++;
    const rung = rungs[this.#rung];
    if (rung === undefined || (rung === "without_response_format" && this.#question.schema === undefined)) {
      throw this.#end("invalid_model_output", reason, undefined);
    }
    this.#kind = rung;
  }

  async #afterFault(fault: Fault, thrown: VisionError, maxTokens: number): Promise<void> {
    if (thrown.code === "inference_timeout") throw this.#end("inference_timeout", reasonOf(fault), fault);
    if (fault.contextTooLong !== undefined) {
      await this.#shrink(fault.contextTooLong, fault, maxTokens);
      return;
    }
    if (fault.pictureRefused && (await this.#reencode())) return;
    if (fault.unknownFields !== undefined && this.#learn(fault.unknownFields)) {
      this.#kind = "without_field";
      return;
    }
    const verdict = classify(fault);
    if (verdict === "refused") throw this.#end("inference_failed", reasonOf(fault), fault);
    if (verdict === "weather") await this.#confirmWeather(fault);
    // Asking again at once could take the model server down again: who counts suspects wants to know first.
    if (this.#options.endOnSuspect && suspect(fault))
      throw this.#end("inference_failed", reasonOf(fault), fault);
    this.#retries++;
    const code = verdict === "overload" ? "inference_unavailable" : "inference_failed";
    if (this.#retries > maxRetries) throw this.#end(code, reasonOf(fault), fault);
    const pauseMs = this.#pauseMs(fault.retryAfterMs);
    if (Date.now() + pauseMs + minCallMs > this.#options.deadline)
      throw this.#end(code, reasonOf(fault), fault);
    this.#kind = "retry";
    await sleep(pauseMs, undefined, { signal: this.#options.signal }).catch(() => {
      throw this.#end("inference_timeout", "aborted", fault);
    });
  }

  /** Weather is only what a probe confirms: then the caller waits instead of this call burning its time. */
  async #confirmWeather(fault: Fault): Promise<void> {
    const left = Math.max(1, this.#options.deadline - Date.now());
    const wanted = this.#options.probeTimeoutMs ?? 2_000;
    const seen = await probe(this.#server, this.#options.signal, Math.min(wanted, left));
    if (this.#options.signal?.aborted) throw this.#end("inference_timeout", "aborted", fault);
    // A probe that the deadline cut short confirms nothing.
    if (seen.error === "timeout" && left < wanted) throw this.#end("inference_timeout", "deadline", fault);
    const missing = fault.modelMissing === true && !seen.models.includes(this.#server.model);
    if (!seen.ok || missing) throw this.#end("inference_unavailable", reasonOf(fault), fault);
    // The list of models is shown to this key, so it is the call itself that is refused.
    if (fault.status === 401 || fault.status === 403)
      throw this.#end("inference_failed", reasonOf(fault), fault);
  }

  async #shrink(numbers: ContextTooLong, fault: Fault, maxTokens: number): Promise<void> {
    this.#shrinks++;
    const { maxModelLen, promptTokens } = numbers;
    const known = maxModelLen !== undefined && promptTokens !== undefined;
    const excessTokens = known ? promptTokens + maxTokens - maxModelLen : numbers.overBy;
    const images =
      this.#shrinks > maxShrinks
        ? undefined
        : await this.#options.onContextTooLong?.({
            n: this.#shrinks,
            maxModelLen,
            promptTokens,
            excessTokens,
          });
    if (images === undefined) throw this.#end("inference_failed", "context_too_long", fault);
    this.#images = images;
    this.#kind = "smaller_picture";
  }

  /** False when the pictures were encoded anew before, or cannot be. */
  async #reencode(): Promise<boolean> {
    if (this.#reencoded) return false;
    this.#reencoded = true;
    const images = await this.#options.onPictureRefused?.();
    if (images === undefined) return false;
    this.#images = images;
    this.#kind = "reencoded_picture";
    return true;
  }

  /** Leaves out fields that the server refused; false when it was asked without them already. */
  #learn(fields: string[]): boolean {
    const known = new Set(this.#without);
    for (const field of fields) {
      known.add(field);
      // The one is refused without the other.
      if (field === "logprobs") known.add("top_logprobs");
    }
    const grown = known.size > this.#without.size;
    this.#without = known;
    return grown;
  }

  /** The server has answered without these fields: the next question need not try them. */
  #note(): void {
    const fields = [...this.#without].filter((field) => !neverNoted.has(field));
    const before = refusedBy(this.#server);
    if (fields.every((field) => before.has(field))) return;
    refusedFields.set(this.#server.baseUrl, { fields: new Set(fields), until: Date.now() + refusedFieldsMs });
  }

  /** Capped exponential back-off, half of it jitter; what the server asks for is the least. */
  #pauseMs(retryAfterMs: number | undefined): number {
    const { baseMs, maxMs } = this.#options.backoff ?? defaultBackoff;
    const random = this.#options.random ?? Math.random;
    const growing = Math.min(maxMs, baseMs * 2 ** (this.#retries - 1));
    return retryAfterMs === undefined
      ? growing * (0.5 + random() / 2)
      : retryAfterMs + (baseMs / 2) * random();
  }

  #end(code: Code & keyof typeof Complete.messages, reason: string, fault: Fault | undefined): VisionError {
    const away = code === "inference_unavailable";
    return new VisionError(code, Complete.messages[code], {
      reason,
      fault,
      attempts: this.#attempts,
      rawText: this.#rawText,
      finishReason: this.#finishReason,
      retryAfterS: away ? Math.max(1, Math.ceil((fault?.retryAfterMs ?? 5_000) / 1000)) : undefined,
    });
  }

  #thinks(): VisionError {
    return new VisionError("invalid_model_output", Complete.messages.model_thinks, {
      reason: modelThinks,
      attempts: this.#attempts,
      rawText: this.#rawText,
      finishReason: this.#finishReason,
      retry: false,
    });
  }

  #usage(): Usage {
    const sum = { prompt_tokens: 0, completion_tokens: 0 };
    for (const { usage } of this.#attempts) {
      sum.prompt_tokens += usage?.prompt_tokens ?? 0;
      sum.completion_tokens += usage?.completion_tokens ?? 0;
    }
    return sum;
  }
}

/** The object in a finished answer, or why there is none, in snake_case. */
function judge(completion: Complete.Completion): Found | string {
  const thought = judgeThinking(completion);
  if (thought !== undefined) return thought;
  if (completion.cut !== null) return completion.cut;
  const reason = completion.finishReason ?? "";
  if (reason !== "stop")
    return reason === "length" ? "length" : `finish_${/^[a-z_]{1,40}$/.test(reason) ? reason : "other"}`;
  const extracted = extractJson(completion.text);
  return extracted.ok ? extracted : extracted.reason;
}

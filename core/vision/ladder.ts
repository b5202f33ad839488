import { setTimeout as sleep } from "node:timers/promises";
import { type AppError, type Code, from } from "#core/error";
import type { JsonObject } from "#core/vision/answer/json";
import { salvage } from "#core/vision/answer/salvage";
import type { Answer, AskOptions } from "#core/vision/asked";
import * as Backoff from "#core/vision/backoff";
import * as ByUrl from "#core/vision/by-url";
import * as Complete from "#core/vision/complete";
import type { Completion } from "#core/vision/completion";
import {
  type AttemptKind,
  type AttemptRecord,
  type ContextTooLong,
  type Fault,
  reasonOf,
  usageOf,
  VisionError,
} from "#core/vision/fault";
import { Guard } from "#core/vision/guard";
import { type Judged, judge } from "#core/vision/judge";
import * as Outage from "#core/vision/outage";
import { modelThinks } from "#core/vision/reasoning";
import * as RefusedFields from "#core/vision/refused-fields";
import type { Fit } from "#core/vision/room";
import { classify, suspect } from "#core/vision/verdict";

const maxRetries = 4;
/** A retry is made only if at least this much time is left after the pause. */
const minCallMs = 100;
/**
 * At temperature 0 another seed changes nothing, so from the second rung on a little randomness helps out of a loop.
 */
const laterTemperature = 0.2;
/** Fewer tokens are not enough for an answer. */
const leastTokens = 64;

/** The rungs of the ladder: how the next call differs after an answer that was not a JSON object. */
const rungs = ["first", "another_seed", "without_response_format"] as const satisfies AttemptKind[];

/** The state of one question between its calls. */
export class Ladder {
  readonly #server: Complete.Server;
  readonly #question: Complete.Ask;
  readonly #options: AskOptions;
  readonly #attempts: AttemptRecord[] = [];
  #images: Complete.Picture[];
  #maxTokens: number;
  #rung = 0;
  #kind: AttemptKind = "first";
  /** Fields that are left out: those that the server is known to refuse, and those that it refused in this question. */
  #without: ReadonlySet<string>;
  #retries = 0;
  /** True after the room was checked once for an answer that did not fit; it is not checked again. */
  #resized = false;
  #reencoded = false;
  /** Why the server did not take a picture by its URL. */
  #notFetched: string | undefined;
  #rawText = "";
  #finishReason: string | null = null;

  constructor(server: Complete.Server, question: Complete.Ask, options: AskOptions) {
    this.#server = server;
    this.#question = question;
    this.#options = options;
    this.#images = question.images;
    this.#maxTokens = question.maxTokens;
    this.#without = RefusedFields.refusedBy(server);
  }

  /** Makes one call. Returns an answer, or undefined if the next call may start. */
  async step(): Promise<Answer | undefined> {
    const { ask, without } = this.#request();
    const startedAt = Date.now();
    const record = this.#record(ask, without);
    let completion: Completion;
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
      record.usage = thrown.usage;
      this.#attempts.push(record);
      if (thrown.rawText !== "") this.#rawText = thrown.rawText;
      await this.#afterFault(fault, thrown.code);
      return undefined;
    }
    const { totalMs: ms, firstTokenMs: first_token_ms, finishReason: finish_reason, usage } = completion;
    Object.assign(record, { ms, status: 200, first_token_ms, finish_reason, usage });
    this.#attempts.push(record);
    RefusedFields.note(this.#server, this.#without);
    this.#noteUrls();
    if (this.#question.suffix === undefined) this.#options.room?.counted(completion.usage);
    this.#rawText = completion.text.trim() === "" ? completion.reasoning : completion.text;
    this.#finishReason = completion.finishReason;
    const judged = judge(completion);
    if (judged.kind === "answer") {
      if (judged.repaired !== undefined) record.repaired = judged.repaired;
      return this.#answer(judged.value, completion);
    }
    record.error = judged.reason;
    await this.#after(judged, completion, ask.maxTokens);
    return undefined;
  }

  /** The record of a call that starts. */
  #record(ask: Complete.Ask, without: ReadonlySet<string> | undefined): AttemptRecord {
    return {
      n: this.#attempts.length + 1,
      kind: this.#kind,
      seed: ask.seed,
      temperature: ask.temperature,
      max_tokens: ask.maxTokens,
      response_format: Complete.constraintOf(ask, without),
      status: null,
      finish_reason: null,
      ms: 0,
      first_token_ms: null,
      usage: null,
    };
  }

  #answer(value: JsonObject, completion: Completion): Answer {
    return {
      value,
      rawText: this.#rawText,
      finishReason: completion.finishReason ?? "stop",
      usage: usageOf(this.#attempts),
      attempts: this.#attempts,
      model: completion.model,
      logprobs: completion.logprobs,
    };
  }

  /** Decides after a rejected answer: the next call, or the end. */
  async #after(
    judged: Exclude<Judged, { kind: "answer" }>,
    completion: Completion,
    askedTokens: number,
  ): Promise<void> {
    const { reason } = judged;
    switch (judged.kind) {
      case "thinks":
        // A retry would think again, and cost another whole answer.
        throw this.#thinks();
      case "malformed":
        return this.#climb(reason);
      case "broken": {
        if (this.#rung > 0) throw this.#end("invalid_model_output", reason, undefined);
        // All of its tokens were used up. Getting out of the loop needs fewer tokens, and no size is tried twice.
        if (completion.cut === null && reason === "repetition" && completion.finishReason !== "repetition")
          this.#maxTokens = Math.max(leastTokens, Math.floor(askedTokens / 2));
        return this.#climb(reason);
      }
      case "full":
        return await this.#full(completion, askedTokens);
      case "withheld":
        throw this.#end("invalid_model_output", reason, undefined);
      case "outage":
        return await this.#afterFault({ kind: "shutdown", afterSend: true }, "inference_unavailable");
      case "fault":
        return await this.#afterFault(
          { kind: "status", status: 500, fromModelServer: true, afterSend: true },
          "inference_failed",
        );
    }
  }

  #request(): { ask: Complete.Ask; without: ReadonlySet<string> | undefined } {
    const question = this.#question;
    return {
      ask: {
        ...question,
        images: this.#images,
        seed: question.seed + this.#rung,
        temperature:
          this.#rung === 0 ? question.temperature : Math.max(question.temperature, laterTemperature),
        maxTokens: this.#maxTokens,
        schema: rungs[this.#rung] === "without_response_format" ? undefined : question.schema,
      },
      without: this.#without,
    };
  }

  /** Takes the next rung, or ends the ladder. */
  #climb(reason: string): void {
    this.#rung++;
    const rung = rungs[this.#rung];
    const isSame = rung === "without_response_format" && this.#question.schema === undefined;
    if (rung === undefined || isSame) throw this.#end("invalid_model_output", reason, undefined);
    this.#kind = rung;
  }

  /**
   * Handles an answer that used up its tokens. If they were fewer than requested, the context is full, and the picture
   * is made smaller. If they were as many, the call is repeated with more room, or the question ends without it; the
   * same size would end the same way.
   */
  async #full(completion: Completion, askedTokens: number): Promise<void> {
    const { room } = this.#options;
    const { usage } = completion;
    // Servers differ in whether they count the end of the text, so the count may be off by one.
    const clipped = usage !== null && usage.prompt_tokens > 0 && usage.completion_tokens < askedTokens - 1;
    const isText = completion.text.trim() !== "";
    const larger = clipped || !isText ? undefined : await this.#orStopped(room?.larger(askedTokens));
    if (larger !== undefined) return this.#resize(larger);
    const rows = salvage(completion.text)?.rows ?? 0;
    if (!clipped && rows >= (this.#options.continuedFrom ?? Number.POSITIVE_INFINITY))
      throw this.#tooLong(completion, askedTokens);
    // If the answer has no text, its tokens went to thinking or white space, and more tokens would, too.
    if (!this.#resized && room !== undefined && isText) {
      this.#resized = true;
      if (clipped) {
        const fit = await this.#orStopped(room.full(usage));
        if (fit !== undefined) return this.#resize(fit);
      } else {
        const maxTokens = room.grown(usage, askedTokens);
        if (maxTokens !== undefined) {
          this.#maxTokens = maxTokens;
          this.#kind = "larger_max_tokens";
          return;
        }
      }
    }
    throw this.#tooLong(completion, askedTokens);
  }

  #tooLong({ text, usage }: Completion, askedTokens: number): VisionError {
    // The text has no part of an object, so more room would not help.
    if (!text.includes("{")) return this.#end("invalid_model_output", "length", undefined);
    const partial = salvage(text) ?? null;
    return this.#end("answer_too_long", undefined, undefined, {
      partial,
      details: {
        rows: partial?.rows ?? 0,
        max_tokens: Math.min(askedTokens, usage?.completion_tokens || askedTokens),
        context_tokens: this.#options.room?.contextTokens ?? null,
      },
    });
  }

  #resize(fit: Fit): void {
    const changed = fit.images.some((image, index) => image !== this.#images[index]);
    const kind = fit.maxTokens > this.#maxTokens ? "larger_max_tokens" : "smaller_max_tokens";
    this.#kind = changed ? "smaller_picture" : kind;
    this.#images = fit.images;
    this.#maxTokens = fit.maxTokens;
  }

  /** The result of `work`; if it throws, the question ends with the calls so far. */
  async #orStopped<T>(made: Promise<T> | undefined): Promise<T | undefined> {
    try {
      return await made;
    } catch (thrown) {
      throw this.#stopped(from(thrown));
    }
  }

  async #afterFault(fault: Fault, code: Code): Promise<void> {
    if (code === "inference_timeout") throw this.#end("inference_timeout", reasonOf(fault), fault);
    if (fault.contextTooLong !== undefined) {
      await this.#refit(fault.contextTooLong, fault);
      return;
    }
    if (fault.pictureRefused && (await this.#reencode())) return;
    if (fault.unknownFields !== undefined && this.#learn(fault.unknownFields)) {
      this.#kind = "without_field";
      return;
    }
    if (ByUrl.isUsed(this.#images) && ByUrl.mayBeToBlame(fault) && (await this.#asBytes(fault))) return;
    const verdict = classify(fault);
    if (verdict === "refused") throw this.#end("inference_failed", reasonOf(fault), fault);
    if (verdict === "outage") await this.#confirmOutage(fault);
    // Asking again at once could take the model server down again; the caller counts suspects first.
    if (this.#options.endOnSuspect && suspect(fault))
      throw this.#end("inference_failed", reasonOf(fault), fault);
    this.#retries++;
    const last = verdict === "overload" ? "inference_unavailable" : "inference_failed";
    if (this.#retries > maxRetries) throw this.#end(last, reasonOf(fault), fault);
    const pauseMs = Backoff.pauseMs({
      ...this.#options,
      retries: this.#retries,
      retryAfterMs: fault.retryAfterMs,
    });
    if (Date.now() + pauseMs + minCallMs > this.#options.deadline)
      throw this.#end(fault.kind === "shutdown" ? "inference_unavailable" : last, reasonOf(fault), fault);
    this.#kind = "retry";
    await sleep(pauseMs, undefined, { signal: this.#options.signal }).catch(() => {
      throw this.#end("inference_timeout", "aborted", fault);
    });
  }

  /**
   * Ends the question if a probe confirms the outage, so that the caller waits instead of using up this call's time.
   */
  async #confirmOutage(fault: Fault): Promise<void> {
    const confirmed = await Outage.confirm(this.#server, fault, this.#options);
    if (confirmed !== undefined) throw this.#end(confirmed.code, confirmed.reason, fault);
  }

  async #refit(said: ContextTooLong, fault: Fault): Promise<void> {
    const fit = await this.#orStopped(this.#options.room?.refused(said) ?? Promise.resolve(undefined));
    if (fit === undefined) throw this.#end("inference_failed", "context_too_long", fault);
    this.#resize(fit);
  }

  /** False if the pictures were encoded again before, or cannot be. */
  async #reencode(): Promise<boolean> {
    if (this.#reencoded) return false;
    this.#reencoded = true;
    const images = await this.#options.onPictureRefused?.();
    if (images === undefined) return false;
    this.#images = images;
    this.#kind = "reencoded_picture";
    return true;
  }

  /** False if the pictures are not available as bytes. */
  async #asBytes(fault: Fault): Promise<boolean> {
    const images = await this.#orStopped(this.#options.onNotFetched?.());
    if (images === undefined) return false;
    this.#images = images;
    this.#kind = "picture_as_bytes";
    this.#notFetched = reasonOf(fault);
    return true;
  }

  /** What an answer shows about pictures by URL: the server fetches them, or accepts only bytes. */
  #noteUrls(): void {
    if (ByUrl.isUsed(this.#images)) ByUrl.works(this.#server);
    if (this.#notFetched !== undefined && ByUrl.turnOff(this.#server))
      this.#options.onUrlsOff?.(this.#notFetched);
    this.#notFetched = undefined;
  }

  /** Leaves out fields that the server refused; false if it was asked without them already. */
  #learn(fields: string[]): boolean {
    const known = RefusedFields.withRefused(this.#without, fields);
    const grown = known.size > this.#without.size;
    this.#without = known;
    return grown;
  }

  #end(
    code: Code & keyof typeof Complete.messages,
    reason: string | undefined,
    fault: Fault | undefined,
    more: Pick<ConstructorParameters<typeof VisionError>[2], "partial" | "details"> = {},
  ): VisionError {
    const away = code === "inference_unavailable";
    return new VisionError(code, Complete.messages[code], {
      ...(reason === undefined ? {} : { reason }),
      ...more,
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

  /** An error of another module between two calls, with the attempts so far. */
  #stopped({ code, message, details, cause, retryAfterS }: AppError): VisionError {
    return new VisionError(code, message, {
      details: details ?? {},
      attempts: this.#attempts,
      rawText: this.#rawText,
      finishReason: this.#finishReason,
      retryAfterS,
      cause,
    });
  }
}

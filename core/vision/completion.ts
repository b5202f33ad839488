import type { Usage } from "#core/vision/fault";
import type { Cut, Guard } from "#core/vision/guard";

/** A token of the answer: its log probability and those of its alternatives. */
export interface TokenLogprob {
  token: string;
  logprob: number;
  top: { token: string; logprob: number }[];
}

export interface Completion {
  text: string;
  /** Thinking that the server separated from the text. */
  reasoning: string;
  /** Null only when `cut` says why the call was cut off. */
  finishReason: string | null;
  cut: Cut | null;
  usage: Usage | null;
  /** The model's name as the server gives it. */
  model: string;
  logprobs: TokenLogprob[] | null;
  firstTokenMs: number | null;
  totalMs: number;
}

/** A piece of a streamed answer, as far as it is read; servers leave out and add fields. */
export interface Chunk {
  model?: string;
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  choices?: {
    delta?: unknown;
    finish_reason?: string | null;
    logprobs?: { content?: ChunkLogprob[] | null } | null;
  }[];
}

interface ChunkLogprob {
  token: string;
  logprob: number;
  top_logprobs?: { token: string; logprob: number }[];
}

/** A completion that arrives piece by piece. */
export class Incoming {
  readonly #completion: Completion;
  /** Also while `cut` is set. */
  finishReason: string | null = null;

  constructor(model: string, wantsLogprobs: boolean) {
    this.#completion = {
      text: "",
      reasoning: "",
      finishReason: null,
      cut: null,
      usage: null,
      model,
      logprobs: wantsLogprobs ? [] : null,
      firstTokenMs: null,
      totalMs: 0,
    };
  }

  get cut(): Cut | null {
    return this.#completion.cut;
  }

  /** Adds a piece of the stream; sets `cut` if the guard ends the answer. */
  add(chunk: Chunk, { startedAt, guard }: { startedAt: number; guard: Guard | undefined }): void {
    const completion = this.#completion;
    if (chunk.model) completion.model = chunk.model;
    if (chunk.usage) completion.usage = readUsage(chunk.usage);
    const choice = chunk.choices?.[0];
    if (choice === undefined) return;
    const { delta, thought } = readDelta(choice.delta);
    completion.reasoning += thought;
    if (delta !== "" || thought !== "") completion.firstTokenMs ??= Date.now() - startedAt;
    if (delta !== "") {
      completion.text += delta;
      completion.cut = guard?.push(delta) ?? null;
      if (completion.cut !== null) return;
    }
    for (const each of choice.logprobs?.content ?? []) completion.logprobs?.push(readLogprob(each));
    if (choice.finish_reason) this.finishReason = choice.finish_reason;
  }

  /** The text and usage of an incomplete completion. */
  partial(): { rawText: string; usage: Usage | null } {
    const { text, reasoning, usage } = this.#completion;
    return { rawText: text || reasoning, usage };
  }

  completion(totalMs: number): Completion {
    const finishReason = this.#completion.cut === null ? this.finishReason : null;
    return { ...this.#completion, finishReason, totalMs };
  }
}

/**
 * Text and thinking of one piece, in any server's form: vLLM, SGLang and llama.cpp have a field for thinking, Mistral
 * typed parts.
 */
function readDelta(given: unknown): { delta: string; thought: string } {
  const { content, reasoning, reasoning_content } = (given ?? {}) as Record<string, unknown>;
  const found = { delta: "", thought: "" };
  if (typeof content === "string") found.delta = content;
  else if (Array.isArray(content)) {
    for (const part of content as { type?: unknown; text?: unknown }[])
      if (part?.type === "text" && typeof part.text === "string") found.delta += part.text;
  }
  // Some servers send both names for the same text.
  const thought = reasoning ?? reasoning_content;
  if (typeof thought === "string") found.thought = thought;
  return found;
}

function readUsage(usage: { prompt_tokens?: number; completion_tokens?: number }): Usage {
  return { prompt_tokens: usage.prompt_tokens ?? 0, completion_tokens: usage.completion_tokens ?? 0 };
}

function readLogprob(each: ChunkLogprob): TokenLogprob {
  const top = (each.top_logprobs ?? []).map(({ token, logprob }) => ({ token, logprob }));
  return { token: each.token, logprob: each.logprob, top };
}

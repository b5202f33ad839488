import * as Budget from "#core/image/budget";
import * as Counts from "#core/model/counts";
import * as Processor from "#core/model/processor";
import type { Profile } from "#core/model/profile";
import * as Profiles from "#core/model/profiles/profiles";
import type { Picture } from "#core/vision/complete";
import * as ContextLength from "#core/vision/context-length";
import type { ContextTooLong, Usage } from "#core/vision/fault";

/** Pictures and token limit of the next call. */
export interface Fit {
  images: Picture[];
  maxTokens: number;
}

/** A picture as sent, with the pixels that the server will count. */
interface Sent extends Picture {
  width: number;
  height: number;
  /** False if the bytes are the caller's own. */
  changed: boolean;
}

interface Wish {
  server: ContextLength.Believed & {
    /** `VLLM_MAX_PIXELS` of one picture; undefined for no limit beside the context. */
    maxPixels?: number | undefined;
  };
  /** Equal for equal texts, so that the server's count of one is known for the next. */
  textKey?: string | undefined;
  /** Our estimate of the text's tokens, until the server reports its own count. */
  promptTokens: number;
  /** Tokens for the answer: the task's number. */
  maxTokens: number;
  /**
   * The usual tokens of an answer, if that is less: the picture gets the rest. A longer answer is requested again with
   * the task's number (`larger`).
   */
  usualTokens?: number | undefined;
  /** The longest answer, whatever the room; undefined for no limit. */
  mostTokens?: number | undefined;
  /** True if the caller wants exactly `maxTokens` for the answer. */
  exact?: boolean | undefined;
  /** Pictures of the call, which share the room; default 1. */
  pictures?: number | undefined;
  /**
   * Prepares the pictures for at most this many tokens each (1,024 pixels are one), in this format if the server could not open the original.
   * They may be fewer than `pictures`, always the same ones.
   */
  prepare: (maxImageTokens: number, encodeAs: "jpeg" | "png" | undefined) => Promise<Sent[]>;
  /** Called once for a server whose counts of pictures follow no rule: an upper bound is used. */
  onUnclear?: (() => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Fewer additional tokens, about one row, are not worth another call. */
const leastGrowth = 64;
const maxShrinks = 3;
/** By how much the server's own count may still be off for the next picture. */
const countedMargin = 32;
/** The picture must leave the answer at least this much before it is reduced further. */
const usefulAnswerTokens = 512;
/** If the server reports a context larger than the observed total by more than this, the limit is not the context. */
const slackTokens = 16;
const maxRoundings = 3;
/** Our estimate of a text is 5 to 10 % too high, and never by more than this factor. */
const overestimate = 1.15;

/**
 * The room that text, pictures and answer share in the model's context: the sizes of the first call, and of the next one
 * if the server reports or shows that they do not fit. Numbers from the server replace our estimates.
 */
export class Room {
  readonly #wish: Wish;
  readonly #profile: Profile;
  /** In the server's tokens. */
  #textTokens: number;
  #marginTokens: number | undefined;
  /** The server's tokens per token of ours: models differ in how they count pictures. */
  #ratio = 1;
  #contextTokens: number;
  #sent: Sent[] = [];
  #maxTokens = 0;
  #shrinks = 0;
  /**
   * Request an answer that may only just fit: if the server shortens what does not fit, or if the answer would get less
   * than the task's number. Requesting too much costs at most the second call that too little may cost.
   */
  #bold = false;
  #encodeAs: "jpeg" | "png" | undefined;
  /** The tokens of the room that are kept for the answer. */
  #answerTokens: number;

  private constructor(wish: Wish, contextTokens: number) {
    this.#wish = wish;
    this.#profile = Profiles.choose(wish.server.model, wish.server.profile);
    this.#textTokens = wish.promptTokens;
    this.#contextTokens = contextTokens;
    this.#answerTokens = Math.min(wish.usualTokens ?? wish.maxTokens, this.#figure());
    this.#learn();
  }

  /**
   * Gets the context length and prepares the pictures for it.
   * @throws AppError `invalid_request` (`prompt_too_long`) without room, and what `prepare` throws.
   */
  static async open(wish: Wish): Promise<Room> {
    const contextTokens = await ContextLength.contextLength(wish.server, wish.signal);
    const room = new Room(wish, contextTokens);
    const split = room.#share(wish.pictures);
    if (wish.exact && split.maxTokens < room.#figure())
      throw Budget.promptTooLong({
        maxModelLen: contextTokens,
        promptTokens: room.#textTokens,
        maxOutputTokens: wish.maxTokens,
      });
    await room.#prepare(split.imageTokens);
    room.#maxTokens = split.maxTokens;
    room.#bold = split.maxTokens < room.#answerTokens;
    room.#raise();
    return room;
  }

  /** The model's context length as known so far. */
  get contextTokens(): number {
    return this.#contextTokens;
  }

  /** Pictures and token limit of the first call. */
  get fit(): Fit {
    return { images: this.#sent, maxTokens: this.#maxTokens };
  }

  /** Learns from the server's count of these pictures with the text of the first question, without a suffix. */
  counted(spent: Usage | null): void {
    if (spent !== null && spent.prompt_tokens > 0) this.#count(spent.prompt_tokens);
  }

  /**
   * All the room that is left, for an answer that used up its tokens.
   * @returns undefined if that is not more.
   */
  grown(spent: Usage | null, askedTokens: number): number | undefined {
    const prompt = spent !== null && spent.prompt_tokens > 0 ? spent.prompt_tokens : this.#promptTokens();
    const room = Math.min(this.#contextTokens - prompt, this.#mostTokens());
    return room < askedTokens + leastGrowth ? undefined : room;
  }

  /**
   * Gives an answer that used up the usual room the task's number of tokens, and the picture the rest.
   * @returns undefined if the answer had that many already.
   */
  async larger(askedTokens: number): Promise<Fit | undefined> {
    if (this.#answerTokens >= this.#figure()) return undefined;
    this.#answerTokens = this.#figure();
    const fit = await this.#refit();
    return fit.maxTokens < askedTokens + leastGrowth ? undefined : fit;
  }

  /**
   * All the room for an answer that continues one that used up its tokens.
   * @param more.textTokens - of the text in addition to the first question.
   * @returns undefined if that is too little for an answer.
   */
  continued(spent: Usage | null, askedTokens: number, more: { textTokens: number }): number | undefined {
    const prompt = spent !== null && spent.prompt_tokens > 0 ? spent.prompt_tokens : this.#promptTokens();
    // The server gave fewer tokens than requested: its context is full.
    const isClipped = spent !== null && spent.prompt_tokens > 0 && spent.completion_tokens < askedTokens - 1;
    const shown = isClipped ? prompt + spent.completion_tokens : this.#contextTokens;
    const left = Math.min(shown, this.#contextTokens) - prompt - more.textTokens;
    return left < Budget.leastAnswerTokens ? undefined : Math.min(left, this.#mostTokens());
  }

  /**
   * The server ended an answer before it had the requested tokens: its context is full, and its size is prompt plus
   * answer. Asks the server for its context length again, and makes the picture smaller.
   * @returns undefined if that leaves no more room for the answer.
   */
  async full(spent: Usage): Promise<Fit | undefined> {
    const { server, signal } = this.#wish;
    const shown = spent.prompt_tokens + spent.completion_tokens;
    this.#count(spent.prompt_tokens);
    const reported = await ContextLength.refresh(server, signal);
    this.#contextTokens = Math.min(shown, reported ?? shown);
    // If the reported length is much larger, the limit may be of another kind, which does not affect the next question.
    if (reported === undefined || reported <= shown + slackTokens)
      ContextLength.learn(server, this.#contextTokens);
    try {
      const fit = await this.#refit();
      return fit.maxTokens < spent.completion_tokens + leastGrowth ? undefined : fit;
    } catch (thrown) {
      if (Budget.isPromptTooLong(thrown)) return undefined;
      throw thrown;
    }
  }

  /**
   * The server refused a call as too long for its context.
   * @returns undefined after three smaller pictures, or if none can be made.
   * @throws AppError `invalid_request` (`prompt_too_long`) if the text leaves no room.
   */
  async refused(said: ContextTooLong): Promise<Fit | undefined> {
    this.#shrinks += 1;
    if (this.#shrinks > maxShrinks) return undefined;
    await this.#believe(said);
    if (said.clips) this.#bold = true;
    if (said.only === "text") {
      throw Budget.promptTooLong({
        maxModelLen: this.#contextTokens,
        promptTokens: said.promptTokens ?? this.#textTokens,
        maxOutputTokens: this.#maxTokens,
      });
    }
    const over = said.overBy === undefined ? undefined : this.#contextTokens + said.overBy - 1;
    const promptTokens = said.promptTokens ?? over;
    if (promptTokens !== undefined) this.#count(promptTokens);
    if (said.only === "answer") {
      const maxTokens = Math.min(this.#maxTokens, this.#leftTokens());
      if (maxTokens >= Math.min(this.#wish.maxTokens, usefulAnswerTokens) && maxTokens < this.#maxTokens) {
        this.#maxTokens = maxTokens;
        return this.fit;
      }
    }
    const before = { ours: this.#ours(), maxTokens: this.#maxTokens };
    const fit = await this.#refit();
    // The server gave no numbers, or numbers by which it would fit: make it smaller anyway.
    const asLarge = this.#ours() >= before.ours && this.#maxTokens >= before.maxTokens;
    const blind = promptTokens === undefined && said.only === undefined;
    if (blind || asLarge) return this.#smaller(before.ours);
    return fit;
  }

  /** The server could not open a picture: encode them again. JPEGs of ours are tried as PNGs. */
  async reencoded(): Promise<Picture[]> {
    this.#encodeAs = this.#sent.every(({ changed }) => changed) ? "png" : "jpeg";
    await this.#prepare(Math.ceil(this.#largest() * this.#ratio));
    return this.#sent;
  }

  /** The same pictures once more: their source has changed from a URL to bytes. */
  async again(): Promise<Picture[]> {
    await this.#prepare(Math.ceil(this.#largest() * this.#ratio));
    return this.#sent;
  }

  /** Prepares the pictures for at most so many of the server's tokens each, and the operator's limit of pixels. */
  async #prepare(serverTokens: number): Promise<void> {
    const ours = Math.floor(serverTokens / this.#ratio);
    let patches = Budget.preparedTokens(this.#profile.processor, ours, this.#wish.server.maxPixels);
    for (let tries = 0; tries < maxRoundings; tries++) {
      this.#sent = await this.#wish.prepare(Math.max(Budget.minImageTokens, patches), this.#encodeAs);
      // Sides are cut to whole patches of 32 pixels: another processor may round them up.
      if (this.#largest() <= Math.max(ours, Processor.bounds(this.#profile.processor).least)) return;
      patches = Math.floor(patches * Math.min(0.98, ours / this.#largest()));
    }
  }

  async #believe(said: ContextTooLong): Promise<void> {
    const { server, signal } = this.#wish;
    if (said.maxModelLen === undefined) {
      this.#contextTokens = Math.min(
        this.#contextTokens,
        (await ContextLength.refresh(server, signal)) ?? this.#contextTokens,
      );
      return;
    }
    this.#contextTokens = said.maxModelLen;
    ContextLength.learn(server, said.maxModelLen);
  }

  /** Two thirds of the size, unless it is smaller already. */
  async #smaller(before: number): Promise<Fit | undefined> {
    const tokens = Math.floor((before * 2) / 3);
    if (this.#ours() <= tokens) return this.fit;
    const each = Math.floor(tokens / Math.max(1, this.#sent.length));
    if (each < Processor.bounds(this.#profile.processor).least) return undefined;
    await this.#prepare(Math.floor(each * this.#ratio));
    return this.#ours() < before ? this.fit : undefined;
  }

  /**
   * Divides the room again by what is known now. A picture that fits is not changed: the server has it in its cache.
   */
  async #refit(): Promise<Fit> {
    const split = this.#share(this.#sent.length || undefined);
    if (this.#largest() * this.#ratio > split.imageTokens) await this.#prepare(split.imageTokens);
    this.#maxTokens = split.maxTokens;
    this.#raise();
    return this.fit;
  }

  /**
   * Gives the answer the tokens that the picture's whole patches leave, up to the task's number. An operator's longer
   * answer (`VLLM_MAX_TOKENS`) gets all that is left, which does not make the picture smaller.
   */
  #raise(): void {
    const { maxTokens, mostTokens } = this.#wish;
    this.#maxTokens = Math.max(this.#maxTokens, Math.min(mostTokens ?? maxTokens, this.#leftTokens()));
  }

  /** The tokens that text and picture leave for the answer. */
  #leftTokens(): number {
    if (!this.#bold) return this.#contextTokens - this.#promptTokens();
    const text = this.#marginTokens === undefined ? this.#textTokens / overestimate : this.#textTokens;
    return this.#contextTokens - Math.floor(text + this.#ours() * this.#ratio);
  }

  /** Divides the room between pictures and answer, in the server's tokens. */
  #share(images: number | undefined): ReturnType<typeof Budget.share> {
    return Budget.share({
      maxModelLen: this.#contextTokens,
      promptTokens: this.#textTokens,
      maxOutputTokens: this.#answerTokens,
      margin: this.#marginTokens,
      images,
      bounds: scaled(Processor.bounds(this.#profile.processor), this.#ratio),
    });
  }

  /** Takes the server's count of text and pictures, and keeps it for the next question. */
  #count(promptTokens: number): void {
    const { server, onUnclear } = this.#wish;
    const count = {
      key: this.#key(),
      ours: this.#ours(),
      prompt: promptTokens,
      text: this.#wish.promptTokens,
    };
    if (Counts.note(server, count) === "unclear") onUnclear?.();
    this.#learn();
  }

  /** The server's counts so far replace our estimates. */
  #learn(): void {
    const known = Counts.known(this.#wish.server, this.#key(), this.#profile.leastRatio);
    if (known === undefined) return;
    this.#ratio = known.ratio;
    if (known.textTokens === undefined) return;
    this.#textTokens = known.textTokens;
    this.#marginTokens = countedMargin;
  }

  #key(): string {
    const { textKey, promptTokens, pictures = 1 } = this.#wish;
    return `${textKey ?? promptTokens} ${this.#sent.length || pictures}`;
  }

  #ours(): number {
    return this.#each().reduce((sum, tokens) => sum + tokens, 0);
  }

  /** Our token count of the largest picture. */
  #largest(): number {
    return Math.max(0, ...this.#each());
  }

  #each(): number[] {
    return this.#sent.map(({ width, height }) => Processor.tokens(this.#profile.processor, width, height));
  }

  /** Our best estimate of the server's count for text and picture. */
  #promptTokens(): number {
    return Math.ceil(
      this.#textTokens + this.#ours() * this.#ratio + (this.#marginTokens ?? Budget.defaultMarginTokens),
    );
  }

  /** The task's number of tokens for the answer, cut to the limits of its length. */
  #figure(): number {
    return Math.min(this.#wish.maxTokens, this.#mostTokens());
  }

  #mostTokens(): number {
    return this.#wish.mostTokens ?? Number.POSITIVE_INFINITY;
  }
}

function scaled({ least, legible, most }: Processor.Bounds, ratio: number): Processor.Bounds {
  const toServer = (tokens: number) => Math.max(1, Math.ceil(tokens * ratio));
  return { least: toServer(least), legible: toServer(legible), most: toServer(most) };
}

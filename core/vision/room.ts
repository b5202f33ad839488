import * as Budget from "#core/image/budget";
import type { Picture } from "#core/vision/complete";
import * as ContextLength from "#core/vision/context-length";
import type { ContextTooLong, Usage } from "#core/vision/fault";

/** What the next question is sent with. */
export interface Fit {
  images: Picture[];
  maxTokens: number;
}

/** A picture as it is sent, in the pixels that the server will count. */
interface Sent extends Picture {
  width: number;
  height: number;
  /** False where the bytes are the caller's own. */
  changed: boolean;
}

interface Wish {
  server: ContextLength.Believed;
  /** Our estimate of the text's tokens; the server's own count takes its place. */
  promptTokens: number;
  /** What an answer usually needs: the task's figure. */
  maxTokens: number;
  /** The longest answer there may be, whatever room there is; undefined: as long as there is room. */
  mostTokens?: number | undefined;
  /** A caller wants an answer of `maxTokens` and no less. */
  exact?: boolean | undefined;
  /** The picture within so many tokens; in this format, where the server could not open what was sent as it came. */
  prepare: (maxImageTokens: number, encodeAs: "jpeg" | "png" | undefined) => Promise<Sent>;
  signal?: AbortSignal | undefined;
}

/** Fewer additional tokens than this are not worth another answer: about a row. */
const leastGrowth = 64;
const maxShrinks = 3;
/** What the server's own count of a prompt may still be off by at the next picture. */
const countedMargin = 32;
/** A picture is asked to leave so much for the answer before it is made smaller itself. */
const usefulAnswerTokens = 512;
/** A server whose own list says so much more than an answer has shown has another limit than its context. */
const slackTokens = 16;
/** Our estimate of a text is too high by 5 to 10 %, never by more than this. */
const overestimate = 1.15;

/**
 * The room that text, picture and answer share in the model's context: what is asked for at first, and what next
 * when the server says or shows that it does not fit. Every number that the server gives takes the place of ours.
 */
export class Room {
  readonly #wish: Wish;
  /** In the server's tokens. */
  #textTokens: number;
  #marginTokens: number | undefined;
  /** Tokens that the server counts for one of ours: others count pictures in another way. */
  #ratio = 1;
  #counted: { ours: number; prompt: number } | undefined;
  #contextTokens: number;
  #sent: Sent;
  #maxTokens: number;
  #shrinks = 0;
  /**
   * Ask for what may just be there: of a server that clips what does not fit, or where the answer gets less than its
   * figure. Too much costs at worst the second call that too little may cost.
   */
  #bold = false;
  #encodeAs: "jpeg" | "png" | undefined;

  private constructor(wish: Wish, contextTokens: number, sent: Sent, maxTokens: number) {
    this.#wish = wish;
    this.#textTokens = wish.promptTokens;
    this.#contextTokens = contextTokens;
    this.#sent = sent;
    this.#maxTokens = maxTokens;
  }

  /**
   * Asks for the context, prepares the picture for it.
   * @throws AppError `invalid_request` (`prompt_too_long`) where there is no room, and what `prepare` throws.
   */
  static async open(wish: Wish): Promise<Room> {
    const contextTokens = await ContextLength.contextLength(wish.server, wish.signal);
    const { promptTokens, mostTokens = Number.POSITIVE_INFINITY } = wish;
    const maxOutputTokens = Math.min(wish.maxTokens, mostTokens);
    const split = Budget.share({ maxModelLen: contextTokens, promptTokens, maxOutputTokens });
    if (wish.exact && split.maxTokens < maxOutputTokens)
      throw Budget.promptTooLong({
        maxModelLen: contextTokens,
        promptTokens,
        maxOutputTokens: wish.maxTokens,
      });
    const room = new Room(
      wish,
      contextTokens,
      await wish.prepare(split.imageTokens, undefined),
      split.maxTokens,
    );
    room.#bold = split.maxTokens < maxOutputTokens;
    room.#raise();
    return room;
  }

  /** As the model's context is known by now. */
  get contextTokens(): number {
    return this.#contextTokens;
  }

  /** With what the first question is sent. */
  get fit(): Fit {
    return { images: [this.#sent], maxTokens: this.#maxTokens };
  }

  /**
   * All the room there is, for an answer that used up what was asked for.
   * @returns undefined where that is not more.
   */
  grown(spent: Usage | null, askedTokens: number): number | undefined {
    const prompt = spent !== null && spent.prompt_tokens > 0 ? spent.prompt_tokens : this.#promptTokens();
    const room = Math.min(this.#contextTokens - prompt, this.#mostTokens());
    return room < askedTokens + leastGrowth ? undefined : room;
  }

  /**
   * The server ended an answer before it had what was asked for: its context is full, and prompt and answer together
   * are its size. It is asked again what it has, and the picture made smaller.
   * @returns undefined where that leaves no more room for the answer.
   */
  async full(spent: Usage): Promise<Fit | undefined> {
    const { server, signal } = this.#wish;
    const shown = spent.prompt_tokens + spent.completion_tokens;
    this.#count(spent.prompt_tokens);
    const reported = await ContextLength.refresh(server, signal);
    this.#contextTokens = Math.min(shown, reported ?? shown);
    // Where its list says much more it may be a limit of another kind, which says nothing about the next question.
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
   * The server refused a question as too long for its context.
   * @returns undefined after three smaller pictures, and where none can be made.
   * @throws AppError `invalid_request` (`prompt_too_long`) where the text leaves no room.
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
    // Without numbers, or with numbers that say it fits: smaller all the same, since the server does not take it.
    const asLarge = this.#ours() >= before.ours && this.#maxTokens >= before.maxTokens;
    const blind = promptTokens === undefined && said.only === undefined;
    if (blind || asLarge) return this.#smaller(before.ours);
    return fit;
  }

  /** The server could not open the picture: the same, encoded anew. A JPEG of ours is at least tried as a PNG. */
  async reencoded(): Promise<Picture[]> {
    this.#encodeAs = this.#sent.changed ? "png" : "jpeg";
    await this.#prepare(Math.max(Budget.minImageTokens, this.#ours()));
    return [this.#sent];
  }

  async #prepare(maxImageTokens: number): Promise<void> {
    this.#sent = await this.#wish.prepare(maxImageTokens, this.#encodeAs);
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

  /** Two thirds of what it was, if it is not smaller yet. */
  async #smaller(before: number): Promise<Fit | undefined> {
    const tokens = Math.floor((before * 2) / 3);
    if (this.#ours() <= tokens) return this.fit;
    if (tokens < Budget.minImageTokens) return undefined;
    await this.#prepare(tokens);
    return this.fit;
  }

  /** Shares the room anew by what is known now. A picture that fits stays as it is: the server has it in its cache. */
  async #refit(): Promise<Fit> {
    const split = Budget.share({
      maxModelLen: this.#contextTokens,
      promptTokens: this.#textTokens,
      maxOutputTokens: Math.min(this.#wish.maxTokens, this.#mostTokens()),
      margin: this.#marginTokens,
    });
    const tokens = Math.floor(split.imageTokens / this.#ratio);
    if (this.#ours() > tokens) await this.#prepare(Math.max(Budget.minImageTokens, tokens));
    this.#maxTokens = split.maxTokens;
    this.#raise();
    return this.fit;
  }

  /**
   * The answer takes what the picture in whole patches has left over, up to its figure; an operator's longer answer
   * (`VLLM_MAX_TOKENS`) takes all that is left, and costs the picture nothing.
   */
  #raise(): void {
    const { maxTokens, mostTokens } = this.#wish;
    this.#maxTokens = Math.max(this.#maxTokens, Math.min(mostTokens ?? maxTokens, this.#leftTokens()));
  }

  /** What text and picture leave for the answer. */
  #leftTokens(): number {
    if (!this.#bold) return this.#contextTokens - this.#promptTokens();
    const text = this.#marginTokens === undefined ? this.#textTokens / overestimate : this.#textTokens;
    return this.#contextTokens - Math.floor(text + this.#ours() * this.#ratio);
  }

  /** What the server counted for the picture as it was sent, set against what we had reckoned. */
  #count(promptTokens: number): void {
    const ours = this.#ours();
    const last = this.#counted;
    this.#counted = { ours, prompt: promptTokens };
    const slope = last === undefined ? Number.NaN : (last.prompt - promptTokens) / (last.ours - ours);
    const picture = promptTokens - this.#textTokens;
    if (last !== undefined && last.ours - ours >= leastGrowth && slope > 0.1) {
      // Two pictures under one text: the difference is the pictures' alone.
      this.#ratio = slope;
      this.#textTokens = Math.max(0, promptTokens - slope * ours);
    } else if (Math.abs(picture - ours) <= this.#textTokens * 0.15 + ours * 0.1 + leastGrowth) {
      // As we count: what is left of the difference is our estimate of the text, which is too high by design.
      this.#ratio = 1;
      this.#textTokens = Math.max(0, promptTokens - ours);
    } else if (picture > 0) this.#ratio = picture / ours;
    this.#marginTokens = countedMargin;
  }

  #ours(): number {
    return Budget.imageTokens(this.#sent.width, this.#sent.height);
  }

  /** Our best guess of what the server will count for text and picture. */
  #promptTokens(): number {
    return Math.ceil(
      this.#textTokens + this.#ours() * this.#ratio + (this.#marginTokens ?? Budget.defaultMarginTokens),
    );
  }

  #mostTokens(): number {
    return this.#wish.mostTokens ?? Number.POSITIVE_INFINITY;
  }
}

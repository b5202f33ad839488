import type * as Config from "#core/config";
import { AppError } from "#core/error";
import type { Look } from "#core/look/look";
import * as Metrics from "#core/metrics/metrics";
import type { AttemptRecord } from "#core/vision/fault";
import * as Vision from "#core/vision/vision";
import type { Next, Outcome } from "./long-list/continuing.ts";
import { leastRows } from "./long-list/least-rows.ts";
import * as Pages from "./pages.ts";
import { isSame, nameOf } from "./pages.ts";
import { type Quality, qualityOfAll } from "./quality.ts";
import type { Artifact, CallRecord, PageSize, Sent } from "./schema.ts";
import { type Facts, outcomeIn, outcomeOf, type StoredCall } from "./stored-call.ts";
import type { TextLayers } from "./text-layer.ts";
import type { Settings, Work } from "./work.ts";

export type Examine = typeof import("./examine.ts");

/** An answer that counts, and the pages that it is about. */
interface Answered {
  pieces: Pages.Piece[];
  answer: Vision.Answer;
}

/** The pages of the next call, which are prepared while the model answers the current one. */
interface Ready {
  part: Pages.Piece[];
  group: ReturnType<typeof Pages.open>;
}

/**
 * Asks the model about the pages of a document, in as few calls as stay legible, in their order. While it answers one
 * call, the pages of the next are prepared, so that the first call is sent before the last page is drawn. The results
 * so far can be read at any time, also after a failure.
 */
export class Asking {
  readonly answered: Answered[] = [];
  readonly blank: number[] = [];
  /** Pages whose print stays too small, because they would need too many tiles. */
  readonly limited: number[] = [];
  /** The pages, or parts of them, of the newest call. */
  asked: Pages.Piece[] = [];
  readonly pageSizes: PageSize[] = [];
  readonly looks = new Map<number, Look>();
  /** Set for a document whose pages are drawn (a PDF). */
  textLayers: TextLayers | undefined;
  imageMs = 0;
  inferenceMs = 0;
  readonly #model: Config.Model;
  readonly #work: Work;
  readonly #settings: Settings;
  /** The newest picture of each piece, and the call that it went with. */
  readonly #sent = new Map<string, Sent>();
  readonly #callOf = new Map<string, { piece: Pages.Piece; call: number }>();
  readonly #quality = new Map<string, Quality>();
  #isTiled = false;
  readonly #calls: CallRecord[] = [];
  /** The file's text that the model got beside pictures, by call. */
  readonly #fileTexts: { call: number; text: string }[] = [];
  readonly #attempts: (AttemptRecord & { call: number })[] = [];
  /** What is to be asked for, one part per call, and the current part. */
  #plan: Pages.Piece[][] = [];
  #part: Pages.Piece[] = [];
  #storedImageMs = 0;
  #examining: Promise<Examine> | undefined;

  constructor(model: Config.Model, work: Work, settings: Settings) {
    this.#model = model;
    this.#work = work;
    this.#settings = settings;
  }

  /** True if the document has several pages; some may be blank, or repeat others. */
  get isOfPages(): boolean {
    return this.#work.document.pages > 1;
  }

  /** True if several answers are joined into one. */
  get isJoined(): boolean {
    return this.isOfPages || this.#isTiled;
  }

  /**
   * @throws VisionError of the call that failed; AppError `invalid_image` (`blank_page`, or of a page that cannot be
   *   read), `invalid_request` (`prompt_too_long`).
   */
  async run(): Promise<void> {
    // Loaded only for PDFs, and before a page is drawn, because the page's text is read directly afterwards.
    if (this.#work.document.kind === "pdf" && this.#work.document.first.cut === undefined)
      this.textLayers = new (await import("./text-layer.ts")).TextLayers(this.#work);
    const wish = Pages.wishOf(this.#model, this.#work);
    const { steps, part: own } = this.#work;
    const planned = own === undefined ? steps?.plan : undefined;
    const parts = [...(planned ?? (await Pages.parted(this.#work.pages, wish)))];
    this.#plan = own?.plan ?? [...parts];
    let ready: Ready | undefined;
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      const known = this.#knownOf(part);
      if (known !== undefined) parts.unshift(...this.#takeUp(known));
      if (known !== undefined) continue;
      this.#part = part;
      const group = await (ready?.part === part ? ready : this.#open(part, wish)).group;
      if ("parts" in group) {
        parts.unshift(...group.parts);
        this.#isTiled ||= group.parts.flat().some(({ tile }) => tile !== undefined);
        if (group.limited !== undefined) this.limited.push(group.limited);
        continue;
      }
      const answering = group.pieces.length === 0 ? undefined : this.#ask(group);
      const [next] = parts;
      // Pages that the next worker will draw are not drawn here.
      ready = next && !steps?.willBeOver ? this.#open(next, wish) : undefined;
      const again = await answering;
      if (again !== undefined) parts.unshift(...again);
    }
    if (this.answered.length > 0) return;
    throw new AppError("invalid_image", "there is no print on the page: it is blank", {
      details: { reason: "blank_page" },
    });
  }

  /** The next stored call, unless it is about another part of the file. */
  get #next(): StoredCall | undefined {
    const { steps, part } = this.#work;
    return steps?.next?.unit === part?.at ? steps?.next : undefined;
  }

  /**
   * The stored call about this part, if no picture is needed: the model answered, or the part is asked for in halves.
   */
  #knownOf(part: readonly Pages.Piece[]): StoredCall | undefined {
    const known = this.#next;
    if (known === undefined || !isSame(known.part, part)) return undefined;
    return known.answer !== undefined || known.pieces.length > 1 ? known : undefined;
  }

  /** @returns the parts to ask for instead. */
  #takeUp(known: StoredCall): Pages.Piece[][] {
    const { facts, pieces } = known;
    for (const size of facts.sizes) this.#noteSize(size);
    for (const [page, text] of facts.texts) this.textLayers?.put(page, text ?? undefined);
    for (const [name, sent] of facts.sent) this.#sent.set(name, sent);
    for (const [name, quality] of facts.quality) this.#quality.set(name, quality);
    for (const [page, look] of facts.looks ?? []) this.looks.set(page, look);
    for (const piece of pieces) this.#callOf.set(nameOf(piece), { piece, call: this.#lastCall + 1 });
    this.blank.push(...facts.blank);
    this.imageMs += known.imageMs;
    const { answer, discard } = this.#again(known);
    if (answer === undefined) {
      discard();
      return Pages.inParts(pieces, 2);
    }
    this.#isTiled ||= pieces.some(({ tile }) => tile !== undefined);
    this.answered.push({ pieces, answer });
    return [];
  }

  /** The outcome of a stored call, recorded as it was. */
  #again(known: StoredCall): Outcome {
    this.#work.steps?.take();
    this.#attempts.push(...known.attempts);
    this.inferenceMs += known.inferenceMs;
    // Whether it counts is decided again.
    const { repeated: _, ...rest } = known.record;
    const record: CallRecord = rest;
    this.#calls.push(record);
    if (known.fileText !== undefined) this.#fileTexts.push({ call: record.call, text: known.fileText });
    const discard = () => {
      record.repeated = true;
    };
    return { discard, ...outcomeIn(known) };
  }

  /** Each fault that any of the pages has. Null if no page was looked at. */
  get quality(): Quality | null {
    return this.#quality.size === 0 ? null : qualityOfAll([...this.#quality.values()]);
  }

  /** What the pages show about their rows: by their text, or by the look. */
  async seenRows(): Promise<{ printed: number | null; seen: number | null }> {
    const said = await this.textLayers?.rows();
    if (said !== undefined) return said;
    const looks = this.#model.look ? [...this.looks.values()] : [];
    const isKnown = looks.length > 0 && looks.every(({ turn }) => turn !== null);
    const amounts = looks.flatMap(({ lines }) => lines.filter(({ amount }) => amount)).length;
    return { printed: null, seen: isKnown ? amounts : null };
  }

  /** The module that judges answers, loaded while the model answers. */
  get examining(): Promise<Examine> {
    this.#examining ??= import("./examine.ts");
    return this.#examining;
  }

  /** The artifact's members about pictures, texts and attempts. */
  record(): Pick<Artifact, "sent" | "sent_pages" | "calls" | "file_texts"> & { attempts: AttemptRecord[] } {
    const isSingle = !this.isJoined && this.#calls.length < 2 && this.#work.part === undefined;
    const beside = this.#fileTexts.length === 0 ? {} : { file_texts: this.#fileTexts };
    const calls = isSingle ? {} : { calls: this.#calls };
    const attempts = isSingle ? this.#attempts.map(({ call: _, ...attempt }) => attempt) : this.#attempts;
    const [only] = this.#sent.values();
    if (!this.isJoined) return { sent: only ?? null, ...calls, ...beside, attempts };
    const sentPages = [...this.#callOf].flatMap(([name, { piece, call }]) => {
      const sent = this.#sent.get(name);
      const tile = piece.tile && { tile: piece.tile.number };
      return sent === undefined ? [] : [{ page: piece.page, ...tile, call, ...sent }];
    });
    return { sent: null, sent_pages: sentPages, ...calls, ...beside, attempts };
  }

  /** The number of the last call. */
  get #lastCall(): number {
    return (this.#work.part?.callsBefore ?? 0) + this.#calls.length;
  }

  #ofLastCall(attempts: AttemptRecord[]): (AttemptRecord & { call: number })[] {
    const call = this.#lastCall;
    return attempts.map((attempt) => ({ ...attempt, call }));
  }

  /** The model's text, of several calls one after the other. */
  get rawText(): string | null {
    const texts = this.#calls.flatMap(({ raw_model_text, repeated }) =>
      raw_model_text === null || repeated ? [] : [raw_model_text],
    );
    return texts.length === 0 ? null : texts.join("\n");
  }

  #open(part: Pages.Piece[], wish: Pages.Wish): Ready {
    const group = Pages.open(this.#work.document, part, wish, {
      ...{ looks: this.looks, pages: this.#work.part?.plan.length ?? this.#work.pages.length },
      seeksBlank: this.isOfPages || this.#work.part !== undefined || this.#work.document.kind === "pdf",
      texts: this.textLayers,
      onPrepared: ({ of: page, sent, blank, quality, ms, ...piece }) => {
        this.imageMs += ms;
        const { number, width, height, unit } = page;
        this.#noteSize({ page: number, width, height, unit });
        this.textLayers?.read(page);
        if (blank && piece.tile === undefined) this.blank.push(page.number);
        if (blank) return;
        this.#sent.set(nameOf(piece), sent);
        if (quality !== undefined) this.#quality.set(nameOf(piece), quality);
      },
    });
    // The error is thrown where the promise is awaited; after a failure it is never awaited.
    group.catch(() => undefined);
    return { part, group };
  }

  #noteSize(size: PageSize): void {
    if (!this.pageSizes.some(({ page }) => page === size.page)) this.pageSizes.push(size);
  }

  /** @returns the same pages in smaller parts, to be asked for again, of which the answer did not fit together. */
  async #ask(group: Pages.Group): Promise<Pages.Piece[][] | undefined> {
    const { pieces, room } = group;
    for (const piece of pieces) this.#callOf.set(nameOf(piece), { piece, call: this.#lastCall + 1 });
    this.asked = pieces;
    this.#settings.max_tokens = room.fit.maxTokens;
    const startedAt = Date.now();
    try {
      const { discard, answer, error } = await this.#call(group);
      if (answer !== undefined) {
        this.answered.push({ pieces, answer });
        return undefined;
      }
      if (error.code !== "answer_too_long") throw error;
      if (pieces.length > 1) {
        discard();
        return Pages.inParts(pieces, 2);
      }
      if (!this.#isContinued(pieces)) throw error;
      // Loaded on use: few answers are cut, and a cold start must not pay for it.
      const { goOn } = await import("./long-list/continuing.ts");
      const { deadline, handsOver = false } = this.#work;
      const call = (next: Next) => this.#call(group, next);
      this.answered.push({ pieces, answer: await goOn(error, { room, call, deadline, handsOver }) });
      return undefined;
    } finally {
      this.inferenceMs += Date.now() - startedAt;
    }
  }

  /**
   * An answer about several pages is asked for again in parts. A caller who set the answer's length gets it as it is.
   */
  #isContinued(pieces: Pages.Piece[]): boolean {
    return pieces.length === 1 && this.#work.debug?.max_tokens === undefined;
  }

  /** Makes one call, unless it was made before. */
  async #call(group: Pages.Group, next?: Next): Promise<Outcome> {
    const { steps } = this.#work;
    if (steps === undefined) return await this.#callNow(group, next);
    const { pieces } = group;
    const known = this.#next;
    if (known !== undefined && isSame(known.pieces, pieces) && known.record.after_row === next?.afterRow)
      return this.#again(known);
    if (steps.next !== undefined) steps.abandon();
    await steps.flush(this.#plan);
    const startedAt = Date.now();
    const outcome = await this.#callNow(group, next);
    const { record } = outcome;
    steps.add({
      ...{ record, pieces, part: this.#part, unit: this.#work.part?.at },
      ...{ facts: await this.#facts(), fileText: group.text },
      attempts: this.#attempts.filter(({ call }) => call === record.call),
      imageMs: this.imageMs - this.#storedImageMs,
      ...{ inferenceMs: Date.now() - startedAt, ...outcomeOf(outcome) },
    });
    this.#storedImageMs = this.imageMs;
    return outcome;
  }

  async #facts(): Promise<Facts> {
    const pages = new Set(this.#part.map(({ page }) => page));
    const names = new Set(this.#part.map(nameOf));
    return {
      sizes: this.pageSizes.filter(({ page }) => pages.has(page)),
      blank: this.blank.filter((page) => pages.has(page)),
      texts: await Promise.all(
        [...pages].map(async (page) => [page, await this.textLayers?.of(page)] as const),
      ),
      sent: [...this.#sent].filter(([name]) => names.has(name)),
      quality: [...this.#quality].filter(([name]) => names.has(name)),
      looks: [...this.looks].filter(([page]) => pages.has(page)),
    };
  }

  async #callNow(group: Pages.Group, next: Next | undefined): Promise<Outcome & { record: CallRecord }> {
    const { pieces, text } = group;
    const [tile] = pieces.flatMap((piece) => piece.tile ?? []);
    const record: CallRecord = {
      ...{ call: this.#lastCall + 1, pages: pieces.map(({ page }) => page) },
      ...{ raw_model_text: null, finish_reason: null, ...(tile && { tile }) },
      ...(next === undefined ? {} : { after_row: next.afterRow }),
    };
    this.#calls.push(record);
    if (text !== undefined) this.#fileTexts.push({ call: record.call, text });
    const discard = () => {
      record.repeated = true;
    };
    try {
      const asked = this.#asked(group, next);
      this.examining.catch(() => undefined);
      const answer = await asked;
      record.raw_model_text = answer.rawText;
      record.finish_reason = answer.finishReason;
      this.#attempts.push(...this.#ofLastCall(answer.attempts));
      return { record, discard, answer, error: undefined };
    } catch (thrown) {
      if (!(thrown instanceof Vision.VisionError)) throw thrown;
      record.raw_model_text = thrown.rawText || null;
      record.finish_reason = thrown.finishReason;
      this.#attempts.push(...this.#ofLastCall(thrown.attempts));
      return { record, discard, answer: undefined, error: thrown };
    }
  }

  #asked({ pieces, room, text }: Pages.Group, next: Next | undefined): Promise<Vision.Answer> {
    const { task, document, requestId, signal, deadline, endOnSuspect, log } = this.#work;
    const continuedFrom = next === undefined ? leastRows : 1;
    const told = [Pages.toldOf(pieces), text, next?.text].filter((part) => part !== undefined);
    return Vision.ask(
      this.#model,
      {
        prompt: task.prompt,
        ...room.fit,
        ...(next === undefined ? {} : { maxTokens: next.maxTokens }),
        ...(told.length === 0 ? {} : { suffix: told.join("\n") }),
        schema: task.modelSchema,
        schemaName: task.id,
        temperature: this.#settings.temperature,
        seed: this.#settings.seed,
        requestId,
      },
      {
        ...{ signal, deadline, endOnSuspect, room },
        continuedFrom: this.#isContinued(pieces) ? continuedFrom : undefined,
        // The log names the call and the extract already.
        onEvent: ({ event, request_id: _, ...facts }) => {
          log.info(event, facts);
          if (event !== "vllm_call_start") countCall(facts);
        },
        onPictureRefused: () => room.reencoded(),
        onNotFetched: () => Pages.asBytes(document, room),
        onUrlsOff: (reason) => log.warn("image_urls_off", { reason }),
      },
    );
  }
}

function countCall({ duration_ms, error }: Record<string, unknown>): void {
  Metrics.modelCall({
    durationMs: Number(duration_ms),
    failed: error !== undefined,
    timedOut: error === "inference_timeout",
  });
}

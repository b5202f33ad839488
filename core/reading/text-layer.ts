import * as Addition from "#core/document/addition";
import * as Document from "#core/document/document";
import type { Log } from "#core/log";
import { textRowsOf } from "./rows/text-rows.ts";
import type { TextLayer } from "./schema.ts";
import * as FileText from "./told/file-text.ts";
import { linesOf } from "./told/printed-lines.ts";

/**
 * Bytes of the words of all pages in the artifact, as they are written there: evidence is bounded, whatever a file holds.
 */
const mostBytes = 256 * 1024;
/** A line's indentation, comma and end in an artifact. */
const perLine = 8;

const sizeOf = (word: string) => Buffer.byteLength(JSON.stringify(word)) + perLine;

/** The text layers of several parts of a file, cut to the room in its artifact. */
export function bounded(layers: readonly TextLayer[], most = mostBytes): TextLayer[] {
  let left = most;
  return layers.map(({ pages, cut }) => {
    let isCut = cut;
    const fitting = pages.flatMap(({ page, words }) => {
      const written = words.filter((word) => {
        left -= sizeOf(word);
        return left >= 0;
      });
      isCut ||= written.length < words.length;
      return written.length === 0 ? [] : [{ page, words: written }];
    });
    return { pages: fitting, cut: isCut };
  });
}

interface Reader {
  signal: AbortSignal;
  log: Log;
}

/**
 * The text layers of a document's drawn pages. It is evidence beside the model's answer and never a part of it: it may
 * contain layers that are switched off and replacement texts, which no reader of the paper sees. The model gets the
 * text beside the picture only for a page on which words are not drawn, because their fonts are missing.
 */
export class TextLayers {
  readonly #work: Reader;
  /** The text that the model got, by page. */
  readonly #told = new Map<number, Told>();
  readonly #pages = new Map<number, Promise<Document.Text | undefined>>();

  constructor(work: Reader) {
    this.#work = work;
  }

  /** Begins to read the layer of a page that was just drawn: the decoder compares it with these pixels. Each page once. */
  read(page: Document.Page): void {
    if (!this.#pages.has(page.number)) this.#pages.set(page.number, this.#textOf(page));
  }

  /** A layer that was read before. */
  put(page: number, text: Document.Text | undefined): void {
    this.#pages.set(page, Promise.resolve(text));
  }

  /** Waits for the layer of one page. */
  of(page: number): Promise<Document.Text | undefined> | undefined {
    return this.#pages.get(page);
  }

  #textOf(page: Document.Page): Promise<Document.Text | undefined> {
    const { signal, log } = this.#work;
    const unread = { event: "text_layer_not_read", page: page.number };
    return Addition.optional(Document.text(page, { signal }), log, unread);
  }

  /** Pages, in ascending order, with words that are not drawn because their fonts are not in the file. */
  async withoutFonts(): Promise<number[]> {
    const found = await this.#found();
    return found.flatMap(([page, { undrawn }]) => (undrawn.length > 0 ? [page] : []));
  }

  /** True if words of this page are not drawn, although they are not hidden. */
  async isWithoutFonts(page: Document.Page): Promise<boolean> {
    this.read(page);
    return ((await this.#pages.get(page.number))?.undrawn.length ?? 0) > 0;
  }

  /** The text for the model about these pages, beside their pictures; undefined if all words are drawn. */
  async said(pages: readonly Document.Page[]): Promise<string | undefined> {
    const texts: FileText.PageText[] = [];
    for (const page of pages) {
      if (!(await this.isWithoutFonts(page))) continue;
      const text = await this.#pages.get(page.number);
      if (text === undefined) continue;
      const told = toldOf(text);
      this.#told.set(page.number, told);
      texts.push({ page: page.number, lines: told.lines });
    }
    const [first] = pages;
    return first && FileText.said(texts, first.sha256 ?? "");
  }

  /** Paths of values that occur only in the text that the model got, and not among the drawn words. */
  async pathsFrom(result: unknown): Promise<string[]> {
    if (this.#told.size === 0) return [];
    const found = await this.#found();
    const drawn = found.flatMap(
      ([page, { words }]) => this.#told.get(page)?.drawn ?? linesOf(words).map(textOf),
    );
    const told = [...this.#told.values()].flatMap(({ lines }) => lines);
    return FileText.pathsFrom(result, told, drawn);
  }

  /**
   * What a page's words show about its rows: the printed number, if there is exactly one, and lines with amounts.
   * Undefined without words.
   */
  async rows(): Promise<{ printed: number | null; seen: number } | undefined> {
    const pages = (await this.#found()).filter(([, { words }]) => words.length > 0);
    if (pages.length === 0) return undefined;
    const rows = pages.map(([, text]) => textRowsOf(text));
    const printed = new Set(rows.flatMap((page) => page.printed ?? []));
    const seen = rows.reduce((sum, { amounts }) => sum + amounts, 0);
    return { printed: printed.size === 1 ? ([...printed][0] ?? null) : null, seen };
  }

  /** The artifact's member; undefined if no page has words. */
  async record(most: number = mostBytes): Promise<TextLayer | undefined> {
    let left = most;
    const layer: TextLayer = { pages: [], cut: false };
    for (const [page, { words }] of await this.#found()) {
      const written: string[] = [];
      for (const { text, x, y, width, height } of words) {
        const word = `${x} ${y} ${width} ${height} ${text}`;
        left -= sizeOf(word);
        if (left < 0) break;
        written.push(word);
      }
      if (written.length > 0) layer.pages.push({ page, words: written });
      if (left < 0) return { ...layer, cut: true };
    }
    return layer.pages.length === 0 ? undefined : layer;
  }

  async #found(): Promise<[page: number, text: Document.Text][]> {
    const all = await Promise.all(
      [...this.#pages].map(async ([page, reading]) => [page, await reading] as const),
    );
    return all
      .flatMap(([page, text]): [number, Document.Text][] => (text === undefined ? [] : [[page, text]]))
      .sort(([a], [b]) => a - b);
  }
}

const textOf = (words: readonly { text: string }[]) => words.map(({ text }) => text).join(" ");

interface Told {
  /** Lines with a word that is not drawn. */
  lines: string[];
  /** All lines by their drawn words alone. */
  drawn: string[];
}

/** Leaves out words that no reader of the page sees, because hidden text may contain instructions to a model. */
function toldOf({ words, undrawn, hidden }: Document.Text): Told {
  const [missing, unseen] = [new Set(undrawn), new Set(hidden)];
  const seen = words.flatMap((word, i) => (unseen.has(i) ? [] : [{ ...word, isDrawn: !missing.has(i) }]));
  const lines = linesOf(seen);
  return {
    lines: lines.filter((line) => line.some(({ isDrawn }) => !isDrawn)).map(textOf),
    drawn: lines.map((line) => textOf(line.filter(({ isDrawn }) => isDrawn))),
  };
}

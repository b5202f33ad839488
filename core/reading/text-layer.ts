import * as Addition from "#core/document/addition";
import * as Document from "#core/document/document";
import { textRowsOf } from "./rows/text-rows.ts";
import type { TextLayer } from "./schema.ts";
import type { Work } from "./work.ts";

/**
 * Bytes of the words of all pages in the artifact, as they are written there: evidence is bounded, whatever a file holds.
 */
const mostBytes = 256 * 1024;
/** A line's indentation, comma and end in an artifact. */
const perLine = 8;

/**
 * The text layers of a document's drawn pages. It is evidence beside the model's answer and never a part of it: it may hold
 * layers that are switched off and texts in place of others, which no reader of the paper sees.
 */
export class TextLayers {
  readonly #work: Pick<Work, "signal" | "log">;
  readonly #pages = new Map<number, Promise<Document.Text | undefined>>();

  constructor(work: Pick<Work, "signal" | "log">) {
    this.#work = work;
  }

  /**
   * Begins to read the layer of a page that was just drawn: the decoder compares it with these pixels, and the model does not
   * wait for it. Each page once.
   */
  read(page: Document.Page): void {
    if (!this.#pages.has(page.number)) this.#pages.set(page.number, this.#textOf(page));
  }

  #textOf(page: Document.Page): Promise<Document.Text | undefined> {
    const { signal, log } = this.#work;
    const unread = { event: "text_layer_not_read", page: page.number };
    return Addition.optional(Document.text(page, { signal }), log, unread);
  }

  /** Pages, in ascending order, with words where nothing is drawn because their fonts are not in the file. */
  async withoutFonts(): Promise<number[]> {
    const found = await this.#found();
    return found.flatMap(([page, { undrawn }]) => (undrawn > 0 ? [page] : []));
  }

  /** What its words say of rows: the printed number, if it is one, and lines with amounts. Undefined without words. */
  async rows(): Promise<{ printed: number | null; seen: number } | undefined> {
    const pages = (await this.#found()).filter(([, { words }]) => words.length > 0);
    if (pages.length === 0) return undefined;
    const rows = pages.map(([, text]) => textRowsOf(text));
    const printed = new Set(rows.flatMap((page) => page.printed ?? []));
    const seen = rows.reduce((sum, { amounts }) => sum + amounts, 0);
    return { printed: printed.size === 1 ? ([...printed][0] ?? null) : null, seen };
  }

  /** As the artifact has it; undefined where no page has words. */
  async record(most: number = mostBytes): Promise<TextLayer | undefined> {
    let left = most;
    const layer: TextLayer = { pages: [], cut: false };
    for (const [page, { words }] of await this.#found()) {
      const written: string[] = [];
      for (const { text, x, y, width, height } of words) {
        const word = `${x} ${y} ${width} ${height} ${text}`;
        left -= Buffer.byteLength(JSON.stringify(word)) + perLine;
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

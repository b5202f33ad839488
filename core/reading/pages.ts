import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import * as Budget from "#core/image/budget";
import type { Look } from "#core/look/look";
import * as Processor from "#core/model/processor";
import * as Profiles from "#core/model/profiles/profiles";
import * as ContextLength from "#core/vision/context-length";
import * as Vision from "#core/vision/vision";
import { type Quality, qualityOf } from "./quality.ts";
import type { Sent } from "./schema.ts";

/* The pages of a document as the pictures of calls: how many go together, each prepared once it is its turn. */

/** What decides how much room there is. */
export interface Wish {
  server: Config.Model;
  /** As Vision.Room takes it. */
  textKey: string;
  onUnclear: () => void;
  promptTokens: number;
  maxTokens: number;
  mostTokens: number | undefined;
  exact: boolean;
  signal: AbortSignal;
}

/** A page that was prepared, and how long that took. */
interface PreparedPage {
  page: Document.Page;
  sent: Sent;
  blank: boolean;
  ms: number;
  /** Undefined where the page was not looked at. */
  quality: Quality | undefined;
}

/** The pages of one call with the room that they share; `pages` without those that are blank. */
export interface Group {
  pages: Document.Page[];
  room: Vision.Room;
}

/**
 * The pages in the parts that go to one call each: as many together as stay legible, at most as many as the server takes,
 * and in parts of about the same size.
 */
export async function parted(pages: readonly number[], wish: Wish): Promise<number[][]> {
  if (pages.length === 1) return [[...pages]];
  const maxModelLen = await ContextLength.contextLength(wish.server, wish.signal);
  const { promptTokens, maxTokens, mostTokens = Number.POSITIVE_INFINITY } = wish;
  const { processor } = Profiles.choose(wish.server.model, wish.server.profile);
  const bounds = Processor.bounds(processor);
  const room = { maxModelLen, promptTokens, maxOutputTokens: Math.min(maxTokens, mostTokens), bounds };
  const most = Budget.picturesPerCall(room, Math.min(wish.server.maxImages, pages.length));
  return inParts(pages, Math.ceil(pages.length / most));
}

/** So many parts, whose sizes differ by one at most. */
export function inParts(pages: readonly number[], count: number): number[][] {
  return Array.from({ length: count }, (_, part) =>
    pages.slice(Math.ceil((pages.length * part) / count), Math.ceil((pages.length * (part + 1)) / count)),
  );
}

/**
 * Prepares the pages of one call.
 * @param how.seeksBlank - leave blank pages out.
 * @param how.onPrepared - told of every picture that is made, in its newest size.
 * @throws AppError as Vision.Room.open does, and of a page that cannot be read.
 */
export async function open(
  document: Document.Document,
  numbers: readonly number[],
  wish: Wish,
  how: { seeksBlank: boolean; onPrepared(prepared: PreparedPage): void },
): Promise<Group> {
  const { signal, server } = wish;
  const pages: Document.Page[] = [];
  for (const number of numbers) pages.push(await Document.page(document, number, { signal }));
  const looks = new Map<number, Look>();
  const lookAt = async (page: Document.Page): Promise<Look | undefined> => {
    const known = looks.get(page.number);
    if (known !== undefined || !server.look) return known;
    const look = await Document.look(page, { signal });
    looks.set(page.number, look);
    return look;
  };
  let printed = pages;
  const room = await Vision.Room.open({
    ...{ server, signal, exact: wish.exact, pictures: pages.length },
    ...{ textKey: wish.textKey, onUnclear: wish.onUnclear },
    ...{ promptTokens: wish.promptTokens, maxTokens: wish.maxTokens, mostTokens: wish.mostTokens },
    prepare: async (maxImageTokens, encodeAs) => {
      const sent = [];
      for (const page of printed) {
        const startedAt = Date.now();
        const seeksBlank = how.seeksBlank;
        const look = await lookAt(page);
        const prepared = await Document.prepare(page, { maxImageTokens, encodeAs, look, signal, seeksBlank });
        const blank = prepared.blank === true;
        const quality = look && qualityOf(look.legibility, prepared);
        how.onPrepared({ page, sent: described(prepared), blank, quality, ms: Date.now() - startedAt });
        if (!blank) sent.push({ page, prepared });
      }
      printed = sent.map(({ page }) => page);
      return sent.map(({ prepared }) => prepared);
    },
  });
  return { pages: printed, room };
}

function described({ sha256, width, height, mimeType, bytes, turned }: Document.Prepared): Sent {
  return { sha256, width, height, mime_type: mimeType, bytes: bytes.length, turned };
}

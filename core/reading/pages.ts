import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import * as Budget from "#core/image/budget";
import type { Cut } from "#core/image/cut";
import type { Log } from "#core/log";
import type { Look } from "#core/look/look";
import * as Processor from "#core/model/processor";
import * as Profiles from "#core/model/profiles/profiles";
import type { Task } from "#core/task/task";
import * as ContextLength from "#core/vision/context-length";
import * as Vision from "#core/vision/vision";
import type { Tile } from "./long-paper/tile.ts";
import * as Tiles from "./long-paper/tiles.ts";
import { type Quality, qualityOf } from "./quality.ts";
import type { Sent } from "./schema.ts";
import type { TextLayers } from "./text-layer.ts";

/* The pages of a document as the pictures of calls: how many go into one call; each is prepared when its turn comes. */

/** What determines the room for pictures in a call. */
export interface Wish {
  server: Config.Model;
  /** As Vision.Room takes it. */
  textKey: string;
  onUnclear: () => void;
  promptTokens: number;
  maxTokens: number;
  /** As Vision.Room takes it. */
  usualTokens: number | undefined;
  mostTokens: number | undefined;
  exact: boolean;
  signal: AbortSignal;
}

/** A page, or a part of one that is too long for one picture. */
export interface Piece {
  page: number;
  tile?: Tile | undefined;
  /** In the plan of a file that is split: one of several receipts on the page. */
  cut?: Cut | undefined;
}

/** Distinguishes the pieces of a document. */
export const nameOf = ({ page, tile }: Piece) => `${page} ${tile?.number ?? 0}`;

export const isSame = (some: readonly Piece[], others: readonly Piece[]) =>
  some.map(nameOf).join() === others.map(nameOf).join();

/** A piece that was prepared, and the time that this took. */
interface Prepared extends Piece {
  of: Document.Page;
  sent: Sent;
  blank: boolean;
  ms: number;
  /** Undefined where the page was not looked at. */
  quality: Quality | undefined;
}

/** The pieces of one call with the room that they share; `pieces` without those that are blank. */
export interface Group {
  pieces: Piece[];
  room: Vision.Room;
  /** The file's text of pages on which words are not drawn; it is sent after the pictures. */
  text?: string | undefined;
}

type Opened = Piece & { of: Document.Page };

/** Smaller parts, each for a call of its own, because print would be too small together or as one picture. */
interface Parts {
  parts: Piece[][];
  /** A page whose print stays too small, because it would need too many tiles. */
  limited?: number | undefined;
}

/** The most tiles of a page, and of all pages together. */
const tilesOfPage = 16;
const tilesOfDocument = 64;
/** A sheet is at most this many times as long as wide. */
const mostOfSheet = 2.2;

/** What the model is asked, and how. */
interface Asked {
  task: Pick<Task, "prompt" | "promptSha256" | "maxOutputTokens" | "usualOutputTokens">;
  debug?: { max_tokens?: number | undefined } | undefined;
  look?: boolean | undefined;
  signal: AbortSignal;
  log: Log;
}

/** The limits that determine the room, from the work and the server's settings. */
export function wishOf(model: Config.Model, { task, debug, look = true, signal, log }: Asked): Wish {
  const asked = debug?.max_tokens;
  const most = Math.min(asked ?? Number.POSITIVE_INFINITY, model.maxTokens ?? Number.POSITIVE_INFINITY);
  return {
    server: { ...model, look: model.look && look },
    promptTokens: Budget.textTokens(task.prompt),
    textKey: task.promptSha256,
    onUnclear: () => log.warn("picture_tokens_unclear", { model: model.model }),
    maxTokens: task.maxOutputTokens,
    // A caller's schema or length has no usual length.
    usualTokens: debug === undefined ? task.usualOutputTokens : undefined,
    mostTokens: Number.isFinite(most) ? most : undefined,
    exact: asked !== undefined,
    signal,
  };
}

/**
 * The pages in the parts that go to one call each: as many together as stay legible, at most as many as the server
 * accepts, and in parts of about the same size.
 */
export async function parted(pages: readonly number[], wish: Wish): Promise<Piece[][]> {
  const pieces = pages.map((page): Piece => ({ page }));
  if (pieces.length === 1) return [pieces];
  const room = await roomOf(wish);
  const most = Budget.picturesPerCall(room, Math.min(wish.server.maxImages, pages.length));
  return inParts(pieces, Math.ceil(pages.length / most));
}

async function roomOf({ server, signal, promptTokens, maxTokens, mostTokens }: Wish): Promise<Budget.Room> {
  const maxModelLen = await ContextLength.contextLength(server, signal);
  const bounds = Processor.bounds(Profiles.choose(server.model, server.profile).processor);
  return { maxModelLen, promptTokens, maxOutputTokens: Math.min(maxTokens, mostTokens ?? maxTokens), bounds };
}

/** Splits the pages into this many parts, whose sizes differ by one at most. */
export function inParts<T>(pages: readonly T[], count: number): T[][] {
  return Array.from({ length: count }, (_, part) =>
    pages.slice(Math.ceil((pages.length * part) / count), Math.ceil((pages.length * (part + 1)) / count)),
  );
}

interface How {
  seeksBlank: boolean;
  /** The looks at pages; each page is looked at once. */
  looks: Map<number, Look>;
  /** Pages of the whole document, or parts of a file that is split. */
  pages: number;
  /** The text layers of pages that are drawn. */
  texts: TextLayers | undefined;
  onPrepared(prepared: Prepared): void;
}

/**
 * Prepares the pieces of one call.
 * @param how.seeksBlank - leave blank pages out.
 * @param how.onPrepared - called with every picture that is made, in its newest size.
 * @returns smaller parts instead if print would be too small.
 * @throws AppError as Vision.Room.open does, and of a page that cannot be read.
 */
export async function open(
  document: Document.Document,
  pieces: readonly Piece[],
  wish: Wish,
  how: How,
): Promise<Group | Parts> {
  const { signal, server } = wish;
  const opened: Opened[] = [];
  for (const piece of pieces)
    opened.push({ ...piece, of: await Document.page(document, piece.page, { signal }) });
  const lookAt = async (page: Document.Page): Promise<Look> => {
    const look = how.looks.get(page.number) ?? (await Document.look(page, { signal }));
    how.looks.set(page.number, look);
    return look;
  };
  const smaller = await smallerParts(opened, wish, { ...how, lookAt });
  if (smaller !== undefined) return smaller;
  let printed = opened;
  const told = toldOf(pieces) ?? "";
  const wanted = {
    ...{ server, signal, exact: wish.exact, pictures: pieces.length },
    ...{ textKey: `${wish.textKey}${told === "" ? "" : " tile"}`, onUnclear: wish.onUnclear },
    promptTokens: wish.promptTokens + Budget.textTokens(told),
    ...{ maxTokens: wish.maxTokens, mostTokens: wish.mostTokens },
    usualTokens: usualOf(opened, wish),
    prepare: async (maxImageTokens: number, encodeAs: "jpeg" | "png" | undefined) => {
      const sent = [];
      for (const piece of printed) {
        const startedAt = Date.now();
        const { seeksBlank } = how;
        const isLinked = Document.isLinked(piece.of, { maxImageTokens, encodeAs });
        const look = server.look && !isLinked ? await lookAt(piece.of) : undefined;
        const region = piece.tile && regionOf(piece.tile);
        const options = { maxImageTokens, encodeAs, look, signal, seeksBlank, region };
        const prepared = await Document.prepare(piece.of, options);
        // The page is not blank: it has words that are not drawn.
        const blank = prepared.blank === true && !(await how.texts?.isWithoutFonts(piece.of));
        const quality = look && qualityOf(look.legibility, wholeOf(prepared, piece.tile));
        how.onPrepared({
          ...piece,
          sent: described(prepared, piece.of),
          blank,
          quality,
          ms: Date.now() - startedAt,
        });
        if (!blank) sent.push({ piece, prepared });
      }
      printed = sent.map(({ piece }) => piece);
      return sent.map(({ prepared }) => prepared);
    },
  };
  const room = await Vision.Room.open(wanted);
  const text = await how.texts?.said(printed.map(({ of }) => of));
  const group = { pieces: printed.map(({ page, tile }) => ({ page, tile })), room };
  if (text === undefined) return group;
  const promptTokens = wanted.promptTokens + Budget.textTokens(text);
  // The tokens of this text must not count for other calls.
  return { ...group, text, room: await Vision.Room.open({ ...wanted, promptTokens, textKey: undefined }) };
}

/** Reads the pictures that the model server should have fetched by URL; undefined if they were read before. */
export async function asBytes({ link }: Document.Document, room: Vision.Room) {
  if (link === undefined || link.isRead) return undefined;
  await link.read();
  return await room.again();
}

/** The text after the pictures of a call; undefined for whole pages. */
export function toldOf([piece]: readonly Piece[]): string | undefined {
  return piece?.tile && Tiles.told(piece.tile);
}

/** Halves of several pages, or the tiles of one page, if print would be too small; otherwise undefined. */
async function smallerParts(
  pieces: readonly Opened[],
  wish: Wish,
  { lookAt, pages }: Pick<How, "pages"> & { lookAt(page: Document.Page): Promise<Look> },
): Promise<Parts | undefined> {
  if (pieces.some(({ tile }) => tile !== undefined)) return undefined;
  const imageTokens = await imageTokensEach(wish, pieces);
  if (imageTokens === undefined) return undefined;
  for (const { of } of pieces) {
    if (Document.isLinked(of, { maxImageTokens: imageTokens })) continue;
    const look = wish.server.look ? await lookAt(of) : undefined;
    const size = Document.uprightSize(of, look);
    if (pieces.length > 1) {
      if (!Tiles.isTooSmall({ ...size, look }, imageTokens)) continue;
      return {
        parts: inParts(
          pieces.map(({ page }): Piece => ({ page })),
          2,
        ),
      };
    }
    const most = Math.max(2, Math.min(tilesOfPage, Math.floor(tilesOfDocument / pages)));
    const first = Tiles.cut({ ...size, look }, { imageTokens, most });
    if (first === undefined) return undefined;
    // The caller wants no look, but only a look finds the lines at which the page can be cut.
    const lines = look === undefined ? linesOf(await lookAt(of)) : look.lines;
    const { tiles, isEnough } = Tiles.cut({ ...size, look, lines }, { imageTokens, most }) ?? first;
    const parts = tiles.map((tile): Piece[] => [{ page: of.number, tile }]);
    return { parts, ...(isEnough ? {} : { limited: of.number }) };
  }
  return undefined;
}

/** Only for a page that is sent without a turn: the lines of a turned page are elsewhere. */
const linesOf = ({ turn, tilt, lines }: Look) => (turn === 0 && tilt === 0 ? lines : []);

/** What `Document.prepare` gets for each of this many pictures; undefined if the text alone leaves no room. */
async function imageTokensEach(wish: Wish, pieces: readonly Opened[]): Promise<number | undefined> {
  const { server } = wish;
  try {
    const room = await roomOf(wish);
    const maxOutputTokens = Math.min(room.maxOutputTokens, usualOf(pieces, wish) ?? Number.POSITIVE_INFINITY);
    const share = Budget.share({ ...room, maxOutputTokens, images: pieces.length });
    const { processor } = Profiles.choose(server.model, server.profile);
    return Budget.preparedTokens(processor, share.imageTokens, server.maxPixels);
  } catch (thrown) {
    if (Budget.isPromptTooLong(thrown)) return undefined;
    throw thrown;
  }
}

const regionOf = ({ top, bottom }: Tile) => ({ left: 0, top, width: 1, height: bottom - top });

/** The size that the whole page would have at a tile's scale. */
function wholeOf({ width, height }: Document.Prepared, tile: Tile | undefined) {
  return { width, height: tile === undefined ? height : height / (tile.bottom - tile.top) };
}

/** The usual tokens of an answer, which are those for one sheet. A long strip has a long list. */
function usualOf([only, ...others]: readonly Opened[], { usualTokens }: Wish): number | undefined {
  if (only === undefined || others.length > 0 || only.tile !== undefined) return undefined;
  const { width, height } = only.of;
  return Math.max(width, height) <= mostOfSheet * Math.min(width, height) ? usualTokens : undefined;
}

function described(prepared: Document.Prepared, { size }: Document.Page): Sent {
  const { sha256, width, height, mimeType, bytes, url, turned } = prepared;
  const sent = { sha256, width, height, mime_type: mimeType, turned };
  return url === undefined ? { ...sent, bytes: bytes.length } : { ...sent, bytes: size, by: "url" };
}

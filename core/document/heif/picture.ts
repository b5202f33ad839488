import { AppError } from "#core/error";
import { guards, type HeifGuards } from "#spec/guards";
import { census, Fields, refused, tooDeep, tooMany, wholeBoxes } from "./boxes.ts";
import { codedPixels } from "./hevc.ts";
import * as Items from "./items.ts";

/*
 * What a HEIC or AVIF file shows, by its tables alone: the primary item (`pitm`), cropped, turned and mirrored by its
 * own properties (`clap`, `irot`, `imir`). Its EXIF orientation is for older programs and does not count (ISO/IEC
 * 23008-12, annex A.2.1): applied as well, the picture would be turned twice.
 */

export interface Still {
  codec: "hevc" | "av1";
  /** Pixels as shown, after its own crop and rotation. */
  width: number;
  height: number;
  /** The number of pictures that a viewer shows, including the primary one. */
  pictures: number;
  color: Color;
}

interface Color {
  /** An ICC profile, which has priority. */
  icc?: Uint8Array;
  /** Code points of ITU-T H.273. */
  nclx?: { primaries: number; transfer: number };
}

const hevc = new Set(["hvc1", "hev1"]);
const coded = new Set([...hevc, "av01", "jpeg", "j2k1", "avc1", "vvc1", "evc1", "unci"]);
const derived = new Set(["grid", "iovl", "iden"]);

/**
 * Checks a file before a decoder reads it. @throws AppError `invalid_image` with `details.reason`: `broken_header`,
 * `damaged`, `no_still_picture`, `codec_not_read`, `too_many_parts`, `nested_too_deep`, `parts_in_a_circle`,
 * `too_much_to_decode`.
 */
export function look(bytes: Uint8Array, bounds: HeifGuards = guards.heif): Still {
  try {
    census(bytes, bounds);
    return shown(Items.read(wholeBoxes(bytes), bounds), bounds);
  } catch (cause) {
    if (cause instanceof AppError || !(cause instanceof RangeError)) throw cause;
    throw refused("broken_header", "the picture's header is broken or cut off", {}, cause);
  }
}

function shown(items: Items.Items, bounds: HeifGuards): Still {
  const primary = itemOf(items, items.primary);
  const counting: Counting = { items, bounds, leaves: new Set(), known: new Map(), above: [] };
  const planes = items.references
    .filter(
      ({ type, from, to }) => type === "auxl" && to.includes(primary.id) && isAlpha(itemOf(items, from)),
    )
    .map(({ from }) => itemOf(items, from));
  const pixels = [primary, ...planes].reduce((sum, item) => sum + pixelsOf(item, counting), 0);
  checkPixels(pixels, bounds.decodedMegapixels);
  const codecs = new Set(
    [...counting.leaves].map(({ type }) => (hevc.has(type) ? "hevc" : type === "av01" ? "av1" : type)),
  );
  const [codec] = codecs;
  if (codecs.size !== 1 || (codec !== "hevc" && codec !== "av1"))
    throw refused("codec_not_read", "the picture has an unsupported coding: save it as JPEG or PNG");
  if (codec === "av1") checkPixels(pixels, bounds.av1Megapixels);
  const [tile] = counting.leaves;
  return {
    codec,
    ...sizeOf(primary),
    pictures: picturesOf(items),
    // A grid's own color has priority; some writers give it only to the tiles.
    color: { ...colorOf(tile), ...colorOf(primary) },
  };
}

/** @throws AppError `too_much_to_decode`. */
function checkPixels(pixels: number, megapixels: number): void {
  if (pixels <= megapixels * 1_000_000) return;
  throw refused("too_much_to_decode", "the picture's parts have too many pixels: save it again as JPEG", {
    limit_megapixels: megapixels,
    megapixels: Math.round(pixels / 100_000) / 10,
  });
}

function itemOf(items: Items.Items, id: number): Items.Item {
  const item = items.byId.get(id);
  if (item === undefined) throw new RangeError(`no item ${id}`);
  return item;
}

const propertyOf = (item: Items.Item | undefined, type: string) =>
  item?.properties.find((property) => property.type === type)?.data;

const alphaTypes = ["urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1"];

function isAlpha(item: Items.Item): boolean {
  const auxC = propertyOf(item, "auxC");
  const text = Buffer.from(auxC?.subarray(4) ?? []).toString("latin1");
  return alphaTypes.some((type) => text.startsWith(`${type}\0`));
}

interface Counting {
  items: Items.Items;
  bounds: HeifGuards;
  /** The coded items that were found. */
  leaves: Set<Items.Item>;
  /** Pixels of the items that were counted: a part of many parts is counted once. */
  known: Map<Items.Item, number>;
  /** The items that the current one is a part of. */
  above: readonly Items.Item[];
}

/** Pixels to decode for an item: its own if it is coded, else those of all its parts, as often as they are used. */
function pixelsOf(item: Items.Item, counting: Counting): number {
  if (counting.above.includes(item)) throw refused("parts_in_a_circle", "the picture is a part of itself");
  if (counting.above.length > counting.bounds.depth) throw tooDeep();
  const known = counting.known.get(item);
  if (known !== undefined) return known;
  const pixels = derived.has(item.type) ? pixelsOfParts(item, counting) : pixelsOfCoded(item);
  if (!derived.has(item.type)) counting.leaves.add(item);
  counting.known.set(item, pixels);
  return pixels;
}

function pixelsOfCoded(item: Items.Item): number {
  if (!coded.has(item.type))
    throw refused("codec_not_read", "the picture has an unsupported coding: save it as JPEG or PNG");
  const { width, height } = ispe(item);
  const hvcC = hevc.has(item.type) ? propertyOf(item, "hvcC") : undefined;
  return Math.max(width * height, hvcC === undefined ? 0 : codedPixels(hvcC));
}

function pixelsOfParts(item: Items.Item, counting: Counting): number {
  const { items, bounds, above } = counting;
  const parts = items.references
    .filter(({ type, from }) => type === "dimg" && from === item.id)
    .flatMap(({ to }) => to);
  if (parts.length === 0) throw new RangeError("a picture of no parts");
  if (parts.length > bounds.items) throw tooMany("tiles", bounds.items);
  if (item.type === "grid") checkGrid(item, parts.length, bounds);
  // Where parts overlap, the canvas between them costs as well.
  const canvas = item.type === "iovl" ? ispe(item).width * ispe(item).height : 0;
  const below = { ...counting, above: [...above, item] };
  return parts.reduce((sum, id) => sum + pixelsOf(itemOf(items, id), below), canvas);
}

/** Rows and columns of a grid (ISO/IEC 23008-12, 6.6.2.3.2). */
function checkGrid(item: Items.Item, parts: number, bounds: HeifGuards): void {
  const fields = new Fields(item.extents[0] ?? new Uint8Array());
  fields.take(2);
  const tiles = (fields.uint(1) + 1) * (fields.uint(1) + 1);
  if (tiles > bounds.items) throw tooMany("tiles", bounds.items);
  if (tiles > parts) throw new RangeError("a grid with fewer parts than tiles");
}

function ispe(item: Items.Item): { width: number; height: number } {
  const data = propertyOf(item, "ispe");
  if (data === undefined) throw new RangeError("an item without a size");
  const fields = new Fields(data);
  fields.full();
  return { width: fields.uint(4), height: fields.uint(4) };
}

/** The size as shown. */
function sizeOf(item: Items.Item): Pick<Still, "width" | "height"> {
  let { width, height } = ispe(item);
  for (const { type, data } of item.properties) {
    const fields = new Fields(data);
    if (type === "clap") {
      const [across, down] = [0, 1].map(() => fields.uint(4) / fields.uint(4)) as [number, number];
      width = Math.min(width, Math.round(across));
      height = Math.min(height, Math.round(down));
    }
    if (type === "irot" && (fields.uint(1) & 1) === 1) [width, height] = [height, width];
  }
  return { width, height };
}

function colorOf(item: Items.Item | undefined): Color {
  const color: Color = {};
  for (const { type, data } of item?.properties ?? []) {
    if (type !== "colr") continue;
    const fields = new Fields(data);
    const kind = fields.name();
    if (kind === "prof" || kind === "rICC") color.icc = fields.rest();
    if (kind === "nclx") color.nclx = { primaries: fields.uint(2), transfer: fields.uint(2) };
  }
  return color;
}

/**
 * Pictures that a viewer offers: neither hidden nor a part, a preview or a plane of another one, nor another form of the
 * primary one (with a gain map, or for the other eye).
 */
function picturesOf({ primary, byId, references, groups }: Items.Items): number {
  const others = new Set<number>();
  for (const { type, from, to } of references) {
    if (type === "thmb" || type === "auxl") others.add(from);
    if (type === "dimg") for (const id of to) others.add(id);
  }
  for (const { type, ids } of groups)
    if ((type === "altr" || type === "ster") && ids.includes(primary)) for (const id of ids) others.add(id);
  let count = 1;
  for (const { id, type, hidden } of byId.values())
    if (id !== primary && !hidden && !others.has(id) && (coded.has(type) || derived.has(type))) count += 1;
  return count;
}

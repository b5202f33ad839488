import * as Native from "./native.ts";
import * as Whole from "./whole.ts";

/*
 * A part of a page as pixels of its own: a receipt that lies on it beside others, as a rectangle that may lean. It is
 * cut out before its rotation is known.
 */

interface Point {
  x: number;
  y: number;
}

/** Where the part lies on the page as EXIF turns it. */
export interface Cut {
  /** In parts of the page's width and height, in the order of a walk around them; they may lie outside of it. */
  corners: Point[];
  /** Clockwise degrees that make the rectangle stand straight. */
  turn: number;
}

export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
  channels: 3;
}

interface Size {
  width: number;
  height: number;
}

/**
 * A smaller lean is corrected by the look at the part, which straightens its lines, so that pixels are turned only
 * once.
 */
const leastTurn = 8;

/** The part of a picture. @throws AppError `invalid_image`. */
export async function ofPicture(image: Native.Picture, cut: Cut): Promise<Pixels> {
  const open = await Native.opener(image);
  const size = Native.uprightSize(image);
  const scale = image.pixelAspect === 1 ? undefined : size;
  return await Native.orDamaged(() =>
    Whole.decode({ image, open }, (page) =>
      cutOut(Native.oriented(image, page, { scale }).flatten({ background: "#ffffff" }), size, cut),
    ),
  );
}

/** The part of a page that has to be drawn (a PDF's). @throws AppError `invalid_image`. */
export async function ofPixels(
  { data, width, height, channels }: { data: Uint8Array; channels: 1 | 3 | 4 } & Size,
  cut: Cut,
): Promise<Pixels> {
  const sharp = await Native.load();
  const page = sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
  return await Native.orDamaged(() =>
    cutOut(page.flatten({ background: "#ffffff" }), { width, height }, cut),
  );
}

async function cutOut(page: Native.Sharp, { width, height }: Size, { corners, turn }: Cut): Promise<Pixels> {
  const points = corners.map(({ x, y }) => ({ x: x * width, y: y * height }));
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const box = { left: Math.floor(Math.min(...xs)), top: Math.floor(Math.min(...ys)) };
  const all = {
    width: Math.max(1, Math.ceil(Math.max(...xs)) - box.left),
    height: Math.max(1, Math.ceil(Math.max(...ys)) - box.top),
  };
  const [left, top] = [Math.max(0, box.left), Math.max(0, box.top)];
  const inside = {
    ...{ left, top },
    width: Math.max(1, Math.min(width, box.left + all.width) - left),
    height: Math.max(1, Math.min(height, box.top + all.height) - top),
  };
  const { data } = await page
    .toColorspace("srgb")
    .extract(inside)
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  const channels = data.length / (inside.width * inside.height);
  const canvas = new Uint8Array(all.width * all.height * 3).fill(255);
  const corner = { x: left - box.left, y: top - box.top };
  copyInside(
    { data, ...inside, channels },
    { canvas, width: all.width, corner },
    points.map(({ x, y }) => ({ x: x - box.left, y: y - box.top })),
  );
  if (Math.abs(turn) < leastTurn) return { data: canvas, ...all, channels: 3 };
  return await straightened({ data: canvas, ...all, channels: 3 }, points, turn);
}

/** Copies what lies within the rectangle; a neighbor's corner stays white. */
function copyInside(
  from: Size & { data: Uint8Array; channels: number },
  to: { canvas: Uint8Array; width: number; corner: Point },
  corners: readonly Point[],
): void {
  for (let y = 0; y < from.height; y += 1) {
    const row = y + to.corner.y;
    const [first, last] = spanOf(corners, row + 0.5);
    for (let x = 0; x < from.width; x += 1) {
      const column = x + to.corner.x;
      if (column < first || column > last) continue;
      const [at, out] = [(y * from.width + x) * from.channels, (row * to.width + column) * 3];
      for (let c = 0; c < 3; c += 1)
        to.canvas[out + c] = from.data[at + (from.channels < 3 ? 0 : c)] as number;
    }
  }
}

/** The first and last column of a row that are within the rectangle. */
function spanOf(corners: readonly Point[], y: number): [number, number] {
  const crossings = corners.flatMap((from, at) => {
    const to = corners[(at + 1) % corners.length] as Point;
    if (from.y === to.y || y < Math.min(from.y, to.y) || y > Math.max(from.y, to.y)) return [];
    return [from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x)];
  });
  return crossings.length === 0 ? [1, 0] : [Math.min(...crossings) - 1, Math.max(...crossings) + 1];
}

/** The pixels, turned so that the rectangle is upright, and cut to it. */
async function straightened(part: Pixels, corners: readonly Point[], turn: number): Promise<Pixels> {
  const sharp = await Native.load();
  const { data, width, height, channels } = part;
  const { data: turned, info } = await sharp(data, {
    raw: { width, height, channels },
    limitInputPixels: false,
  })
    .rotate(turn, { background: "#ffffff" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const [a, b, c] = corners as [Point, Point, Point];
  const side = (from: Point, to: Point) => Math.max(1, Math.round(Math.hypot(to.x - from.x, to.y - from.y)));
  const size = { width: Math.min(info.width, side(a, b)), height: Math.min(info.height, side(b, c)) };
  const middle = {
    left: Math.floor((info.width - size.width) / 2),
    top: Math.floor((info.height - size.height) / 2),
  };
  const straight = sharp(turned, {
    raw: { width: info.width, height: info.height, channels },
    limitInputPixels: false,
  });
  return {
    data: await straight
      .extract({ ...middle, ...size })
      .raw()
      .toBuffer(),
    ...size,
    channels,
  };
}

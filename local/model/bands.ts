import { type Box, type Image, normalizeInputToRgb } from "paddleocr";
import sharp from "sharp";

/*
 * Long paper is read in bands: in one piece it would be shrunk until its letters are too small for the detector. Bands share some
 * of the paper, so that each line of print is whole in one of them.
 */

/** The longest side that the detector gets at once. */
export const BAND_PX = 2200;
/** What two bands share: several lines. */
const SHARED_PX = 200;
/** A box that ends so near to where its band was cut may be half a line. */
const CUT_PX = 3;

interface Band {
  image: Image;
  /** Where it begins on the whole picture. */
  x: number;
  y: number;
}

/** Finds the boxes of a picture of any length. @param detect - finds those of one band. */
export async function detectInBands(image: Image, detect: (band: Image) => Promise<Box[]>): Promise<Box[]> {
  const isTall = image.height >= image.width;
  const [length, most] = [Math.max(image.width, image.height), BAND_PX];
  if (length <= most) return await detect(image);
  const count = Math.ceil((length - SHARED_PX) / (most - SHARED_PX));
  const step = (length - most) / (count - 1);
  const kept: Box[] = [];
  for (let n = 0; n < count; n += 1) {
    const start = Math.round(n * step);
    const band = await cut(image, isTall ? { x: 0, y: start } : { x: start, y: 0 });
    const isWhole = (box: Box) => {
      const [from, to] = isTall ? [box.y, box.y + box.height] : [box.x, box.x + box.width];
      return (n === 0 || from > CUT_PX) && (n === count - 1 || to < most - CUT_PX);
    };
    const before = [...kept];
    for (const box of (await detect(band.image)).filter(isWhole)) {
      const moved = shifted(box, band);
      if (!before.some((other) => isSame(other, moved))) kept.push(moved);
    }
  }
  return kept;
}

async function cut(image: Image, { x, y }: Pick<Band, "x" | "y">): Promise<Band> {
  const { data, info } = await sharp(image.data, {
    raw: { width: image.width, height: image.height, channels: 3 },
  })
    .extract({
      ...{ left: x, top: y },
      ...{ width: Math.min(BAND_PX, image.width - x), height: Math.min(BAND_PX, image.height - y) },
    })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { image: normalizeInputToRgb({ width: info.width, height: info.height, data: bytes }), x, y };
}

function shifted(box: Box, { x, y }: Pick<Band, "x" | "y">): Box {
  const points = box.points?.map((point) => ({ x: point.x + x, y: point.y + y })) as Box["points"];
  return { ...box, x: box.x + x, y: box.y + y, ...(points === undefined ? {} : { points }) };
}

/** The middle of one lies in the other: the same print, found in two bands. */
function isSame(one: Box, other: Box): boolean {
  const isIn = ({ x, y, width, height }: Box, of: Box) => {
    const [middleX, middleY] = [x + width / 2, y + height / 2];
    return middleX > of.x && middleX < of.x + of.width && middleY > of.y && middleY < of.y + of.height;
  };
  return isIn(one, other) || isIn(other, one);
}

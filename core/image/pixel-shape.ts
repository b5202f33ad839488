import * as Walk from "#core/image/walk";

/*
 * Pixels are not always square: a fax of standard resolution has 204 dots per inch across and 98 down. A reader that
 * shows each dot as one pixel, as every vision model does, shows such a picture at half its height.
 */

/** Fax ratios are from 0.52 (391 lines) to 2.1 (98 lines); values beyond this limit are wrong metadata. */
const mostStretch = 4;
/** 5,905 and 5,906 dots a metre are the same 150 dpi, rounded. */
const squareWithin = 0.01;

/**
 * Width of a stored pixel divided by its height, 1 for a square one: from the TIFF's own tags, JFIF or `pHYs`, else
 * from EXIF. Missing, zero or absurd values count as square. 1 for GIF, whose aspect byte readers ignore.
 * @param directory - of a TIFF: position of the page's tables, by default those of the first.
 */
export function pixelAspect(
  bytes: Uint8Array,
  mimeType: string,
  { exif, directory }: { exif?: Uint8Array | undefined; directory?: number | undefined },
): number {
  const density =
    (mimeType === "image/tiff" ? tiffDensity(bytes, directory) : undefined) ??
    (mimeType === "image/jpeg" ? jfifDensity(bytes) : undefined) ??
    (mimeType === "image/png" ? pngDensity(bytes) : undefined) ??
    (exif === undefined ? undefined : tiffDensity(withoutExifName(exif)));
  if (density === undefined) return 1;
  const aspect = density.y / density.x;
  if (!(aspect >= 1 / mostStretch && aspect <= mostStretch)) return 1;
  return Math.abs(aspect - 1) <= squareWithin ? 1 : aspect;
}

/** The size with square pixels, in the stored orientation: the coarser side grows, so that no dot is lost. */
export function squared(width: number, height: number, aspect: number): { width: number; height: number } {
  if (aspect > 1) return { width: Math.round(width * aspect), height };
  return { width, height: Math.round(height / aspect) };
}

/** Dots for the same length, in any unit. */
interface Density {
  x: number;
  y: number;
}

/** Undefined if JFIF gives no real value: writers use no unit and 1 : 1 as a default. */
function jfifDensity(bytes: Uint8Array): Density | undefined {
  for (const { marker, data } of Walk.jpegSegments(bytes)) {
    if (marker !== Walk.marker.app0 && marker !== Walk.marker.app1) return undefined;
    if (marker !== Walk.marker.app0 || data.length < 12 || data[0] !== 0x4a) continue;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const density = { x: view.getUint16(8), y: view.getUint16(10) };
    return view.getUint8(7) === 0 && density.x === density.y ? undefined : known(density);
  }
  return undefined;
}

function pngDensity(bytes: Uint8Array): Density | undefined {
  for (const { name, data } of Walk.pngChunks(bytes)) {
    if (name === "IDAT") return undefined;
    if (name !== "pHYs" || data.length !== 9) continue;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    return known({ x: view.getUint32(0), y: view.getUint32(4) });
  }
  return undefined;
}

const tag = { xResolution: 282, yResolution: 283 } as const;
/** Entries that are searched for the resolution: real files have fewer, and a broken one may announce 65,535. */
const mostEntries = 512;

/**
 * XResolution and YResolution of a directory, by default the first, of a TIFF, BigTIFF or EXIF block (TIFF 6.0, section 2): two
 * rationals whose unit is shared. Undefined where one is missing, zero or outside of the bytes.
 */
function tiffDensity(bytes: Uint8Array, at?: number): Density | undefined {
  if (bytes.byteLength < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes[0] === 0x49;
  const big = view.getUint16(2, little) === 43;
  const offsetAt = (at: number) =>
    at + (big ? 8 : 4) > bytes.byteLength
      ? Number.POSITIVE_INFINITY
      : big
        ? Number(view.getBigUint64(at, little))
        : view.getUint32(at, little);
  const directory = at ?? offsetAt(big ? 8 : 4);
  if (!(directory + 8 <= bytes.byteLength)) return undefined;
  const count = big ? Number(view.getBigUint64(directory, little)) : view.getUint16(directory, little);
  const entryBytes = big ? 20 : 12;
  const found = new Map<number, number>();
  for (let n = 0; n < Math.min(count, mostEntries); n++) {
    const entry = directory + (big ? 8 : 2) + n * entryBytes;
    if (entry + entryBytes > bytes.byteLength) break;
    const id = view.getUint16(entry, little);
    // A rational takes 8 bytes: in a BigTIFF they stand in the entry itself.
    if ((id !== tag.xResolution && id !== tag.yResolution) || view.getUint16(entry + 2, little) !== 5)
      continue;
    const at = big ? entry + 12 : offsetAt(entry + 8);
    if (at + 8 > bytes.byteLength) continue;
    found.set(id, view.getUint32(at, little) / view.getUint32(at + 4, little));
  }
  const [x, y] = [found.get(tag.xResolution), found.get(tag.yResolution)];
  return x === undefined || y === undefined ? undefined : known({ x, y });
}

function known(density: Density): Density | undefined {
  const { x, y } = density;
  return Number.isFinite(x) && Number.isFinite(y) && x > 0 && y > 0 ? density : undefined;
}

/** EXIF is a TIFF, in JPEG and some other files behind the six bytes `Exif\0\0`. */
function withoutExifName(exif: Uint8Array): Uint8Array {
  return exif[0] === 0x45 && exif[1] === 0x78 ? exif.subarray(6) : exif;
}

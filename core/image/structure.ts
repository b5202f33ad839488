import { AppError, type Details } from "#core/error";
import * as Tiff from "#core/image/tiff";
import * as Walk from "#core/image/walk";
import { guards } from "#spec/guards";
import type { MimeType } from "#spec/pictures";

/*
 * Files of few pixels and few bytes that still keep a decoder busy, because its work grows with repeated parts. They
 * are recognized by their tables before a decoder reads them, and refused: no camera, scanner or program writes them.
 * Other slow files are stopped by the decoder's time limit (#core/document/decoder).
 */

const { jpegScans: mostScans, tiffDirectories: mostDirectories } = guards.picture;

/** @throws AppError `invalid_image`, `details.reason` `too_many_scans`, `too_many_pages`, `overlapping_strips`. */
export function check(bytes: Uint8Array, mimeType: MimeType): void {
  if (mimeType === "image/jpeg") checkScans(bytes);
  if (mimeType === "image/tiff") checkDirectories(bytes);
}

/** Sequential frames: SOF0, SOF1, and SOF9 of arithmetic coding. */
const sequential = [0xc0, 0xc1, 0xc9];

function checkScans(bytes: Uint8Array): void {
  let components = 0;
  let progressive = false;
  let scans = 0;
  for (const { marker, data } of Walk.jpegSegments(bytes)) {
    // Frames: SOF0 to SOF15 without DHT, JPG and DAC (ITU T.81, table B.1).
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      components = data[5] ?? 0;
      progressive = !sequential.includes(marker);
    }
    if (marker !== Walk.marker.sos) continue;
    scans += 1;
    // The scan has all components: a decoder stops after it, so its bytes need no check.
    if (!progressive && data[0] === components) return;
    if (scans > mostScans)
      throw refused("too_many_scans", `the picture has more than ${mostScans} scans: save it again as JPEG`, {
        limit_scans: mostScans,
      });
  }
}

/** The values are those of the TIFF 6.0 and BigTIFF specifications. */
const tag = { stripBytes: 279, tileBytes: 325 } as const;
const typeBytes: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 16: 8 };

/** Checks the chain of directories, and the strips or tiles of the first. */
function checkDirectories(bytes: Uint8Array): void {
  const tiff = Tiff.open(bytes);
  let directories = 0;
  try {
    for (const at of Tiff.directories(tiff)) {
      if (directories >= mostDirectories)
        throw refused(
          "too_many_pages",
          `the picture has more than ${mostDirectories} pages: send those that you need as a file of their own`,
          {
            limit_pages: mostDirectories,
          },
        );
      if (directories === 0) checkStrips(tiff, at);
      directories += 1;
    }
  } catch (thrown) {
    // A table points outside of the file; the decoder reports what is broken.
    if (!(thrown instanceof RangeError)) throw thrown;
  }
}

/**
 * Checks the strips or tiles of one page of a TIFF. "No data should be referenced from more than one place" (TIFF 6.0,
 * section 7, "No Duplicate Pointers"), so together they are no longer than the file.
 * @param directory - position of the page's directory.
 * @throws AppError `invalid_image`, `details.reason` `overlapping_strips`.
 */
export function checkPage(bytes: Uint8Array, directory: number): void {
  try {
    checkStrips(Tiff.open(bytes), directory);
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
  }
}

function checkStrips(tiff: Tiff.Tiff, directory: number): void {
  for (const field of Tiff.fields(tiff, directory))
    if (field.tag === tag.stripBytes || field.tag === tag.tileBytes) checkSum(tiff, field);
}

function checkSum(tiff: Tiff.Tiff, { type, count, value, valueBytes }: Tiff.Field): void {
  const { view, little } = tiff;
  const size = typeBytes[type];
  if (size === undefined) return;
  const start = count * size <= valueBytes ? value : Tiff.offsetAt(tiff, value);
  let sum = 0;
  for (let i = 0; i < count; i += 1) {
    const at = start + i * size;
    if (size === 1) sum += view.getUint8(at);
    else if (size === 2) sum += view.getUint16(at, little);
    else if (size === 4) sum += view.getUint32(at, little);
    else sum += Number(view.getBigUint64(at, little));
    if (sum > view.byteLength)
      throw refused("overlapping_strips", "the picture has parts that overlap in the file");
  }
}

function refused(
  reason: string,
  message: string,
  limits: Pick<Details, "limit_scans" | "limit_pages"> = {},
): AppError {
  return new AppError("invalid_image", message, { details: { reason, ...limits } });
}

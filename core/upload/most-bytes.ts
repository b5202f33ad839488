import * as Type from "#core/image/type";
import { sizes } from "#spec/limits";
import * as TooLarge from "./too-large.ts";

/* How large a picture or a PDF in the bucket may be: by what it is announced as, and by its bytes when it is read. */

/** @param mimeType - undefined for a file that is neither. */
const mostOf = (mimeType: string | undefined): number =>
  mimeType === "application/pdf" ? sizes.uploadPdfBytes : sizes.uploadImageBytes;

/**
 * The most bytes that may be announced. @param hint.mimeType - as declared; if it is not specific, the name decides.
 */
export function announced(hint: { mimeType: string; name: string | undefined }): number {
  const named = hint.mimeType === "application/octet-stream" && hint.name !== undefined;
  return mostOf(named ? Type.promisedBy(hint.name ?? "") : hint.mimeType);
}

/**
 * All bytes of a picture or PDF in the bucket. Whatever it was announced as, its own first bytes decide how many are read.
 * @throws AppError `image_too_large`; what `body` throws.
 */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  let most: number = sizes.uploadImageBytes;
  for await (const piece of body) {
    bytes += piece.length;
    pieces.push(piece);
    if (bytes > most) most = mostOf(Type.sniff(headOf(pieces)));
    if (bytes > most) throw TooLarge.stored(most);
  }
  return Buffer.concat(pieces);
}

/** A PDF's header may stand behind the first kilobyte. */
const headBytes = 2048;

function headOf(pieces: readonly Uint8Array[]): Uint8Array {
  const head: Uint8Array[] = [];
  for (let at = 0, bytes = 0; bytes < headBytes && at < pieces.length; at += 1) {
    const piece = pieces[at] as Uint8Array;
    head.push(piece.subarray(0, headBytes - bytes));
    bytes += piece.length;
  }
  return Buffer.concat(head);
}

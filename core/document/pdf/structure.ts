import type { PdfGuards } from "#spec/guards";
import { Objects } from "./objects.ts";
import { latin1 } from "./syntax.ts";
import { type Leaf, leaves } from "./tree.ts";

/*
 * Checks of a file's own structure before PDFium reads it: PDFium neither reports repairs nor limits declared sizes.
 */

export interface Structure {
  objects: Objects;
  /** Empty if the structure cannot be read, because it is encrypted or too damaged for this reader. */
  leaves: Leaf[];
  encrypted: boolean;
  /** True if the file had to be repaired; parts of it may be missing. */
  repaired: boolean;
}

/** Readers look for the header this far: some writers put bytes before it (ISO 32000-2, annex I). */
const headerWithin = 1024;

/** Where the file begins: at its header. Undefined for bytes without one. */
export function start(bytes: Uint8Array): number | undefined {
  const at = latin1(bytes.subarray(0, headerWithin + 4)).indexOf("%PDF");
  return at < 0 ? undefined : at;
}

/** @throws LimitFault. */
export function read(bytes: Uint8Array, from: number, limits: PdfGuards): Structure {
  const bounds = { objects: limits.objects, unfolded: limits.unfoldedBytes };
  let objects = new Objects(bytes.subarray(from), bounds);
  // Some writers count from the start of the file, although bytes stand before the header.
  if (objects.rebuilt && from > 0) {
    const whole = new Objects(bytes, bounds);
    if (!whole.rebuilt) objects = whole;
  }
  const pages = leaves(objects, limits);
  const hasVersion = /^%PDF-\d\.\d/.test(latin1(bytes.subarray(from, from + 8)));
  return {
    objects,
    leaves: pages,
    encrypted: objects.trailer.has("Encrypt"),
    repaired: objects.rebuilt || !hasVersion || isCutOff(objects.bytes),
  };
}

/** Objects after the last end mark are an update that was not written to its end; other bytes there are harmless. */
function isCutOff(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.lastIndexOf("%%EOF", undefined, "latin1");
  if (end < 0) return !/startxref\s+\d+\s*(?:%%E?O?)?\s*$/.test(latin1(bytes.subarray(-64)));
  return /(?:^|[\r\n])\d+ \d+ obj\b/.test(latin1(bytes.subarray(end)));
}

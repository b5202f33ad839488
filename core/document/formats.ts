import type { MimeType } from "#spec/pictures";
import type { Format } from "./format/format.ts";

const heif = async () => (await import("./heif/format.ts")).format;

/**
 * The modules of documents that sharp does not read, by media type (./format/format.ts says how to add one). Each is
 * loaded in the decoder's process when the first file of its kind comes: a JPEG loads none of them.
 */
export const formats: Partial<Record<MimeType, () => Promise<Format>>> = {
  "image/heic": heif,
  "image/heif": heif,
  "image/avif": heif,
  "application/pdf": async () => (await import("./pdf/pdf.ts")).format,
};

import type { Cut, Pixels } from "#core/image/cut";
import type { Encoded, Encoding, Header } from "#core/image/encode";
import type { Picture } from "#core/image/native";
import type { Look } from "#core/look/look";
import type { Text } from "./format/format.ts";

/** The facts about a page's picture from its header. */
export type Shape = Omit<Picture, "bytes" | "mimeType" | "index">;

/**
 * A file that the decoder's process holds open, with the operations for orders, whichever library decodes its pages.
 * `index` is the decoder's number of a page, from 0. Each may throw AppError `invalid_image`.
 */
export interface Reader {
  header(index: number): Promise<Header>;
  look(index: number, image: Shape): Promise<Look>;
  encode(index: number, image: Shape, options: Encoding): Promise<Encoded>;
  /** A part of the page as pixels. */
  cut(index: number, image: Shape, cut: Cut): Promise<Pixels>;
  /** As `Opened.text`; missing if the kind of document has no text layer. */
  text?(index: number): Text | undefined;
  /** As `Opened.attachments`. */
  attachments?(): readonly { bytes: Uint8Array }[];
  close(): void;
}

import { AppError, invalidRequest } from "#core/error";
import { documents } from "#spec/limits";
import type { Document } from "./document.ts";

/**
 * The pages of a document to read, from 1.
 * @param wanted - by the caller, in this order; undefined: all of them.
 * @param most - how many one extract reads here.
 * @throws AppError `invalid_request` for a page that the document does not have; `invalid_image` with `details.reason`
 *   `too_many_pages`, `pages` and `limit`.
 */
export function chosen(
  document: Pick<Document, "pages">,
  wanted: readonly number[] | undefined,
  most: number,
): number[] {
  const missing = wanted?.find((page) => page > document.pages);
  if (missing !== undefined) {
    const has = document.pages === 1 ? "has 1 page" : `has ${document.pages} pages`;
    throw invalidRequest([{ path: "pages", message: `page ${missing} does not exist: the document ${has}` }]);
  }
  const pages = wanted ?? Array.from({ length: document.pages }, (_, index) => index + 1);
  if (pages.length <= most) return [...pages];
  const more =
    most === documents.callPages
      ? `, or send it as a batch or with Prefer: respond-async, which read up to ${documents.queuedPages}`
      : "";
  const [what, cure] =
    wanted === undefined
      ? [`the document has ${pages.length} pages`, "choose some with pages, such as [1, 2]"]
      : [`pages names ${pages.length} pages`, "name fewer"];
  throw new AppError("invalid_image", `${what}, and at most ${most} are read here: ${cure}${more}`, {
    details: { reason: "too_many_pages", pages: pages.length, limit: most },
  });
}

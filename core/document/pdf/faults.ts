import { AppError, type Details } from "#core/error";
import type { PdfGuards } from "#spec/guards";

/* The errors of PDFs: each is `invalid_image` with a reason of its own. */

const texts = {
  pdf_broken: "the PDF is broken: open it in a viewer, and print or save it as a new PDF",
  pdf_encrypted: "the PDF has a password: send it as password, or save the PDF without one",
  pdf_wrong_password: "the password that was given does not open the PDF",
  pdf_encryption_not_read: "the PDF has an unsupported encryption: save it without encryption",
  pdf_too_many_pages: "the PDF declares more pages than are read",
  pdf_page_tree: "the PDF's tree of pages has a circle or is too deep: print it as a new PDF",
  pdf_too_many_objects: "the PDF has too many objects: print it as a new PDF",
  pdf_too_complex: "the PDF takes too much memory: print it as a new PDF, or send its pages as pictures",
  pdf_page_content: "a page of the PDF has too much to draw: send it as a picture",
  pdf_page_size: "a page of the PDF is too large: print it at its usual size",
  pdf_image_size: "a page of the PDF holds a picture of too many pixels: scale it down",
} as const;

type Reason = keyof typeof texts;

/** @param details - the limit, if there is one. */
export function fault(reason: Reason, details: Details = {}, cause?: unknown): AppError {
  return new AppError("invalid_image", texts[reason], { details: { reason, ...details }, cause });
}

/** The error of a limit by its reason. */
export function ofLimit(reason: string, limits: PdfGuards): AppError {
  if (reason === "pdf_too_many_pages") return fault(reason, { limit_pages: limits.pages });
  return fault(reason as Reason);
}

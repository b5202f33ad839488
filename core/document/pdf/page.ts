import { fault } from "./faults.ts";
import { numbers, type Pdfium } from "./pdfium.ts";

/* One page of a document in PDFium. All sizes are in points of PDFium, which does not know UserUnit. */

export interface Loaded {
  library: Pdfium;
  document: number;
  /** 0 if the document has no form. */
  form: number;
  page: number;
}

interface Box {
  left: number;
  bottom: number;
  right: number;
  top: number;
}

/** Kinds of objects on a page (fpdf_edit.h). */
export const kinds = { text: 1, path: 2, image: 3, shading: 4, form: 5 } as const;

/**
 * Runs `use` with the page loaded.
 * @param mediaBox - what is seen where the page's CropBox leaves nothing of it, as other viewers do.
 * @throws AppError `invalid_image` (`pdf_broken`) if PDFium cannot load it.
 */
export function withPage<T>(
  of: Omit<Loaded, "page">,
  { index, mediaBox }: { index: number; mediaBox: readonly [number, number, number, number] | undefined },
  use: (page: Loaded) => T,
): T {
  const { library, document, form } = of;
  let page = library.FPDF_LoadPage(document, index);
  if (page !== 0 && mediaBox !== undefined && isEmpty(sizeOf({ ...of, page }))) {
    library.FPDFPage_SetCropBox(page, ...mediaBox);
    library.FPDF_ClosePage(page);
    page = library.FPDF_LoadPage(document, index);
  }
  if (page === 0) throw fault("pdf_broken");
  if (form !== 0) library.FORM_OnAfterLoadPage(page, form);
  const result = use({ ...of, page });
  if (form !== 0) library.FORM_OnBeforeClosePage(page, form);
  library.FPDF_ClosePage(page);
  return result;
}

const isEmpty = ({ width, height }: { width: number; height: number }) => !(width > 0 && height > 0);

/** As seen: cropped, and turned by /Rotate. */
export function sizeOf({ library, page }: Loaded): { width: number; height: number } {
  return { width: library.FPDF_GetPageWidthF(page), height: library.FPDF_GetPageHeightF(page) };
}

/** The visible area of the page, before it is turned. */
export function visible({ library, page }: Loaded): Box | undefined {
  const found = numbers(
    library,
    "float",
    4,
    (a, b, c, d) => library.FPDF_GetPageBoundingBox(page, a as number) && b && c && d,
  );
  if (found === undefined) return undefined;
  // FS_RECTF: left, top, right, bottom.
  const [left = 0, top = 0, right = 0, bottom = 0] = found;
  return { left, bottom, right, top };
}

/** The objects of the page itself, not those inside of forms. */
export function objectsOf({ library, page }: Loaded, most: number): number[] {
  const count = Math.min(most, library.FPDFPage_CountObjects(page));
  return Array.from({ length: Math.max(0, count) }, (_, i) => library.FPDFPage_GetObject(page, i));
}

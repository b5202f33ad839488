/**
 * The code of PDFium, which is not in the bundles: infra/functions.ts and local/bundle/bundle.ts put it beside the
 * bundles of functions that read PDFs, and core/document/pdf finds it there. This module has no imports.
 */
export const pdfium = {
  /** Its name beside the bundle. */
  name: "pdfium.wasm",
  /** Where it comes from, as an import. */
  from: "@embedpdf/pdfium/pdfium.wasm",
  /** The same as a path below the checkout. */
  path: "node_modules/@embedpdf/pdfium/dist/pdfium.wasm",
} as const;

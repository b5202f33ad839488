import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { pdfium } from "#spec/pdfium";

/** Path of PDFium's .wasm: beside the bundle, where local/bundle and infra put it; in a checkout in its package. */
export function wasm(): string {
  const beside = fileURLToPath(new URL(pdfium.name, import.meta.url));
  return existsSync(beside) ? beside : createRequire(import.meta.url).resolve(pdfium.from);
}

import { readFile } from "node:fs/promises";
import type { WrappedPdfiumModule } from "@embedpdf/pdfium";
import { wasm } from "./wasm.ts";

/*
 * PDFium as WebAssembly: it can neither read files nor open connections, and its build has neither JavaScript nor XFA.
 * Each document gets an instance of its own, which takes some 10 ms: memory of one document cannot be seen by the next,
 * and an instance that failed is dropped.
 */

export type Pdfium = WrappedPdfiumModule;

/** The part of WebAssembly that is used; its types belong to the browser's, which this project does not load. */
interface Engine {
  compile(bytes: Uint8Array): Promise<object>;
  instantiate(module: object, imports: object): Promise<object>;
  RuntimeError: new () => Error;
}
const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;

let compiled: Promise<object> | undefined;

async function compile(): Promise<object> {
  return await engine.compile(await readFile(wasm()));
}

/**
 * A new instance.
 * @param heapBytes - its memory cannot grow beyond this: PDFium's allocations then fail.
 */
export async function instance(heapBytes: number): Promise<Pdfium> {
  compiled ??= compile();
  const [module, { init }] = await Promise.all([compiled, import("@embedpdf/pdfium")]);
  const failed = Promise.withResolvers<never>();
  const made = init({
    instantiateWasm(
      imports: { env: Record<string, (bytes: number) => unknown> },
      done: (instance: object) => void,
    ) {
      const { env } = imports;
      const grow = env.emscripten_resize_heap as (bytes: number) => unknown;
      env.emscripten_resize_heap = (bytes) => (bytes >>> 0 > heapBytes ? 0 : grow(bytes));
      engine.instantiate(module, imports).then(done, failed.reject);
      return {};
    },
    // Messages of PDFium may quote the document.
    print: () => undefined,
    printErr: () => undefined,
  } as unknown as Parameters<typeof init>[0]);
  const library = await Promise.race([made, failed.promise]);
  library.PDFiumExt_Init();
  return library;
}

/** The instance's memory, as bytes; a view is void after the next call, because the memory may grow. */
export const heap = (library: Pdfium): Uint8Array =>
  (library.pdfium as unknown as { HEAPU8: Uint8Array }).HEAPU8;

/** True if PDFium's memory is used up, or PDFium crashed: then the instance must be dropped. */
class PdfiumFault extends Error {}

/** PDFium failed at the document: no memory, a trap of its code, or an abort of its runtime. */
export function isFault(thrown: unknown): boolean {
  if (thrown instanceof PdfiumFault || thrown instanceof engine.RuntimeError) return true;
  return thrown instanceof Error && thrown.message.startsWith("Aborted(");
}

/** @throws PdfiumFault if there is no room. */
export function allocate(library: Pdfium, bytes: number): number {
  const at = library.pdfium.wasmExports.malloc(bytes) >>> 0;
  if (at === 0) throw new PdfiumFault("no memory");
  return at;
}

export function free(library: Pdfium, at: number): void {
  library.pdfium.wasmExports.free(at);
}

/** Runs `use` with memory that is given back afterwards. */
export function within<T>(library: Pdfium, bytes: number, use: (at: number) => T): T {
  const at = allocate(library, bytes);
  const result = use(at);
  free(library, at);
  return result;
}

/** Numbers that a call writes: `count` 32-bit floats or integers. */
export function numbers(
  library: Pdfium,
  kind: "float" | "int" | "double",
  count: number,
  call: (...at: number[]) => unknown,
): number[] | undefined {
  const size = kind === "double" ? 8 : 4;
  return within(library, size * count, (at) => {
    if (!call(...Array.from({ length: count }, (_, i) => at + size * i))) return undefined;
    const bytes = heap(library);
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, size * count);
    return Array.from({ length: count }, (_, i) => {
      if (kind === "double") return view.getFloat64(8 * i, true);
      return kind === "float" ? view.getFloat32(4 * i, true) : view.getInt32(4 * i, true);
    });
  });
}

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { refused } from "./boxes.ts";
import type { Samples } from "./tiff.ts";

/*
 * HEVC pictures, which sharp's own libheif does not decode (its build has AV1 only), by libheif and libde265 in
 * WebAssembly. The library is LGPL-3.0: it stays a package of its own beside the bundle, which an operator may exchange
 * for another build, and only its C functions are called. Source of names, numbers and structures: libheif's heif.h,
 * heif_decoding.h, heif_security.h.
 */

/** The C functions that are used. A function that returns a structure writes it to its first argument. */
interface Library {
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _heif_context_alloc(): number;
  _heif_context_get_security_limits(context: number): number;
  _heif_context_read_from_memory_without_copy(
    ...args: [error: number, context: number, at: number, bytes: number, options: number]
  ): void;
  _heif_context_get_primary_image_handle(error: number, context: number, result: number): void;
  _heif_image_handle_has_alpha_channel(handle: number): number;
  _heif_image_handle_is_premultiplied_alpha(handle: number): number;
  _heif_decoding_options_alloc(): number;
  _heif_decode_image(
    ...args: [error: number, handle: number, result: number, color: number, chroma: number, options: number]
  ): void;
  _heif_image_get_width(image: number, channel: number): number;
  _heif_image_get_height(image: number, channel: number): number;
  _heif_image_get_plane(image: number, channel: number, stride: number): number;
}

/** The part of WebAssembly's own interface that is used; Node's types do not have it. */
interface Wasm {
  compile(bytes: Uint8Array): Promise<object>;
  Instance: new (module: object, imports: object) => { exports: object };
}
const wasm = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly;

type Make = (options: {
  instantiateWasm(imports: object, done: (instance: object) => void): object;
  print(): void;
  printErr(): void;
}) => Library;

const rgbColor = 1;
const chroma = { rgb: 10, rgba: 11 } as const;
const interleaved = 10;
/** Offsets in `heif_decoding_options` and `heif_security_limits`, of 32-bit pointers. */
const option = { ignoreTransformations: 1, to8Bits: 20, strict: 21 } as const;
const limit = { imagePixels: 8, tiles: 16, items: 28, totalMemory: 64 } as const;

/** The most memory of the WebAssembly heap. */
const mostMemoryBytes = 900 * 1024 * 1024;

let loading: Promise<{ make: Make; module: object }> | undefined;

/** The package's file for Node, and its program, compiled once. */
function load() {
  loading ??= (async () => {
    const file = fileURLToPath(import.meta.resolve("libheif-js/libheif-wasm/libheif.wasm"));
    const [made, bytes] = await Promise.all([import("libheif-js/libheif-wasm/libheif.js"), readFile(file)]);
    return { make: made.default as unknown as Make, module: await wasm.compile(bytes) };
  })();
  return loading;
}

/** Each picture gets its own instance, so that its memory is released and nothing of an earlier picture is left. */
async function instance(): Promise<Library> {
  const { make, module } = await load();
  return make({
    // The package's build starts immediately, and reads the exports from the result.
    instantiateWasm: (imports, done) => {
      const made = new wasm.Instance(module, imports);
      done(made);
      return made.exports;
    },
    print: () => undefined,
    printErr: () => undefined,
  });
}

/**
 * The primary picture, cropped, turned and mirrored by its own properties; 8 bits a sample, in its own color space.
 * @throws AppError `invalid_image`, `damaged`.
 */
export async function decode(bytes: Uint8Array, bounds: { items: number; pixels: number }): Promise<Samples> {
  const library = await instance();
  try {
    return decodeWith(library, bytes, bounds);
  } catch (cause) {
    // An error of the library, or of the WebAssembly machine: out of memory, a trap.
    throw refused("damaged", "the picture is damaged or cut off", {}, cause);
  }
}

function decodeWith(library: Library, bytes: Uint8Array, bounds: { items: number; pixels: number }): Samples {
  const view = () => new DataView(library.HEAPU8.buffer);
  const error = library._malloc(12);
  const result = library._malloc(4);
  const checked = (step: string) => {
    const [code, more] = [view().getInt32(error, true), view().getInt32(error + 4, true)];
    if (code !== 0) throw new Error(`libheif: ${step}, error ${code}.${more}`);
    return view().getUint32(result, true);
  };
  const context = library._heif_context_alloc();
  const limits = library._heif_context_get_security_limits(context);
  const set = (at: number, value: number) => view().setBigUint64(limits + at, BigInt(value), true);
  set(limit.imagePixels, bounds.pixels);
  set(limit.tiles, bounds.items);
  set(limit.totalMemory, mostMemoryBytes);
  view().setUint32(limits + limit.items, bounds.items, true);
  const at = library._malloc(bytes.byteLength);
  library.HEAPU8.set(bytes, at);
  library._heif_context_read_from_memory_without_copy(error, context, at, bytes.byteLength, 0);
  checked("tables");
  library._heif_context_get_primary_image_handle(error, context, result);
  const handle = checked("primary item");
  const options = library._heif_decoding_options_alloc();
  view().setUint8(options + option.ignoreTransformations, 0);
  view().setUint8(options + option.to8Bits, 1);
  view().setUint8(options + option.strict, 1);
  const alpha = library._heif_image_handle_has_alpha_channel(handle) !== 0;
  const form = alpha ? chroma.rgba : chroma.rgb;
  library._heif_decode_image(error, handle, result, rgbColor, form, options);
  const image = checked("pixels");
  const plane = library._heif_image_get_plane(image, interleaved, result);
  const stride = view().getUint32(result, true);
  const [width, height] = [
    library._heif_image_get_width(image, interleaved),
    library._heif_image_get_height(image, interleaved),
  ];
  return {
    width,
    height,
    channels: alpha ? 4 : 3,
    premultiplied: library._heif_image_handle_is_premultiplied_alpha(handle) !== 0,
    stride,
    data: library.HEAPU8.subarray(plane, plane + stride * height),
  };
}

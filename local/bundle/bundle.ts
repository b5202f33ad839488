/**
 * Bundles the functions the way SST does for nodejs24.x, so that what runs on a laptop is what is deployed:
 * a module that only works unbundled fails here, not on Lambda. Options: SST 4.17's node builder.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build, type Metafile, stop } from "esbuild";
import { packageRoot } from "#local/home/home";
import * as Lock from "#local/home/lock";
import { folder } from "#spec/docs-page";
import { pdfium } from "#spec/pdfium";
import * as Known from "./known.ts";

interface BundledFunction {
  /** Absolute path of the ESM bundle. */
  readonly file: string;
  readonly exportName: string;
  /** Every file of it: its own and the parts, absolute. */
  readonly files: readonly string[];
  /** What a cold start loads, without the parts that an `import()` loads later. */
  readonly bytes: number;
}

export interface Bundle {
  /** One folder for the bundles, below the package so that the packages that are not bundled resolve. */
  readonly dir: string;
  /** Name of the function → its bundle. Functions of one handler file share a bundle, and parts of equal content are one file. */
  readonly functions: Readonly<Record<string, BundledFunction>>;
  /** The program that an instance runs: it loads a bundle and answers invocations. */
  readonly runtimeFile: string;
  /** Ends the claim on the folder; a later sweep may remove it. */
  release(): void;
}

/** A handler that is missing or does not bundle. The message names file and line, one error a line. */
export class BundleError extends Error {
  override readonly name = "BundleError";
}

interface BundleOptions {
  /** Name of the function → handler as SST writes it, "functions/api/system.handler", relative to `root`. */
  readonly handlers: Readonly<Record<string, string>>;
  readonly root?: string;
  /**
   * As deployed, byte for byte: minified, and each function on its own. Otherwise all at once, which takes half the
   * time.
   */
  readonly minify?: boolean;
  /** Writes the files of `/docs` (local/pages) beside the bundles, into the folder that the function reads. */
  readonly pages?: boolean;
}

const runtimeSource = join(import.meta.dirname, "..", "lambda", "runtime.ts");
const runtimeName = "runtime.mjs";

// The banner gives bundled CommonJS what ESM lacks.
const banner = [
  'import { createRequire as __bundleRequire } from "node:module";',
  'import { fileURLToPath as __bundlePath } from "node:url";',
  "const require = __bundleRequire(import.meta.url);",
  "const __filename = __bundlePath(import.meta.url);",
  'const __dirname = __bundlePath(new URL(".", import.meta.url));',
].join(" ");

/**
 * How often esbuild, which is written in Go, collects its garbage: when the memory in use has grown fivefold, not
 * twofold. It takes a fifth less of the processors' time.
 */
const seldom = "400";
const turnMs = 50;
const touchEveryMs = 10 * 60_000;
/** Every start after a change of code leaves a folder of 30 MB. */
const unusedMs = 3_600_000;
const draftMs = 3_600_000;

/**
 * Bundles each distinct handler file into a folder named by its content: loops that run side by side share it,
 * a restart without changes writes nothing. A folder appears whole or not at all; folders that no loop has used
 * for an hour are removed. Throws BundleError.
 */
export async function bundle(options: BundleOptions): Promise<Bundle> {
  const root = options.root ?? packageRoot;
  const handlers = new Map(
    Object.entries(options.handlers).map(([name, handler]) => [name, split(root, handler)]),
  );
  const sources = [...new Set([...handlers.values()].map(({ source }) => source))].sort();
  const missing = (
    await Promise.all(sources.map(async (source) => ((await isFile(source)) ? [] : [source])))
  ).flat();
  if (missing.length > 0) {
    throw new BundleError(
      missing.map((source) => `handler file ${relative(root, source)} does not exist`).join("\n"),
    );
  }
  const cache = join(packageRoot, "node_modules", ".cache", "ocrlty");
  const minify = options.minify ?? false;
  const pages = options.pages ?? false;
  const record = join(
    cache,
    `known-${await Known.key([root, String(minify), String(pages), ...sources])}.json`,
  );
  const { dir, functions } = await obtain(cache, record, { root, sources, minify, pages });
  await sweep(cache, [dir, record]);
  const touch = setInterval(() => void inUse(dir), touchEveryMs);
  touch.unref();
  return {
    dir,
    functions: Object.fromEntries(
      [...handlers].map(([name, { source, exportName }]) => {
        const output = `${outputName(root, source)}.mjs`;
        const { files, bytes } = functions[output] ?? { files: [], bytes: 0 };
        const paths = files.map((file) => join(dir, file));
        return [name, { file: join(dir, output), exportName, files: paths, bytes }];
      }),
    ),
    runtimeFile: join(dir, runtimeName),
    release: () => clearInterval(touch),
  };
}

interface Built extends Pick<Known.Built, "functions"> {
  readonly dir: string;
}

/**
 * Bundling takes two processors and half a gigabyte for seconds. Loops that start together (tests) take turns, and the
 * second one finds the work done.
 */
async function obtain(cache: string, record: string, what: Sources): Promise<Built> {
  for (;;) {
    const reused = await reuse(cache, record);
    if (reused !== undefined) return reused;
    const lock = turn();
    if (lock === undefined) {
      await sleep(turnMs);
      continue;
    }
    try {
      return (await reuse(cache, record)) ?? (await make(cache, record, what));
    } finally {
      lock.release();
    }
  }
}

function turn(): Lock.Lock | undefined {
  try {
    return Lock.acquire(join(packageRoot, "node_modules", ".cache", "ocrlty-bundling"));
  } catch (error) {
    if (error instanceof Lock.HeldError) return undefined;
    throw error;
  }
}

/** The bundles of an earlier run, if nothing has changed since. */
async function reuse(cache: string, record: string): Promise<Built | undefined> {
  const known = await Known.read(record);
  if (known === undefined) return undefined;
  const dir = join(cache, known.folder);
  const whole = await Promise.all(
    Object.entries(known.bytes).map(([name, bytes]) => hasSize(join(dir, name), bytes)),
  );
  if (whole.includes(false)) return undefined;
  return (await inUse(dir)) && (await inUse(record)) ? { dir, functions: known.functions } : undefined;
}

async function make(cache: string, record: string, what: Sources): Promise<Built> {
  const begin = Date.now();
  const [compiled, pages] = await Promise.all([compile(what), what.pages ? pagesOf() : undefined]);
  const beside = [pages, await besideOf(compiled.inputs)];
  const { functions } = compiled;
  const outputs = [...compiled.outputs, ...beside.flatMap((part) => part?.outputs ?? [])];
  const inputs = [...compiled.inputs, ...beside.flatMap((part) => part?.inputs ?? [])];
  const hash = createHash("sha256");
  for (const { name, contents } of outputs) hash.update(`${name}\0${contents.byteLength}\0`).update(contents);
  const folder = hash.digest("hex").slice(0, 20);
  await place(cache, join(cache, folder), outputs);
  const bytes = Object.fromEntries(outputs.map(({ name, contents }) => [name, contents.byteLength]));
  await Known.write(record, { folder, bytes, functions }, inputs, begin);
  return { dir: join(cache, folder), functions };
}

/** Loaded on demand: it loads a renderer, which a start without changes does not need. */
async function pagesOf(): Promise<Pick<Compiled, "outputs" | "inputs">> {
  const { files, inputs } = await (await import("#local/pages/build")).build();
  return { outputs: [...files].map(([name, contents]) => ({ name: `${folder}/${name}`, contents })), inputs };
}

/** The decoder of PDFs, for bundles that load it from beside them. */
async function besideOf(
  compiled: readonly string[],
): Promise<Pick<Compiled, "outputs" | "inputs"> | undefined> {
  if (!compiled.includes(join(packageRoot, "core", "document", "pdf", "wasm.ts"))) return undefined;
  const path = join(packageRoot, pdfium.path);
  return { outputs: [{ name: pdfium.name, contents: await fs.readFile(path) }], inputs: [path] };
}

/** "functions/api/system.handler" → the source file and the export's name. */
function split(root: string, handler: string): { source: string; exportName: string } {
  const dot = handler.lastIndexOf(".");
  if (dot <= handler.search(/[^/\\]*$/)) throw new BundleError(`handler "${handler}" names no export`);
  return { source: join(root, `${handler.slice(0, dot)}.ts`), exportName: handler.slice(dot + 1) };
}

/** functions/api/system.ts → functions-api-system: flat, and stable whatever else is bundled. */
function outputName(root: string, source: string): string {
  return relative(root, source)
    .replace(/\.ts$/, "")
    .replace(/[^A-Za-z0-9_-]+/g, "-");
}

interface Output {
  /** Path below the folder, `/` between its parts. */
  readonly name: string;
  readonly contents: Uint8Array;
}

interface Sources {
  readonly root: string;
  readonly sources: readonly string[];
  readonly minify: boolean;
  readonly pages: boolean;
}

interface Compiled extends Pick<Known.Built, "functions"> {
  readonly outputs: readonly Output[];
  readonly inputs: readonly string[];
}

async function compile({ root, sources, minify }: Omit<Sources, "pages">): Promise<Compiled> {
  const entries = sources.map((source) => ({ in: source, out: outputName(root, source) }));
  const runtime = { in: runtimeSource, out: runtimeName.replace(/\.mjs$/, "") };
  const groups = [...(minify ? entries.map((entry) => [entry]) : [entries]), [runtime]];
  const outputs = new Map<string, Output>();
  const inputs = new Set<string>();
  const functions: Record<string, Known.Parts> = {};
  const collects = process.env.GOGC;
  try {
    process.env.GOGC = seldom;
    for (const entryPoints of groups) {
      const result = await build({
        entryPoints,
        outdir: root,
        absWorkingDir: root,
        write: false,
        bundle: true,
        // What an `import()` loads is a separate file, which a cold start does not load.
        splitting: true,
        minify,
        format: "esm",
        platform: "node",
        target: "es2024",
        keepNames: true,
        sourcemap: "linked",
        mainFields: ["module", "main"],
        external: ["sharp", "libheif-js", "pg-native"],
        outExtension: { ".js": ".mjs" },
        banner: { js: banner },
        loader: { ".sql": "text", ".md": "text", ".txt": "text", ".html": "text" },
        metafile: true,
        logLevel: "silent",
      });
      // Parts are named by their content: those of the same name are the same.
      for (const { path, contents } of result.outputFiles)
        outputs.set(basename(path), { name: basename(path), contents });
      for (const path of Object.keys(result.metafile.inputs)) inputs.add(resolve(root, path));
      for (const { out } of entryPoints)
        functions[`${out}.mjs`] = partsOf(`${out}.mjs`, result.metafile.outputs);
    }
    return {
      outputs: [...outputs.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      inputs: [...inputs],
      functions,
    };
  } catch (error) {
    throw new BundleError(reasons(error), { cause: error });
  } finally {
    if (collects === undefined) delete process.env.GOGC;
    else process.env.GOGC = collects;
    // Otherwise esbuild's process stays, with half a gigabyte. No other bundling uses it, because they take turns.
    await stop();
  }
}

/** The files that an entry may load, and the size of those that it loads at start. */
function partsOf(entry: string, outputs: Metafile["outputs"]): Known.Parts {
  const reach = (kinds: readonly string[]) => {
    const found = new Set([entry]);
    for (const file of found)
      for (const { path, kind, external } of outputs[file]?.imports ?? [])
        if (external !== true && kinds.includes(kind)) found.add(path);
    return [...found];
  };
  const atOnce = reach(["import-statement"]);
  return {
    files: reach(["import-statement", "dynamic-import"]),
    bytes: atOnce.reduce((sum, file) => sum + (outputs[file]?.bytes ?? 0), 0),
  };
}

function reasons(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!("errors" in error) || !Array.isArray(error.errors)) return error.message;
  return error.errors
    .map(({ text, location }: { text: string; location: { file: string; line: number } | null }) =>
      location === null ? text : `${location.file}:${location.line}: ${text}`,
    )
    .join("\n");
}

async function place(cache: string, dir: string, outputs: readonly Output[]): Promise<void> {
  if (await inUse(dir)) return complete(dir, outputs);
  const draft = join(cache, `draft-${process.pid}-${randomBytes(6).toString("hex")}`);
  await fs.mkdir(draft, { recursive: true });
  try {
    for (const below of new Set(outputs.map(({ name }) => dirname(name))))
      await fs.mkdir(join(draft, below), { recursive: true });
    await Promise.all(outputs.map(({ name, contents }) => fs.writeFile(join(draft, name), contents)));
    await fs.rename(draft, dir);
  } catch (error) {
    await fs.rm(draft, { recursive: true, force: true });
    // Another loop was first; the name shows that the content is the same.
    if (!(await inUse(dir))) throw error;
  }
}

/** Restores files that were removed from a folder; running instances may have the other files open. */
async function complete(dir: string, outputs: readonly Output[]): Promise<void> {
  for (const { name, contents } of outputs) {
    if (await hasSize(join(dir, name), contents.byteLength)) continue;
    const draft = join(dir, `${name}.${randomBytes(6).toString("hex")}.tmp`);
    await fs.mkdir(dirname(draft), { recursive: true });
    await fs.writeFile(draft, contents);
    await fs.rename(draft, join(dir, name));
  }
}

async function hasSize(path: string, bytes: number): Promise<boolean> {
  return fs.stat(path).then(
    ({ size }) => size === bytes,
    () => false,
  );
}

/** Marks a folder or record as in use; false if it does not exist. */
async function inUse(path: string): Promise<boolean> {
  const date = new Date();
  return fs.utimes(path, date, date).then(
    () => true,
    () => false,
  );
}

async function sweep(cache: string, keep: readonly string[]): Promise<void> {
  for (const name of await fs.readdir(cache)) {
    const path = join(cache, name);
    if (keep.includes(path)) continue;
    const age =
      Date.now() -
      (await fs.stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => Number.POSITIVE_INFINITY,
      ));
    // A parallel sweep may have been faster, and Windows keeps files that are open: both are no reason to stop.
    if (age > (name.startsWith("draft-") ? draftMs : unusedMs) && Number.isFinite(age)) {
      await fs.rm(path, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

async function isFile(path: string): Promise<boolean> {
  return fs.stat(path).then(
    (stat) => stat.isFile(),
    () => false,
  );
}

/**
 * Bundles the functions the way SST does for nodejs24.x, so that what runs on a laptop is what is deployed:
 * a module that only works unbundled fails here, not on Lambda. Options: SST 4.17's node builder.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { build } from "esbuild";
import { packageRoot } from "#local/home";

export interface BundledFunction {
  /** Absolute path of the ESM bundle. */
  readonly file: string;
  readonly exportName: string;
  readonly bytes: number;
}

export interface Bundle {
  /** One folder for the bundles, below the package so that the external `sharp` resolves. */
  readonly dir: string;
  /** Name of the function → its bundle. Functions of one handler file share a bundle. */
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

export interface BundleOptions {
  /** Name of the function → handler as SST writes it, "functions/api/system.handler", relative to `root`. */
  readonly handlers: Readonly<Record<string, string>>;
  readonly root?: string;
  readonly minify?: boolean;
}

const runtimeSource = join(import.meta.dirname, "lambda", "runtime.ts");
const runtimeName = "runtime.mjs";

// The banner gives bundled CommonJS what ESM lacks.
const banner = [
  'import { createRequire as __bundleRequire } from "node:module";',
  'import { fileURLToPath as __bundlePath } from "node:url";',
  "const require = __bundleRequire(import.meta.url);",
  "const __filename = __bundlePath(import.meta.url);",
  'const __dirname = __bundlePath(new URL(".", import.meta.url));',
].join(" ");

const touchEveryMs = 3_600_000;
const unusedMs = 24 * 3_600_000;
const draftMs = 3_600_000;

/**
 * Bundles each distinct handler file into a folder named by its content: loops that run side by side share it,
 * a restart without changes writes nothing. A folder appears whole or not at all; folders that no loop has used
 * for a day are removed. Throws BundleError.
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
  const outputs = await compile(root, sources, options.minify ?? false);
  const hash = createHash("sha256");
  for (const { name, contents } of outputs) hash.update(`${name}\0${contents.byteLength}\0`).update(contents);
  const cache = join(packageRoot, "node_modules", ".cache", "ocrlty");
  const dir = join(cache, hash.digest("hex").slice(0, 20));
  await place(cache, dir, outputs);
  await sweep(cache, dir);
  const touch = setInterval(() => void now(dir), touchEveryMs);
  touch.unref();
  const size = new Map(outputs.map(({ name, contents }) => [name, contents.byteLength]));
  return {
    dir,
    functions: Object.fromEntries(
      [...handlers].map(([name, { source, exportName }]) => {
        const output = `${outputName(root, source)}.mjs`;
        return [name, { file: join(dir, output), exportName, bytes: size.get(output) ?? 0 }];
      }),
    ),
    runtimeFile: join(dir, runtimeName),
    release: () => clearInterval(touch),
  };
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
  readonly name: string;
  readonly contents: Uint8Array;
}

async function compile(root: string, sources: readonly string[], minify: boolean): Promise<Output[]> {
  const entries = sources.map((source) => ({ in: source, out: outputName(root, source) }));
  try {
    const result = await build({
      entryPoints: [...entries, { in: runtimeSource, out: runtimeName.replace(/\.mjs$/, "") }],
      outdir: root,
      absWorkingDir: root,
      write: false,
      bundle: true,
      minify,
      format: "esm",
      platform: "node",
      target: "es2024",
      keepNames: true,
      sourcemap: "linked",
      mainFields: ["module", "main"],
      external: ["sharp", "pg-native"],
      outExtension: { ".js": ".mjs" },
      banner: { js: banner },
      loader: { ".sql": "text", ".md": "text", ".txt": "text", ".html": "text" },
      logLevel: "silent",
    });
    return result.outputFiles
      .map(({ path, contents }) => ({ name: basename(path), contents }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw new BundleError(reasons(error), { cause: error });
  }
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
  if (await now(dir)) return;
  const draft = join(cache, `draft-${process.pid}-${randomBytes(6).toString("hex")}`);
  await fs.mkdir(draft, { recursive: true });
  try {
    await Promise.all(outputs.map(({ name, contents }) => fs.writeFile(join(draft, name), contents)));
    await fs.rename(draft, dir);
  } catch (error) {
    await fs.rm(draft, { recursive: true, force: true });
    // Another loop was first; the content is the same by its name.
    if (!(await now(dir))) throw error;
  }
}

/** Marks the folder as in use; false when it is not there. */
async function now(dir: string): Promise<boolean> {
  const date = new Date();
  return fs.utimes(dir, date, date).then(
    () => true,
    () => false,
  );
}

async function sweep(cache: string, keep: string): Promise<void> {
  for (const name of await fs.readdir(cache)) {
    const path = join(cache, name);
    if (path === keep || dirname(path) !== cache) continue;
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

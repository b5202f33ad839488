/** The repository as files: what is tracked, what each source file contains, and which file an import resolves to. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join, posix } from "node:path";
import * as Parse from "./parse.ts";

export interface Source extends Parse.Shape {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  /** Its folder, "." at the top. */
  readonly room: string;
  readonly kind: "product" | "test" | "generated";
  readonly text: string;
  readonly lines: number;
  /** The imports that lead to a file of this tree. */
  readonly arrows: readonly Arrow[];
}

interface Arrow extends Parse.ImportShape {
  readonly target: string;
}

export interface Tree {
  /** Every tracked file, source or not. */
  readonly paths: readonly string[];
  readonly sources: readonly Source[];
  /** Tracked pages of text by their path. */
  readonly pages: ReadonlyMap<string, string>;
}

/** One place in a file that a measure reports. */
export interface Offender {
  readonly path: string;
  readonly line?: number;
  readonly what: string;
}

/** Generated files: only their generator can make them shorter. */
const generated = /(?:^|\/)migrations\/|^sst-env\.d\.ts$|^package-lock\.json$|^docs\/openapi\.json$/;
/** The first line of a generated file. */
const written = /^\/\/ Written by `npm run /;

const tests = /^test\/|\.test\.ts$|-for-tests\.ts$|(?:^|\/)(?:testing|fixtures)\/|^vitest\.config\.ts$/;

function kindOf(path: string, text: string): Source["kind"] {
  if (generated.test(path) || written.test(text)) return "generated";
  return tests.test(path) ? "test" : "product";
}

/** Whether Git can list the tracked files; in an unpacked archive it cannot. */
export const isCheckout = (root: string) => fs.existsSync(join(root, ".git"));

/** The files of the work tree that Git tracks, and new files that it does not ignore. */
export function tracked(root: string): string[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 });
  return listed
    .split("\0")
    .filter((path) => path !== "" && fs.existsSync(join(root, path)))
    .toSorted();
}

/**
 * Reads the tree below `root`.
 * @param paths - the tracked files, below `root`, with forward slashes.
 */
export function read(root: string, paths: readonly string[]): Tree {
  const text = (path: string) => fs.readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n");
  const code = paths.filter((path) => /\.(?:ts|mjs|js)$/.test(path));
  const texts = new Map(code.map((path) => [path, text(path)] as const));
  const shapes = Parse.parse(root, texts);
  const resolve = resolver(root, new Set(paths));
  const sources = [...shapes].map(([path, shape]): Source => {
    const content = texts.get(path) ?? "";
    return {
      ...shape,
      path,
      room: posix.dirname(path),
      kind: kindOf(path, content),
      text: content,
      lines: content.split("\n").length - (content.endsWith("\n") ? 1 : 0),
      arrows: shape.imports.flatMap((one) => {
        const target = resolve(path, one.specifier);
        return target === undefined ? [] : [{ ...one, target }];
      }),
    };
  });
  const pages = paths.filter((path) => path.endsWith(".md")).map((path) => [path, text(path)] as const);
  return { paths, sources, pages: new Map(pages) };
}

/** The tracked file that a specifier resolves to: relative, or through `imports` of package.json. */
function resolver(root: string, known: ReadonlySet<string>) {
  const file = join(root, "package.json");
  const { imports = {} } = (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {}) as {
    imports?: Record<string, string>;
  };
  const rules = Object.entries(imports).map(([from, to]) => ({
    head: from.slice(0, from.indexOf("*")),
    to: posix.normalize(to),
  }));
  return (path: string, specifier: string): string | undefined => {
    const rule = rules.find(({ head }) => specifier.startsWith(head));
    const target = specifier.startsWith(".")
      ? posix.join(posix.dirname(path), specifier)
      : rule?.to.replace("*", specifier.slice(rule.head.length));
    return target !== undefined && known.has(target) ? target : undefined;
  };
}

/** The noun of a path: its folder under `core/`, with all folders below it. */
export const nounOf = (path: string) => path.split("/").slice(0, 2).join("/");

/**
 * Misleading names: aliases that differ from the file's name, a file beside a folder of the same name, and references
 * to files that do not exist.
 */
import { posix } from "node:path";
import type { Offender, Tree } from "./tree.ts";

/** Plans that were never part of the repository. */
const missingPlans = /\b(?:DESIGN|API|STYLE|VLLM|HOUSE|PROBES)\.md\b/g;

/**
 * `import * as QueueServer` of `queue/server.ts`: the file's name, with the folder's before it if two files have the
 * same name.
 */
export function otherAliases(tree: Tree): Offender[] {
  return tree.sources.flatMap(({ path, arrows }) =>
    arrows
      .filter(({ alias, target }) => alias !== undefined && !isNamedBy(alias, target))
      .map(({ alias, target, line }) => ({ path, line, what: `${target} as ${alias}` })),
  );
}

function isNamedBy(alias: string, target: string): boolean {
  const [file = "", folder = ""] = target.split("/").toReversed();
  const plain = (name: string) =>
    name
      .replace(/\.(?:sql\.)?(?:ts|mjs|js)$/, "")
      .replace(/-for-tests$/, "")
      .replaceAll("-", "")
      .toLowerCase();
  const name = alias.toLowerCase();
  return /^[A-Z]/.test(alias) && (name === plain(file) || name === plain(folder) + plain(file));
}

export function filesBesideFolders(tree: Tree): Offender[] {
  const folders = new Set(tree.sources.map(({ room }) => room));
  return tree.sources
    .filter(({ path }) => folders.has(path.replace(/(?:\.test)?\.(?:ts|mjs|js)$/, "")))
    .map(({ path }) => ({ path, what: "stands beside a folder of the same name" }));
}

// --- references --------------------------------------------------------------------------------------------------

/** A path with a folder, or a name with the extension of tracked files. */
const file =
  /(?<![\w/.:@$*{<~-])(?:\.{0,2}\/)?(?:[\w.-]+\/)*[\w-][\w.-]*\.(?:md|ts|mjs|yml|sql|css|sh)\b(?![\w*/{(<]|\.\w)/g;
/** A folder of the repository, with or without its last slash. */
const folder =
  /(?<![\w/.:@$*{<~#-])(?:spec|infra|core|functions|local|cli|scripts|test|bench|packages)(?:\/[\w-]+)+\/?(?![\w*{<]|[.-]\w)/g;
/** In pages a bare name may be the reader's file. In comments it is one of ours, except for these. */
const ours = /^(?:spec|infra|core|functions|local|cli|scripts|test|bench|packages|docs)\/|\.md$/;
const others =
  /^runtime\.mjs$|(?:^|\/)(?:\.sst|node_modules)\/|(?:^|\/)[A-Z]+\.(?:ts|mjs|sql)$|docs\/NAME\.md$/;

/** References in comments, pages and texts to files and folders that are not in the repository. */
export function deadReferences(tree: Tree): Offender[] {
  const known = places(tree.paths);
  const inCode = tree.sources.flatMap((source) => [
    ...source.comments.flatMap((comment) => dead(known, source.path, comment)),
    ...source.literals.flatMap(({ text, line }) =>
      [...text.matchAll(missingPlans)].map(([name]) => ({ path: source.path, line, what: name })),
    ),
  ]);
  const inPages = [...tree.pages].flatMap(([page, text]) =>
    // The changelog may name files that were removed.
    page === "CHANGELOG.md"
      ? []
      : text
          .split("\n")
          .flatMap((line, i) => dead(known, page, { text: line, line: i + 1 }))
          .filter(({ what }) => ours.test(what.replace(/^(?:\.\.?\/)+/, ""))),
  );
  return [...inCode, ...inPages];
}

interface Places {
  readonly files: ReadonlySet<string>;
  readonly folders: ReadonlySet<string>;
  /** The last parts of every path: `server.ts`, `queue/server.ts`, `local/queue/server.ts`. */
  readonly ends: ReadonlySet<string>;
}

function places(paths: readonly string[]): Places {
  const folders = new Set<string>();
  const ends = new Set<string>();
  for (const one of paths) {
    const parts = one.split("/");
    for (let i = 1; i < parts.length; i += 1) folders.add(parts.slice(0, i).join("/"));
    for (let i = 0; i < parts.length; i += 1) ends.add(parts.slice(i).join("/"));
  }
  return { files: new Set(paths), folders, ends };
}

function dead(known: Places, from: string, { text, line }: { text: string; line: number }): Offender[] {
  return [
    ...[...text.matchAll(file)].map((match) => ({ name: match[0], at: match.index, isFile: true })),
    ...[...text.matchAll(folder)].map((match) => ({ name: match[0], at: match.index, isFile: false })),
  ]
    .filter(({ name }) => !others.test(name))
    .filter(({ name, isFile }) => (isFile ? !isFileThere(known, from, name) : !isFolderThere(known, name)))
    .map(({ name, at }) => ({
      path: from,
      line: line + text.slice(0, at).split("\n").length - 1,
      what: name,
    }));
}

function isFileThere({ files, ends }: Places, from: string, name: string): boolean {
  const beside = posix.join(posix.dirname(from), name);
  return (
    files.has(beside) || files.has(posix.normalize(name)) || ends.has(name.replace(/^(?:\.{0,2}\/)+/, ""))
  );
}

/** The name may also be a file's without its extension. */
function isFolderThere({ files, folders }: Places, name: string): boolean {
  const bare = name.replace(/\/$/, "");
  return folders.has(bare) || files.has(bare) || files.has(`${bare}.ts`) || files.has(`${bare}.test.ts`);
}

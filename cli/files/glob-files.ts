/** Expands patterns that the shell did not expand, as in PowerShell or in quotes. */
import * as fs from "node:fs";
import { join, parse, resolve, sep } from "node:path";
import * as Glob from "#core/glob/glob";

/** The files that match a pattern on this machine. */
export interface Matches {
  /** As a shell would write them: relative if the pattern is; the matches of one pattern are sorted. */
  readonly files: string[];
  /** Matching folders. */
  readonly folders: number;
}

/** File systems here usually ignore case. */
const ignoreCase = process.platform === "win32" || process.platform === "darwin";

/**
 * The files that match a pattern. As in a shell, a name from braces is returned even if it does not exist, as long as
 * anything matches. Throws Glob.GlobError for an invalid pattern.
 */
export function find(glob: string, cwd: string): Matches {
  // A drive, a share or a slash is not part of the pattern.
  const { root } = parse(glob);
  const rest = glob.slice(root.length);
  const base = root === "" ? cwd : root;
  // On Windows a backslash separates names and does not escape.
  const patterns = Glob.patterns(sep === "\\" ? rest.replaceAll("\\", "/") : rest, { ignoreCase });
  const files: string[] = [];
  let folders = 0;
  let isThere = false;
  for (const pattern of patterns) {
    const names = Glob.literalNames(pattern);
    const found = [...new Set(walk(base, "", pattern))].sort();
    isThere ||= found.length > 0;
    for (const name of found) {
      if (isFile(resolve(base, name))) files.push(`${root}${name}`);
      else folders += 1;
    }
    if (found.length === 0 && names.length === pattern.length) files.push(`${root}${names.join(sep)}`);
  }
  return { files: isThere ? files : [], folders };
}

function isFile(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The matching paths below the part that is already resolved. */
function* walk(base: string, at: string, pattern: Glob.Pattern): Generator<string> {
  const [part, ...rest] = pattern;
  if (part === undefined) return;
  if (part !== "**" && part.literal !== undefined && fs.existsSync(resolve(base, at, part.literal))) {
    yield* deeper(base, join(at, part.literal), rest);
    return;
  }
  for (const entry of entriesOf(resolve(base, at))) {
    const path = join(at, entry.name);
    if (part !== "**") {
      // Compared as composed, opened as it is written there.
      if (part.matches(entry.name.normalize())) yield* deeper(base, path, rest);
    } else if (!entry.name.startsWith(".")) {
      if (rest.length === 0 && !entry.isDirectory()) yield path;
      // Links to folders are not followed, because they may form a circle.
      if (entry.isDirectory()) yield* walk(base, path, pattern);
    }
  }
  if (part === "**" && rest.length > 0) yield* walk(base, at, rest);
}

function* deeper(base: string, at: string, rest: Glob.Pattern): Generator<string> {
  if (rest.length === 0) yield at;
  else yield* walk(base, at, rest);
}

/** Empty for anything that is not a readable folder. */
function entriesOf(dir: string): fs.Dirent[] {
  try {
    return fs.readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
}

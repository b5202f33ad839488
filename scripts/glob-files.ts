/** Files by a pattern, where the shell left it alone: PowerShell does, and quotes do. */
import * as fs from "node:fs";
import { join, resolve, sep } from "node:path";
import * as Glob from "#core/glob/glob";

/** What a pattern stands for on this machine. */
export interface Matches {
  /** As a shell would write them: relative where the pattern is; in its order, those of one pattern sorted. */
  readonly files: string[];
  /** Folders that fit, and are no files. */
  readonly folders: number;
}

/** Disks here usually do not tell upper from lower case. */
const ignoreCase = process.platform === "win32" || process.platform === "darwin";

/**
 * The files that a pattern stands for. As in a shell, a name that braces spell out stands for itself, whether it is
 * there or not, as long as anything fits at all. Throws Glob.GlobError for what is no pattern.
 */
export function find(glob: string, cwd: string): Matches {
  const isWindows = sep === "\\";
  // On Windows it parts names, and escapes nothing.
  const patterns = Glob.patterns(isWindows ? glob.replaceAll("\\", "/") : glob, { ignoreCase });
  const files: string[] = [];
  const spelled: string[] = [];
  let folders = 0;
  for (const pattern of patterns) {
    const names = Glob.literalNames(pattern);
    if (names.length === pattern.length) spelled.push(written(names));
    const found = [...new Set(walk(cwd, "", pattern))].sort();
    for (const name of found) {
      if (isFile(resolve(cwd, name))) files.push(name);
      else folders += 1;
    }
    if (found.length === 0 && names.length === pattern.length) files.push(written(names));
  }
  const isThere = files.some((file) => !spelled.includes(file) || fs.existsSync(resolve(cwd, file)));
  return { files: isThere ? files : [], folders };
}

const written = (names: readonly string[]) => names.join(sep) || sep;

function isFile(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The paths that fit, below what is already known of them. */
function* walk(cwd: string, at: string, pattern: Glob.Pattern): Generator<string> {
  const [part, ...rest] = pattern;
  if (part === undefined) return;
  const path = (name: string) =>
    at === "" && name !== "" ? name : at === "" || at.endsWith(sep) ? `${at}${name}` : join(at, name);
  if (part !== "**" && part.literal !== undefined) {
    const next = part.literal === "" && at === "" ? sep : path(part.literal);
    if (fs.existsSync(resolve(cwd, next))) yield* deeper(cwd, next, rest);
    return;
  }
  for (const { name, entry } of entriesOf(resolve(cwd, at))) {
    if (part !== "**") {
      if (part.matches(name)) yield* deeper(cwd, path(name), rest);
    } else if (!name.startsWith(".")) {
      if (rest.length === 0 && !entry.isDirectory()) yield path(name);
      // Links to folders are not followed here: they may lead in circles.
      if (entry.isDirectory()) yield* walk(cwd, path(name), pattern);
    }
  }
  if (part === "**" && rest.length > 0) yield* walk(cwd, at, rest);
}

function* deeper(cwd: string, at: string, rest: Glob.Pattern): Generator<string> {
  if (rest.length === 0) yield at;
  else yield* walk(cwd, at, rest);
}

/** Empty for what is no folder, or may not be looked into: nothing in it can fit. */
function entriesOf(dir: string): { name: string; entry: fs.Dirent }[] {
  try {
    return fs
      .readdirSync(dir, { withFileTypes: true })
      .map((entry) => ({ name: entry.name.normalize(), entry }));
  } catch {
    return [];
  }
}

/** Files by a pattern, where the shell left it alone: PowerShell does, and quotes do. */
import * as fs from "node:fs";
import { join, parse, resolve, sep } from "node:path";
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
  // A drive, a share or a slash is no pattern.
  const { root } = parse(glob);
  const rest = glob.slice(root.length);
  const base = root === "" ? cwd : root;
  // On Windows a backslash parts names, and escapes nothing.
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

/** The paths that fit, below what is already known of them. */
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
      // Links to folders are not followed here: they may lead in circles.
      if (entry.isDirectory()) yield* walk(base, path, pattern);
    }
  }
  if (part === "**" && rest.length > 0) yield* walk(base, at, rest);
}

function* deeper(base: string, at: string, rest: Glob.Pattern): Generator<string> {
  if (rest.length === 0) yield at;
  else yield* walk(base, at, rest);
}

/** Empty for what is no folder, or may not be looked into: nothing in it can fit. */
function entriesOf(dir: string): fs.Dirent[] {
  try {
    return fs.readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
}

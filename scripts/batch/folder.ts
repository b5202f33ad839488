/** The pictures of a folder, in the order a person would count them. */
import * as fs from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import { type Entry, inspect, mimeTypeOf, nameProblems } from "#scripts/batch/entry";
import { UsageError } from "#scripts/context";
import * as Text from "#scripts/text";

/** `page 2` before `page 10`; equal but for case or accents: by code units, so that the order is the same everywhere. */
const collator = new Intl.Collator("en", { numeric: true });
export function byName(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const [x = "", y = ""] = [left[i], right[i]];
    const order = collator.compare(x, y) || (x < y ? -1 : x > y ? 1 : 0);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** What is below a folder. */
export interface Found {
  /** Paths relative to it with forward slashes, in natural order. */
  readonly names: string[];
  /** Links to files outside of the folder, which are passed over. */
  readonly linksOut: number;
}

/**
 * The files below a folder that `wanted` accepts. Names that begin with a dot are passed over (`.git`, and the
 * `._x.jpg` that Macs leave on foreign disks). Links to files are followed within the folder alone: who sends a folder
 * sends what is in it, not what a link in it points at. Links to folders are not followed, they may lead in circles.
 */
export function filesBelow(dir: string, wanted: (name: string) => boolean): Found {
  const names: string[] = [];
  let linksOut = 0;
  const open = [""];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const entry of entriesOf(join(dir, at))) {
      if (entry.name.startsWith(".")) continue;
      const name = at === "" ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) open.push(name);
      else if (!wanted(name)) continue;
      else if (entry.isFile()) names.push(name);
      else if (isLinkToFile(join(dir, name))) {
        if (isWithin(dir, join(dir, name))) names.push(name);
        else linksOut += 1;
      }
    }
  }
  return { names: names.sort(byName), linksOut };
}

/** Whether the file behind a path lies below the folder, all links resolved. */
function isWithin(dir: string, path: string): boolean {
  const way = relative(fs.realpathSync.native(dir), fs.realpathSync.native(path));
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function entriesOf(dir: string): fs.Dirent[] {
  try {
    return fs.readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new UsageError(`cannot look into ${Text.shown(dir)} (${code})`);
  }
}

function isLinkToFile(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** As many as a person reads; the others are counted. */
const named = 20;

/** One message for many mistakes, a line each. */
export function listed(problems: readonly string[]): string {
  const rest = problems.length - named;
  return [...problems.slice(0, named).map(Text.shown), ...(rest > 0 ? [`… and ${rest} more`] : [])].join(
    "\n  ",
  );
}

/** The pictures of a folder. */
export interface Pictures {
  /** Paths relative to the folder; at least one. */
  readonly names: string[];
  /** Files that are called like pictures and are none: they were named on stderr. */
  readonly skipped: number;
}

/**
 * The pictures below a folder, the first `limit` of them. What is none by its first bytes and what a link fetches from
 * outside is told through `say` and left out. `wrong` says what else keeps a name from being sent.
 * Throws UsageError: there are none, or some cannot be uploaded (all are named).
 */
export function pictures(
  dir: string,
  options: {
    label: string;
    limit?: number | undefined;
    say: (line: string) => void;
    wrong: (name: string) => readonly string[];
  },
): Pictures {
  const { label, limit = Number.POSITIVE_INFINITY, say, wrong } = options;
  const found = filesBelow(dir, (name) => mimeTypeOf(name) !== undefined);
  const names: string[] = [];
  const others: string[] = [];
  const problems: string[] = [];
  let looked = 0;
  for (const name of found.names) {
    if (looked - others.length >= limit) break;
    looked += 1;
    const local = inspect(join(dir, name));
    if ("problem" in local && local.isOther) {
      others.push(`${name} ${local.problem}`);
      continue;
    }
    const mistakes = "problem" in local ? [local.problem] : wrong(name);
    problems.push(...mistakes.map((mistake) => `${name} ${mistake}`));
    names.push(name);
  }
  if (problems.length > 0)
    throw new UsageError(
      `nothing was sent: of ${names.length} pictures ${problems.length} cannot be uploaded:\n  ${listed(problems)}`,
    );
  if (found.linksOut > 0) say(`${found.linksOut} left out: links that lead out of ${label}`);
  if (others.length > 0) say(`${others.length} left out:\n  ${listed(others)}`);
  if (names.length === 0)
    throw new UsageError(`there are no pictures in ${label} (png, jpg, jpeg, webp, tiff, gif)`);
  return { names, skipped: others.length };
}

/** The pictures below a folder as entries whose `file` is the relative path. Throws as `pictures`. */
export function collect(
  dir: string,
  options: { label: string; limit?: number | undefined; say: (line: string) => void },
): { entries: Entry[]; skipped: number } {
  const { names, skipped } = pictures(dir, { ...options, wrong: (file) => nameProblems({ file }) });
  return { entries: names.map((file) => ({ line: { file }, path: join(dir, file) })), skipped };
}

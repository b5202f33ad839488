/** The pictures of a folder, in the order a person would count them. */
import * as fs from "node:fs";
import { join } from "node:path";
import { type Entry, inspect, mimeTypeOf, nameProblems } from "#scripts/batch/entry";
import { UsageError } from "#scripts/context";

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

/**
 * The files below a folder that `wanted` accepts, as paths relative to it with forward slashes, in natural order.
 * Names that begin with a dot are passed over (`.git`, and the `._x.jpg` that Macs leave on foreign disks); links to
 * files are followed, links to folders are not, for they may lead in circles.
 */
export function filesBelow(dir: string, wanted: (name: string) => boolean): string[] {
  const found: string[] = [];
  const open = [""];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const entry of entriesOf(join(dir, at))) {
      if (entry.name.startsWith(".")) continue;
      const name = at === "" ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) open.push(name);
      else if (wanted(name) && (entry.isFile() || isLinkToFile(join(dir, name)))) found.push(name);
    }
  }
  return found.sort(byName);
}

function entriesOf(dir: string): fs.Dirent[] {
  try {
    return fs.readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new UsageError(`cannot look into ${dir} (${code})`);
  }
}

function isLinkToFile(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** As many as a person reads; the others are counted. */
const named = 20;

/** One message for many mistakes. */
export function listed(problems: readonly string[]): string {
  const rest = problems.length - named;
  return [...problems.slice(0, named), ...(rest > 0 ? [`… and ${rest} more`] : [])].join("\n  ");
}

/**
 * The pictures below a folder as entries whose `file` is the relative path.
 * Throws UsageError: there are none, or some cannot be uploaded (all are named).
 */
export function collect(dir: string, options: { label: string; limit?: number | undefined }): Entry[] {
  const names = filesBelow(dir, (name) => mimeTypeOf(name) !== undefined).slice(0, options.limit);
  if (names.length === 0)
    throw new UsageError(`there are no pictures in ${options.label} (png, jpg, jpeg, webp, tiff, gif)`);
  const problems: string[] = [];
  const entries = names.flatMap((file): Entry[] => {
    const path = join(dir, file);
    const local = inspect(path);
    const wrong = "problem" in local ? [local.problem] : nameProblems({ file });
    problems.push(...wrong.map((problem) => `${file} ${problem}`));
    return "problem" in local ? [] : [{ line: { file }, path }];
  });
  if (problems.length > 0)
    throw new UsageError(
      `nothing was sent: of ${names.length} pictures ${problems.length} cannot be uploaded:\n  ${listed(problems)}`,
    );
  return entries;
}

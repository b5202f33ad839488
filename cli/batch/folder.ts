/** The pictures of a folder, in natural order. */
import * as fs from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import { UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import * as Type from "#core/image/type";
import type { Reason } from "#core/run/skipped";
import * as System from "#core/run/source/system";
import type { MimeType } from "#spec/pictures";
import { type Entry, inspect, nameProblems, type Problem } from "./entry.ts";
import * as LeftOut from "./left-out.ts";

/**
 * `page 2` comes before `page 10`. Names that differ only in case or accents are ordered by code units, so that the
 * order is the same on every machine.
 */
const collator = new Intl.Collator("en", { numeric: true });
function byName(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const [x = "", y = ""] = [left[i], right[i]];
    const order = collator.compare(x, y) || (x < y ? -1 : x > y ? 1 : 0);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** The content of a folder: each file and each link is in one of the two lists. */
interface Found {
  /** Paths relative to it with forward slashes, in natural order. */
  readonly names: string[];
  readonly leftOut: LeftOut.LeftOut;
}

/**
 * The files below a folder. Hidden ones and those of systems (`.git`, `Thumbs.db`, the `._x.jpg` that Macs leave on
 * foreign disks) are left out. Links to files are followed only inside the folder: a link must not send a file from
 * outside. Links to folders are not followed, because they may form a circle.
 */
function filesBelow(dir: string): Found {
  const names: string[] = [];
  const leftOut = LeftOut.none();
  const open = [""];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const entry of entriesOf(join(dir, at))) {
      const name = at === "" ? entry.name : `${at}/${entry.name}`;
      const path = join(dir, name);
      // A system folder counts as one entry that is left out, whatever it contains.
      const isSystem = System.isSystem(entry.isDirectory() ? `${name}/x` : name);
      if (isSystem || entry.name.startsWith(".")) {
        const isDocument = !isSystem && entry.isFile() && looksLikeDocument(path);
        LeftOut.add(
          leftOut,
          entry.isDirectory() ? `${name}/` : name,
          isSystem ? "system" : "hidden",
          isDocument,
        );
      } else if (entry.isDirectory()) open.push(name);
      else if (entry.isFile()) names.push(name);
      else if (entry.isSymbolicLink()) {
        const reason = linkProblem(dir, path);
        if (reason === undefined) names.push(name);
        else LeftOut.add(leftOut, name, reason, reason === "link_out" && isNamedLikeDocument(name));
      } else LeftOut.add(leftOut, name, "no_file", false);
    }
  }
  return { names: names.sort(byName), leftOut };
}

const isNamedLikeDocument = (name: string) =>
  Type.promisedBy(name) !== undefined || Type.promisesUnread(name);

/**
 * Whether it is a picture or another possible receipt: decided by its first bytes or, if they are not enough, by its
 * name.
 */
function looksLikeDocument(path: string): boolean {
  const seen = inspect(path);
  return !("problem" in seen) || isDocument(path, seen);
}

function isDocument(name: string, { reason }: Problem): boolean {
  switch (reason) {
    case "not_supported":
    case "not_what_it_is_called":
    case "unreadable":
      return true;
    case "empty":
      return isNamedLikeDocument(name);
    default:
      return false;
  }
}

/** Why a link is left out; undefined for one to a file below the folder. */
function linkProblem(dir: string, path: string): Reason | undefined {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return "link_out";
  if (stat.isDirectory()) return "link_to_folder";
  if (!stat.isFile()) return "no_file";
  return isWithin(dir, path) ? undefined : "link_out";
}

/** Whether the file behind a path is inside the folder after resolving all links. */
function isWithin(dir: string, path: string): boolean {
  const way = relative(fs.realpathSync.native(dir), fs.realpathSync.native(path));
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function entriesOf(dir: string): fs.Dirent[] {
  try {
    return fs.readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new UsageError(`cannot read the folder ${Text.shown(dir)} (${code})`);
  }
}

/** The pictures of a folder. */
export interface Pictures {
  /** At least one, in natural order. */
  readonly files: { readonly name: string; readonly mimeType: MimeType }[];
  /** The other files in the folder; they were reported on stderr. */
  readonly leftOut: LeftOut.LeftOut;
}

/**
 * The pictures below a folder by their first bytes, the first `limit` of them. All other files are left out and
 * reported by reason through `say`. `wrong` returns why a name cannot be sent. Throws UsageError if there are no
 * pictures, or if some cannot be uploaded (it names all of them).
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
  const { names, leftOut } = filesBelow(dir);
  const files: { name: string; mimeType: MimeType }[] = [];
  const problems: string[] = [];
  let count = 0;
  let looked = 0;
  for (const name of names) {
    if (count >= limit) break;
    looked += 1;
    const local = inspect(join(dir, name));
    if ("problem" in local && local.reason !== undefined) {
      LeftOut.add(leftOut, name, local.reason, isDocument(name, local));
      continue;
    }
    count += 1;
    const mistakes = "problem" in local ? [local.problem] : wrong(name);
    problems.push(...mistakes.map((mistake) => `${name} ${mistake}`));
    if ("mimeType" in local) files.push({ name, mimeType: local.mimeType });
  }
  for (const line of LeftOut.lines(leftOut, label)) say(line);
  if (problems.length > 0)
    throw new UsageError(
      `nothing was sent: of ${count} pictures ${problems.length} cannot be uploaded:\n  ${Text.list(problems)}`,
    );
  if (looked < names.length)
    say(`${names.length - looked} more files of ${label} were not looked at (--limit)`);
  if (files.length === 0) throw new UsageError(`there are no pictures in ${label} (${Type.names})`);
  return { files, leftOut };
}

/** The pictures below a folder as entries whose `file` is the relative path. Throws as `pictures`. */
export function collect(
  dir: string,
  options: { label: string; limit?: number | undefined; say: (line: string) => void },
): { entries: Entry[]; leftOut: LeftOut.LeftOut } {
  const { files, leftOut } = pictures(dir, { ...options, wrong: (file) => nameProblems({ file }) });
  return {
    entries: files.map(({ name, mimeType }) => ({ line: { file: name }, path: join(dir, name), mimeType })),
    leftOut,
  };
}

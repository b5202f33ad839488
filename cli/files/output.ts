/** Files that a command writes because the caller named them, such as `--out FILE`. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";

interface Rules {
  /** Whether an existing file may be replaced. */
  readonly force?: boolean | undefined;
  /** Files that the command reads. They are never replaced, not even with `force`; a name without a file is passed over. */
  readonly inputs?: readonly string[];
  /** An existing file that may be replaced without `force`. */
  readonly mine?: (path: string) => boolean;
}

export const force = ["--force", "overwrite an existing file"] as const;

/**
 * Checks before the work what would otherwise overwrite a file or fail after it: a file that exists, one that the
 * command reads, a folder that is missing or cannot be written to, and one name for two files. Pipes and terminals are
 * accepted.
 * @param names - relative to the caller's folder; undefined for an option that was not given.
 * Throws UsageError.
 */
export function check(
  { cwd }: Pick<Context, "cwd">,
  names: readonly (string | undefined)[],
  rules: Rules = {},
): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (name === undefined) continue;
    const path = resolve(cwd, name);
    const shown = shownName(cwd, path);
    if (seen.has(path)) throw new UsageError(`${shown} is named for two files: name another one for each`);
    seen.add(path);
    try {
      checkFile(path, { ...rules, cwd, shown });
    } catch (error) {
      throw error instanceof UsageError ? error : unwritable(shown, error);
    }
  }
}

function checkFile(
  path: string,
  { force: isForced, inputs = [], mine, cwd, shown }: Rules & { cwd: string; shown: string },
): void {
  const stat = statOf(path);
  if (stat?.isDirectory()) throw new UsageError(`${shown} is a folder`);
  if (stat?.isFile() === false) return;
  if (stat !== undefined && inputs.some((input) => isSame(statOf(resolve(cwd, input)), stat)))
    throw new UsageError(`${shown} is a file that this command reads: name another one`);
  if (stat !== undefined && !isForced && !mine?.(path))
    throw new UsageError(`${shown} exists: name another file, or add --force`);
  if (!statOf(dirname(path))?.isDirectory()) throw new UsageError(`there is no folder for ${shown}`);
  // Rights, a full disk and a read-only file system can only be found out by an attempt.
  const draft = draftOf(path);
  fs.closeSync(fs.openSync(draft, "wx"));
  fs.rmSync(draft);
}

/** As BigInt, because the numbers of Windows have more digits than a JavaScript number. */
const statOf = (path: string) => fs.statSync(path, { throwIfNoEntry: false, bigint: true });

const isSame = (a: fs.BigIntStats | undefined, b: fs.BigIntStats): boolean =>
  a !== undefined && a.dev === b.dev && a.ino === b.ino;

function shownName(cwd: string, path: string): string {
  const short = relative(cwd, path);
  return Text.shown(short === "" || short.startsWith("..") ? path : short);
}

function unwritable(shown: string, error: unknown): UsageError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  return new UsageError(`${shown} cannot be written: ${code}`, { cause: error });
}

/** A new temporary name each time, so that an incomplete file never has its final name. */
export const draftOf = (path: string): string => `${path}.${randomBytes(4).toString("hex")}.part`;

/** True for a pipe, a terminal or `/dev/null`: these are written to and never replaced. */
export const isStream = (path: string): boolean => statOf(path)?.isFile() === false;

/** Writes a text to a file, in one step. What was checked before the work is checked again. Throws UsageError. */
export function write(context: Pick<Context, "cwd">, name: string, text: string, rules: Rules = {}): void {
  check(context, [name], rules);
  const path = resolve(context.cwd, name);
  const draft = draftOf(path);
  try {
    if (isStream(path)) fs.writeFileSync(path, text);
    else {
      fs.writeFileSync(draft, text, { flag: "wx" });
      fs.renameSync(draft, path);
    }
  } catch (error) {
    fs.rmSync(draft, { force: true });
    throw unwritable(shownName(context.cwd, path), error);
  }
}

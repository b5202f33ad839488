import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Context, UsageError } from "#cli/terminal/context";

/*
 * The password of a PDF comes from a file or from stdin. In the command line it would be seen by every user of the machine,
 * and stay in the shell's history.
 */

/**
 * The first line of the file, without its end; undefined if no file was given.
 * @param name - "-" is stdin.
 * @param pictures - the command's files, of which one may want stdin, too.
 * @throws UsageError, which never has the file's content.
 */
export async function read(
  name: string | undefined,
  pictures: readonly string[],
  context: Pick<Context, "cwd" | "stdin">,
): Promise<string | undefined> {
  if (name === undefined) return undefined;
  if (name === "-" && pictures.includes("-"))
    throw new UsageError("stdin is either the picture or the password: give one of them as a file");
  const bytes = name === "-" ? await context.stdin() : await contentOf(resolve(context.cwd, name));
  const [password = ""] = bytes
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .split(/\r?\n/, 1);
  if (password === "") throw new UsageError("--password-file: its first line is empty");
  return password;
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new UsageError(
      `--password-file: cannot be read (${(thrown as NodeJS.ErrnoException).code ?? "unknown"})`,
    );
  }
}

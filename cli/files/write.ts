import * as fs from "node:fs";
import { resolve } from "node:path";
import { type Context, UsageError } from "#cli/terminal/context";

/** Writes a text to a file that the caller named. Throws UsageError. */
export function write({ cwd }: Pick<Context, "cwd">, name: string, text: string): void {
  try {
    fs.writeFileSync(resolve(cwd, name), text);
  } catch (error) {
    throw new UsageError(`${name} cannot be written: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`);
  }
}

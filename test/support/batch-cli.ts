/** Runs a command line as the program does, with its own folder and environment. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "#cli/program";
import type { Context } from "#cli/terminal/context";

export interface Cli {
  readonly dir: string;
  /** Writes a file below the folder; without content, bytes that begin like a picture. */
  file(name: string, content?: string | Buffer): string;
  read(name: string): string;
  run(
    args: string[],
    options?: {
      env?: Record<string, string>;
      signal?: AbortSignal;
      stdin?: string;
      onSay?: (line: string) => void;
    },
  ): Promise<{ status: number; stdout: string; stderr: string }>;
  remove(): void;
}

/** Bytes that look like a picture until the server decodes them, as letters that a test can compare. */
export const pictureOf = (name: string) => `GIF89a ${name}`;

export function open(): Cli {
  const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty batch "));
  return {
    dir,
    file: (name, content = pictureOf("any")) => {
      const path = join(dir, name);
      fs.mkdirSync(dirname(path), { recursive: true });
      fs.writeFileSync(path, content);
      return path;
    },
    read: (name) => fs.readFileSync(join(dir, name), "utf8"),
    run: async (args, options = {}) => {
      let stdout = "";
      let stderr = "";
      const context: Context = {
        env: { OCRLTY_HOME: join(dir, "home"), ...options.env },
        cwd: dir,
        signal: options.signal ?? new AbortController().signal,
        out: (text) => {
          stdout += text;
        },
        say: (line) => {
          stderr += `${line}\n`;
          options.onSay?.(line);
        },
        stdin: async () => Buffer.from(options.stdin ?? ""),
      };
      const status = await run(args, context);
      return { status, stdout, stderr };
    },
    remove: () => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }),
  };
}

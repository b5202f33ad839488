/** Shared by tests of whole command lines: a folder, scripted servers, and the program. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "#cli/program";
import type { Context } from "#cli/terminal/context";
import { type Scripted, type Seen, serve } from "#test/support/scripted-server";

export function start() {
  const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty cli "));
  const closing: (() => Promise<void>)[] = [];
  /** Runs a command line as the program does, in a folder and an environment of its own. */
  async function ocrlty(
    args: string[],
    options: { env?: Record<string, string>; stdin?: Buffer; signal?: AbortSignal } = {},
  ) {
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
      },
      stdin: async () => options.stdin ?? Buffer.alloc(0),
    };
    const status = await run(args, context);
    return { status, stdout, stderr };
  }

  async function server(...script: Scripted[]): Promise<{ seen: Seen[]; env: Record<string, string> }> {
    const { url, seen, close } = await serve(script);
    closing.push(close);
    return { seen, env: { OCRLTY_URL: url, OCRLTY_API_KEY: "key-1" } };
  }

  const file = (name: string, bytes: string | Buffer = "picture") => {
    fs.mkdirSync(join(dir, name, ".."), { recursive: true });
    fs.writeFileSync(join(dir, name), bytes);
  };
  return {
    dir,
    /** Servers that are closed together with it. */
    closing,
    ocrlty,
    server,
    file,
    close: async () => {
      for (const close of closing) await close();
      fs.rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}
export type Rig = ReturnType<typeof start>;

export const answer = (id: string) => ({
  request_id: id,
  status: "succeeded",
  result: { total: "1" },
  artifact_rel: `extracts/${id}.json`,
});
export const ownError = (status: number, code: string) => ({
  status,
  body: { error: { code, message: "no", request_id: "x", details: {} } },
});
export const sent = (seen: Seen | undefined) =>
  JSON.parse(seen?.body ?? "{}") as { image_base64: string; [name: string]: unknown };

/** A command line as a process: its signals, its streams, its exit status. */
import { buffer } from "node:stream/consumers";
import { type Context, exit } from "#cli/terminal/context";
import * as Terminal from "#cli/terminal/terminal";
import { type Commands, run } from "./command-line.ts";

/** Runs the command line of this process. Throws unexpected errors. */
export async function main(
  around: Pick<Context, "env" | "program" | "isClient">,
  commands: Commands,
): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"]) {
    process.on(signal, () => {
      // A second signal means "at once": not even the local loop is closed.
      if (interrupted.signal.aborted) process.exit(exit.interrupted);
      process.stderr.write("interrupted\n");
      interrupted.abort();
    });
  }
  // `… | head` closed the pipe: no reader is left, so the program ends.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(exit.ok);
  });
  const context: Context = {
    ...around,
    ...Terminal.of(process.env, process.stdout, process.stderr),
    cwd: process.cwd(),
    signal: interrupted.signal,
    out: (text) => process.stdout.write(text),
    say: (line) => process.stderr.write(`${line}\n`),
    terminal: process.stderr.isTTY ? process.stderr : undefined,
    stdin: () => buffer(process.stdin),
  };
  process.exitCode = await run(process.argv.slice(2), context, commands);
}

/** `npm run ocrlty -- NOUN …`; `extract`, `keys` and `smoke` have scripts of their own in package.json. */
import { buffer } from "node:stream/consumers";
import { loadEnv } from "#local/home";
import { exit } from "#scripts/context";
import { withLinks } from "#scripts/links";
import { run } from "#scripts/program";
import * as Terminal from "#scripts/terminal";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"]) {
  process.on(signal, () => {
    // The second one is meant: not even the local loop is closed.
    if (interrupted.signal.aborted) process.exit(exit.interrupted);
    process.stderr.write("interrupted\n");
    interrupted.abort();
  });
}
// `… | head` closes the pipe: nobody reads on, so there is nothing left to do.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exit.ok);
});

loadEnv();
process.exitCode = await run(process.argv.slice(2), {
  env: withLinks(process.env),
  cwd: process.cwd(),
  signal: interrupted.signal,
  out: (text) => process.stdout.write(text),
  say: (line) => process.stderr.write(`${line}\n`),
  terminal: process.stderr.isTTY ? process.stderr : undefined,
  ...Terminal.of(process.env, process.stdout, process.stderr),
  program: process.env.OCRLTY_PROGRAM || undefined,
  stdin: () => buffer(process.stdin),
});

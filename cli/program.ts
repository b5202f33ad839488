/** The program behind `npm run ocrlty`: its commands. */
import type { Command } from "commander";
import * as CommandLine from "#cli/command-line";
import type { Context, Exit } from "#cli/terminal/context";

/** One file per noun, loaded on demand. */
export const nouns: CommandLine.Commands = {
  artifact: () => import("#cli/commands/artifact"),
  batch: () => import("#cli/commands/batch"),
  backup: () => import("#cli/commands/backup"),
  cancel: () => import("#cli/commands/cancel"),
  completion: () => import("#cli/commands/completion"),
  data: () => import("#cli/commands/data"),
  delete: () => import("#cli/commands/delete"),
  diff: () => import("#cli/commands/diff"),
  doctor: () => import("#cli/commands/checkout/doctor"),
  eval: () => import("#cli/commands/eval"),
  extract: () => import("#cli/commands/extract"),
  gt: () => import("#cli/commands/gt"),
  items: () => import("#cli/commands/items"),
  keys: () => import("#cli/commands/checkout/keys"),
  logs: () => import("#cli/commands/checkout/logs"),
  migrate: () => import("#cli/commands/checkout/migrate"),
  pod: () => import("#cli/commands/checkout/pod"),
  profile: () => import("#cli/commands/profile"),
  redrive: () => import("#cli/commands/checkout/redrive"),
  replay: () => import("#cli/commands/checkout/replay"),
  rerun: () => import("#cli/commands/rerun"),
  restore: () => import("#cli/commands/checkout/restore"),
  results: () => import("#cli/commands/results"),
  run: () => import("#cli/commands/run"),
  runs: () => import("#cli/commands/runs"),
  smoke: () => import("#cli/commands/checkout/smoke"),
  tasks: () => import("#cli/commands/tasks"),
  usage: () => import("#cli/commands/usage"),
  webhook: () => import("#cli/commands/checkout/webhook"),
  whoami: () => import("#cli/commands/whoami"),
};

/** Runs one command line (without node and file) and returns its exit status. Throws unexpected errors. */
export const run = (args: readonly string[], context: Context): Promise<Exit> =>
  CommandLine.run(args, context, nouns);

/** All commands, for tests that walk over them. */
export const all = (context: Context): Promise<Command> => CommandLine.build([], context, () => {}, nouns);

/** The program behind `npm run ocrlty`: its commands. */
import type { Command } from "commander";
import * as CommandLine from "#cli/command-line";
import type { Context, Exit } from "#cli/terminal/context";

/** One file per noun, loaded on demand. */
export const nouns: CommandLine.Commands = {
  artifact: () => import("#cli/commands/artifact"),
  batch: () => import("#cli/commands/runs/batch"),
  backup: () => import("#cli/commands/backup"),
  "bench-model": () => import("#cli/commands/checkout/bench-model"),
  cancel: () => import("#cli/commands/runs/cancel"),
  completion: () => import("#cli/commands/completion"),
  data: () => import("#cli/commands/data"),
  delete: () => import("#cli/commands/runs/delete"),
  diff: () => import("#cli/commands/evaluation/diff"),
  doctor: () => import("#cli/commands/checkout/doctor"),
  eval: () => import("#cli/commands/evaluation/eval"),
  extract: () => import("#cli/commands/extract"),
  gt: () => import("#cli/commands/evaluation/gt"),
  items: () => import("#cli/commands/runs/items"),
  keys: () => import("#cli/commands/checkout/keys"),
  logs: () => import("#cli/commands/checkout/logs"),
  migrate: () => import("#cli/commands/checkout/migrate"),
  pod: () => import("#cli/commands/checkout/pod"),
  profile: () => import("#cli/commands/profile"),
  redrive: () => import("#cli/commands/checkout/redrive"),
  replay: () => import("#cli/commands/checkout/replay"),
  rerun: () => import("#cli/commands/runs/rerun"),
  restore: () => import("#cli/commands/checkout/restore"),
  results: () => import("#cli/commands/runs/results"),
  run: () => import("#cli/commands/runs/run"),
  runs: () => import("#cli/commands/runs/runs"),
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

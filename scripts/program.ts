/** The program behind `npm run ocrlty`: its commands. */
import type { Command } from "commander";
import * as CommandLine from "#scripts/command-line";
import type { Context, Exit } from "#scripts/context";

/** One file a noun, loaded when it is asked for. */
export const nouns: CommandLine.Commands = {
  artifact: () => import("#scripts/commands/artifact"),
  batch: () => import("#scripts/commands/batch"),
  backup: () => import("#scripts/commands/backup"),
  cancel: () => import("#scripts/commands/cancel"),
  completion: () => import("#scripts/commands/completion"),
  data: () => import("#scripts/commands/data"),
  delete: () => import("#scripts/commands/delete"),
  doctor: () => import("#scripts/commands/doctor"),
  extract: () => import("#scripts/commands/extract"),
  items: () => import("#scripts/commands/items"),
  keys: () => import("#scripts/commands/keys"),
  logs: () => import("#scripts/commands/logs"),
  migrate: () => import("#scripts/commands/migrate"),
  pod: () => import("#scripts/commands/pod"),
  profile: () => import("#scripts/commands/profile"),
  redrive: () => import("#scripts/commands/redrive"),
  rerun: () => import("#scripts/commands/rerun"),
  restore: () => import("#scripts/commands/restore"),
  results: () => import("#scripts/commands/results"),
  run: () => import("#scripts/commands/run"),
  runs: () => import("#scripts/commands/runs"),
  smoke: () => import("#scripts/commands/smoke"),
  tasks: () => import("#scripts/commands/tasks"),
  usage: () => import("#scripts/commands/usage"),
  webhook: () => import("#scripts/commands/webhook"),
  whoami: () => import("#scripts/commands/whoami"),
};

/** Runs one command line (without node and file) and returns its exit status. Throws what nobody expects. */
export const run = (args: readonly string[], context: Context): Promise<Exit> =>
  CommandLine.run(args, context, nouns);

/** All there is, for whoever walks over it. */
export const all = (context: Context): Promise<Command> => CommandLine.build([], context, () => {}, nouns);

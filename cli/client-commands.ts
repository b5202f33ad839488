/** The commands of the packed client. */
import { Command } from "commander";
import type { Commands } from "#cli/command-line";
import { UsageError } from "#cli/terminal/context";
import { needsCheckout } from "#cli/terminal/needs-checkout";

/** Only in a checkout: commands that run the API, its database, bucket, queues or tests. */
const ofCheckout = [
  ...["start", "dev", "test", "soak", "bench", "openapi", "eval:stand-in", "client"],
  ...[
    "bench-model",
    "doctor",
    "keys",
    "logs",
    "migrate",
    "pod",
    "redrive",
    "replay",
    "restore",
    "smoke",
    "webhook",
  ],
] as const;

export const commands: Commands = {
  artifact: () => import("#cli/commands/artifact"),
  batch: () => import("#cli/commands/runs/batch"),
  backup: () => import("#cli/commands/backup"),
  cancel: () => import("#cli/commands/runs/cancel"),
  completion: () => import("#cli/commands/completion"),
  data: () => import("#cli/commands/data"),
  delete: () => import("#cli/commands/runs/delete"),
  diff: () => import("#cli/commands/evaluation/diff"),
  eval: () => import("#cli/commands/evaluation/eval"),
  extract: () => import("#cli/commands/extract"),
  gt: () => import("#cli/commands/evaluation/gt"),
  items: () => import("#cli/commands/runs/items"),
  profile: () => import("#cli/commands/profile"),
  rerun: () => import("#cli/commands/runs/rerun"),
  results: () => import("#cli/commands/runs/results"),
  run: () => import("#cli/commands/runs/run"),
  runs: () => import("#cli/commands/runs/runs"),
  tasks: () => import("#cli/commands/tasks"),
  usage: () => import("#cli/commands/usage"),
  whoami: () => import("#cli/commands/whoami"),
  ...Object.fromEntries(
    ofCheckout.map((name) => [name, async () => ({ command: () => absent(name), hidden: true })]),
  ),
};

/** Stands in for a command that is not in this package, and says where it is. */
function absent(name: string): Command {
  return new Command(name)
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new UsageError(needsCheckout(name));
    });
}

/**
 * The entry of the packed client: the commands that talk to a server, and nothing of what needs a checkout.
 * client-bundle.ts makes one file of it.
 */
import { resolve } from "node:path";
import { Command } from "commander";
import type { Commands } from "#cli/command-line";
import { main } from "#cli/process";
import * as Profile from "#cli/server/profile";
import { UsageError } from "#cli/terminal/context";
import { needsCheckout } from "#cli/terminal/needs-checkout";

/** Of a checkout alone: what runs the API, its database, its bucket, its queues or its tests. */
const ofCheckout = [
  ...["start", "dev", "test", "soak", "bench", "openapi", "eval:stand-in", "client"],
  ...["doctor", "keys", "migrate", "pod", "redrive", "replay", "restore", "smoke", "webhook"],
] as const;

const commands: Commands = {
  batch: () => import("#cli/commands/batch"),
  backup: () => import("#cli/commands/backup"),
  cancel: () => import("#cli/commands/cancel"),
  completion: () => import("#cli/commands/completion"),
  data: () => import("#cli/commands/data"),
  delete: () => import("#cli/commands/delete"),
  extract: () => import("#cli/commands/extract"),
  gt: () => import("#cli/commands/gt"),
  items: () => import("#cli/commands/items"),
  profile: () => import("#cli/commands/profile"),
  rerun: () => import("#cli/commands/rerun"),
  results: () => import("#cli/commands/results"),
  run: () => import("#cli/commands/run"),
  runs: () => import("#cli/commands/runs"),
  tasks: () => import("#cli/commands/tasks"),
  usage: () => import("#cli/commands/usage"),
  whoami: () => import("#cli/commands/whoami"),
  ...Object.fromEntries(
    ofCheckout.map((name) => [name, async () => ({ command: () => absent(name), hidden: true })]),
  ),
};

/** A command that is not in this package: one line says where it is. */
function absent(name: string): Command {
  return new Command(name)
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new UsageError(needsCheckout(name));
    });
}

const { OCRLTY_HOME: home } = process.env;
// Beside the profiles: there is no folder of a checkout to keep the states of batches in.
const env = {
  ...process.env,
  OCRLTY_HOME: home ? resolve(home) : Profile.settingsFolder(process.env),
};
await main({ env, program: "npx ocrlty", isClient: true }, commands);

/**
 * The entry of the packed client: the commands that talk to a server, and nothing of what needs a checkout.
 * client-bundle.ts makes one file of it.
 */
import { resolve } from "node:path";
import { Command } from "commander";
import type { Commands } from "#scripts/command-line";
import { UsageError } from "#scripts/context";
import { needsCheckout } from "#scripts/needs-checkout";
import { main } from "#scripts/process";
import * as Profile from "#scripts/profile";

/** Of a checkout alone: what runs the API, its database, its bucket, its queues or its tests. */
const ofCheckout = [
  ...["start", "dev", "test", "soak", "bench", "openapi", "eval:stand-in", "client"],
  ...["doctor", "keys", "migrate", "pod", "redrive", "restore", "smoke", "webhook"],
] as const;

const commands: Commands = {
  batch: () => import("#scripts/commands/batch"),
  backup: () => import("#scripts/commands/backup"),
  cancel: () => import("#scripts/commands/cancel"),
  completion: () => import("#scripts/commands/completion"),
  data: () => import("#scripts/commands/data"),
  delete: () => import("#scripts/commands/delete"),
  extract: () => import("#scripts/commands/extract"),
  items: () => import("#scripts/commands/items"),
  profile: () => import("#scripts/commands/profile"),
  rerun: () => import("#scripts/commands/rerun"),
  results: () => import("#scripts/commands/results"),
  run: () => import("#scripts/commands/run"),
  runs: () => import("#scripts/commands/runs"),
  tasks: () => import("#scripts/commands/tasks"),
  usage: () => import("#scripts/commands/usage"),
  whoami: () => import("#scripts/commands/whoami"),
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

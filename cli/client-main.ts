/**
 * The entry of the packed client: the commands that talk to a server, and nothing of what needs a checkout.
 * client-bundle.ts makes one file of it.
 */
import { resolve } from "node:path";
import { commands } from "#cli/client-commands";
import { main } from "#cli/process";
import * as Profile from "#cli/server/profile";

const { OCRLTY_HOME: home } = process.env;
// Beside the profiles: there is no folder of a checkout to keep the states of batches in.
const env = {
  ...process.env,
  OCRLTY_HOME: home ? resolve(home) : Profile.settingsFolder(process.env),
};
await main({ env, program: "npx ocrlty", isClient: true }, commands);

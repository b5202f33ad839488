/**
 * The entry of the packed client: the commands that call a server and need no checkout. client-bundle.ts bundles it
 * into one file.
 */
import { resolve } from "node:path";
import { commands } from "#cli/client-commands";
import { main } from "#cli/process";
import * as Profile from "#cli/server/profile";

const { OCRLTY_HOME: home } = process.env;
// Beside the profiles: there is no checkout in which to store the states of batches.
const env = {
  ...process.env,
  OCRLTY_HOME: home ? resolve(home) : Profile.settingsFolder(process.env),
};
await main({ env, program: "npx ocrlty", isClient: true }, commands);

/** Where a batch is taken up again. */
import * as Client from "#cli/server/client";
import * as Profile from "#cli/server/profile";
import * as Server from "#cli/server/server";
import { type Context, UsageError } from "#cli/terminal/context";
import type * as Options from "./options.ts";
import type * as State from "./state.ts";

/** The state of a run that was not started here: the command can wait for it. */
export function foreign(runId: string): State.State {
  return {
    version: 1,
    run_id: runId,
    server: "",
    source: "",
    options: {},
    out: null,
    table: {},
    fail_under: [],
    partial: null,
    sent: true,
    skipped: 0,
    manifest: null,
    entries: [],
  };
}

/** The server that has the uploads. Its key never comes from settings of another server. */
export function whereTo(
  context: Context,
  { server }: State.State,
  wish: Options.Common,
): Parameters<typeof Server.connect> {
  const { url, key, profile } = wish;
  if (server === "" || url !== undefined || profile !== undefined) return [context, wish];
  // The local loop, whatever else is set now.
  if (server === null) return [context, { key, profile: Profile.local }];
  const set = Server.named(context, {});
  if (set !== undefined && isSame(set.address, server)) return [context, { key }];
  const profiles = Object.entries(Profile.load(context.env).profiles);
  const known = profiles.find(([, each]) => isSame(each.url, server))?.[0];
  if (known !== undefined) return [context, { key, profile: known }];
  if (key === undefined)
    throw new UsageError(`this batch was sent to ${server}: add --url and --key, or set OCRLTY_URL`);
  return [context, { url: server, key }];
}

const isSame = (address: string, href: string) => Client.target(address, undefined).url.href === href;

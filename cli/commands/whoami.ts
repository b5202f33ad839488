import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Client from "#cli/server/client";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";

/** `whoami`: the key's id, role and scopes, as the server sees them. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("whoami").description("which key this is, and what it may do (GET /v1/me)"),
      "the same on one line",
    ),
    {
      examples: ["npm run ocrlty -- whoami", "npm run ocrlty -- whoami --profile production"],
      exits: Help.callExits,
    },
  ).action(async (options: Options.Common) => {
    const server = await Server.connect(context, options);
    try {
      const me = await Client.get(server, "/v1/me", { signal: context.signal });
      context.out(`${JSON.stringify(me, null, options.json ? 0 : 2)}\n`);
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

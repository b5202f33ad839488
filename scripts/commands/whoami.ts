import { Command } from "commander";
import * as Client from "#scripts/client";
import { type Context, type Exit, exit } from "#scripts/context";
import * as Server from "#scripts/server";

interface Options {
  json?: boolean;
  url?: string;
  key?: string;
}

/** `whoami`: the key's id, role and scopes, as the server sees them. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return new Command("whoami")
    .description("which key this is, and what it may do (GET /v1/me)")
    .option("--json", "the same on one line")
    .option("--url <url>", "the server (default: OCRLTY_URL, else the local loop)")
    .option("--key <key>", "its API key (default: OCRLTY_API_KEY, else the local loop's own)")
    .action(async (options: Options) => {
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

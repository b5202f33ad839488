import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";

/** `cancel ID`: no more items begin; items in flight end normally. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.owned(
      new Command("cancel")
        .description("cancel a run: items not begun become canceled (POST /v1/runs/{run_id}/cancel)")
        .argument("<run-id>", "the run's id"),
    ),
    { examples: ["npm run ocrlty -- cancel batch-20261123-101500-x3f9"], exits: Help.callExits },
  ).action(async (runId: string, options: Options.Owned) => {
    const wanted = { runId, keyId: options.keyId };
    const server = await Server.connect(context, options);
    try {
      const path = Run.pathOf(wanted, "/cancel");
      const json = await Run.ask(server, { method: "POST", path, signal: context.signal }, [200, 202]);
      context.out(options.json ? `${JSON.stringify(json)}\n` : `${Run.summary(Run.of(json))}\n`);
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

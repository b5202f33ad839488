import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";

/** `run ID`: shows a run. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.owned(
      new Command("run")
        .description("a run and its progress (GET /v1/runs/{run_id})")
        .argument("<run-id>", "the run's id"),
    ),
    {
      examples: [
        "npm run ocrlty -- run batch-20261123-101500-x3f9",
        "npm run -s ocrlty -- run batch-20261123-101500-x3f9 --json | jq .counts",
      ],
      exits: Help.callExits,
    },
  ).action(async (runId: string, options: Options.Owned) => {
    const wanted = { runId, keyId: options.keyId };
    const server = await Server.connect(context, options);
    try {
      const run = await Run.get(server, wanted, context.signal);
      context.out(`${JSON.stringify(run, null, options.json ? 0 : 2)}\n`);
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

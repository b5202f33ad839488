import { Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import * as Results from "#cli/batch/results";
import * as Run from "#cli/batch/run";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import { itemStatuses } from "#core/run/schema";

interface ItemsOptions extends Options.Owned {
  status?: string;
  limit?: string;
}

/** `items ID`: a run's items, also while it is in progress. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.owned(
      new Command("items")
        .description("the items of a run, also while it is going (GET /v1/runs/{run_id}/items)")
        .argument("<run-id>", "the run's id")
        .addOption(new Option("--status <status>", "only these").choices(itemStatuses))
        .option("--limit <n>", "at most this many"),
    ),
    {
      examples: [
        "npm run ocrlty -- items batch-20261123-101500-x3f9 --status failed",
        "npm run -s ocrlty -- items batch-20261123-101500-x3f9 --json | jq -r .result.total",
      ],
      exits: Help.callExits,
    },
  ).action(async (runId: string, options: ItemsOptions) => {
    const limit = Options.wholeNumber("--limit", options.limit);
    const wanted = { runId, keyId: options.keyId };
    const server = await Server.connect(context, options);
    try {
      const items = Run.list(server, Run.pathOf({ runId }, "/items"), {
        query: { status: options.status, key_id: options.keyId },
        limit,
        signal: context.signal,
        schema: Run.Item,
      });
      if (options.json) for await (const item of items) context.out(`${JSON.stringify(item)}\n`);
      else {
        const run = await Run.get(server, wanted, context.signal);
        await Results.printItems(context, items, await Results.fieldsOf(context, server, run.task_id));
      }
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import * as Options from "#cli/batch/options";
import { patiently } from "#cli/batch/retry";
import * as Run from "#cli/batch/run";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";

interface DeleteOptions extends Options.Owned {
  yes?: boolean;
}

const firstPollMs = 500;
const lastPollMs = 5_000;
/** How long the server may be away while a large run is deleted. */
const awayMs = 2 * 60_000;

/** `delete ID --yes`: the run with its artifacts, results, kept pictures. For a large one the command waits. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.owned(
      new Command("delete")
        .description(
          "delete a run for good, with its artifacts, results and kept pictures (DELETE /v1/runs/{run_id})",
        )
        .argument("<run-id>", "the run's id")
        .option("--yes", "required: it cannot be undone, and the id stays in use"),
    ),
    {
      examples: ["npm run ocrlty -- delete batch-20261123-101500-x3f9 --yes"],
      exits: Help.callExits,
    },
  ).action(async (runId: string, options: DeleteOptions) => {
    if (!options.yes)
      throw new UsageError(`this deletes ${runId} with its artifacts and results for good: add --yes`);
    const wanted = { runId, keyId: options.keyId };
    const server = await Server.connect(context, options);
    try {
      const request = { method: "DELETE", path: Run.pathOf(wanted), signal: context.signal } as const;
      const json = await Run.ask(server, request, [200, 202]);
      await gone(context, server, wanted);
      context.out(options.json ? `${JSON.stringify(json)}\n` : `${Text.shown(runId)} is deleted\n`);
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

/** Returns once the server no longer has the run; if the wait is interrupted, the deletion continues. */
async function gone(context: Context, server: Server.Server, wanted: Run.Wanted): Promise<void> {
  const look = () => Run.find(server, wanted, context.signal);
  for (let pauseMs = firstPollMs; (await patiently(context, awayMs, look)) !== undefined; ) {
    if (pauseMs === firstPollMs) context.say("it is large; waiting until all of it is gone");
    await sleep(pauseMs, undefined, { signal: context.signal });
    pauseMs = Math.min(lastPollMs, pauseMs * 1.5);
  }
}

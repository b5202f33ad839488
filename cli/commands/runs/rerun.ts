import { resolve } from "node:path";
import { Command, Option } from "commander";
import { conclude } from "#cli/batch/conclude";
import * as Options from "#cli/batch/options";
import * as Results from "#cli/batch/results";
import * as Run from "#cli/batch/run";
import * as RunOptions from "#cli/batch/run-options";
import * as Output from "#cli/files/output";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import { isRunId } from "#core/id";

interface RerunOptions extends Options.Common, Results.TableOptions, RunOptions.RunOptions {
  only?: string;
  wait?: boolean;
}

const help = {
  about: `
The pictures must still be there: a run with --keep-inputs, or one over pictures of the data root. Another key's run is
rerun with that key.`,
  examples: [
    "npm run ocrlty -- rerun batch-20261123-101500-x3f9 --only failed --out second.csv",
    "npm run ocrlty -- rerun batch-20261123-101500-x3f9 --task receipt_v1 --wait",
  ],
  exits: {
    0: "done",
    1: "items failed (where it was waited for)",
    2: "usage, server or network",
    130: "interrupted",
  },
};

/** `rerun ID`: reads the pictures of a run again, as a new run. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const rerunCommand = new Command("rerun")
    .description("read the pictures of a run again, as a new run (POST /v1/batch_extract_rerun)")
    .argument("<run-id>", "the run whose pictures are read")
    .addOption(new Option("--only <which>", "all pictures, or those that failed").choices(["all", "failed"]))
    .option("--wait", "wait for its end and print the results");
  RunOptions.add(rerunCommand, { task: "the same", concurrency: "the same" });
  return Help.add(Options.common(Results.tableOptions(rerunCommand)), help).action(
    async (source: string, options: RerunOptions) => done(await rerun(context, source, options)),
  );
}

async function rerun(context: Context, source: string, options: RerunOptions): Promise<Exit> {
  const fields = RunOptions.fieldsOf(context, options);
  const out = options.out === undefined ? undefined : resolve(context.cwd, options.out);
  const checkOut = () => Output.check(context, out === undefined ? [] : Results.filesOf(out), options);
  checkOut();
  const runId = options.runId ?? Run.newId("rerun");
  if (!isRunId(runId)) throw new UsageError(Options.badRunId);
  const server = await Server.connect(context, options);
  try {
    const run = await Run.start(context, server, "/v1/batch_extract_rerun", {
      source_run_id: source,
      run_id: runId,
      ...(options.only === undefined ? {} : { only: options.only }),
      ...fields,
    });
    if (!options.wait && out === undefined) {
      context.out(
        options.json ? `${JSON.stringify(run)}\n` : `${Text.shown(run.run_id)} ${Text.shown(run.status)}\n`,
      );
      if (server.ownLoop)
        context.say("the local loop ends with this command; the run goes on when one runs again (npm start)");
      return exit.ok;
    }
    context.say(`${runId}: to wait for it again, npm run ocrlty -- batch --resume ${runId}`);
    const ended = await Run.wait(context, server, run.run_id);
    checkOut();
    return await conclude(context, server, ended, { out, json: options.json, table: options });
  } finally {
    await server.close();
  }
}

import { Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import { runStatuses } from "#core/run/schema";

interface RunsOptions extends Options.Common {
  keyId?: string;
  status?: string;
  task?: string;
  limit?: string;
}

const defaultLimit = 20;

/** `runs`: the newest runs as a table, or a line of JSON a run. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("runs")
        .description(
          "the runs of this key, newest first; with admin:all_keys those of all keys (GET /v1/runs)",
        )
        .addOption(new Option("--status <status>", "only these").choices(runStatuses))
        .option("--task <id>", "only those of this task")
        .option("--key-id <id>", "only this key's, for admin:all_keys")
        .option("--limit <n>", `at most so many (default: ${defaultLimit})`),
      "a line of JSON a run",
    ),
    {
      examples: ["npm run ocrlty -- runs --status running", "npm run -s ocrlty -- runs --json --limit 1000"],
      exits: Help.callExits,
    },
  ).action(async (options: RunsOptions) => {
    const limit = Options.wholeNumber("--limit", options.limit) ?? defaultLimit;
    const server = await Server.connect(context, options);
    try {
      const runs = Run.newest(context, server, "/v1/runs", {
        query: { status: options.status, task_id: options.task, key_id: options.keyId },
        limit,
        schema: Run.Run,
      });
      const shown: Run.Run[] = [];
      for await (const run of runs) {
        if (options.json) context.out(`${JSON.stringify(run)}\n`);
        else shown.push(run);
      }
      if (!options.json) context.out(tableOf(shown, context));
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

function tableOf(runs: readonly Run.Run[], context: Context): string {
  // Most users list only their own runs.
  const withOwners = new Set(runs.map((run) => run.key_id)).size > 1;
  const rows = [
    ["RUN", "STATUS", "TASK", "CREATED", "TOTAL", "OK", "FAILED", "CANCELED"],
    ...runs.map(rowOf),
  ];
  const owners = ["KEY", ...runs.map((run) => run.key_id ?? "-")];
  return Table.table(withOwners ? rows.map((row, i) => [...row, owners[i] ?? "-"]) : rows, context);
}

function rowOf(run: Run.Run): string[] {
  const { total, succeeded, failed, canceled } = run.counts;
  const status = run.waiting_for ? `${run.status} (waits)` : run.status;
  const counts = [total, succeeded, failed, canceled].map(String);
  return [run.run_id, status, run.task_id, Table.minute(run.created_at), ...counts];
}

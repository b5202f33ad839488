/** The last step of a command that waited for a run: it prints or saves the results. */
import { relative } from "node:path";
import type { Target } from "#cli/server/answer";
import * as Issues from "#cli/server/issues";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import type * as LeftOut from "./left-out.ts";
import * as Results from "./results.ts";
import * as Run from "./run.ts";

interface Wish {
  /** An absolute path; undefined means stdout. */
  readonly out?: string | undefined;
  readonly json?: boolean | undefined;
  readonly table?: Results.TableOptions | undefined;
  /** The files of the local folder that were not sent. */
  readonly leftOut?: LeftOut.LeftOut | undefined;
}

/**
 * The results to the file, or to stdout as a table (`json`: a line of JSON an item), and the exit status: 1 when items
 * failed, or the run itself. Throws CallError and UsageError.
 */
export async function conclude(
  context: Context,
  server: Target,
  run: Run.Run,
  { out, json, table = {}, leftOut }: Wish,
): Promise<Exit> {
  const status = Run.isGood(run) ? exit.ok : exit.items;
  if (run.status === "failed") {
    // It never started, so there are no results.
    context.say(`error: ${Run.summary(run)}${issuesOf(run)}`);
    if (json) context.out(`${JSON.stringify(run)}\n`);
    return status;
  }
  if (out === undefined) {
    if (json)
      await Results.print(context, server, { wanted: { runId: run.run_id }, format: "jsonl", options: {} });
    else await Results.printTable(context, server, run);
    context.say(Run.summary(run));
    return status;
  }
  const files = (await Results.saveAll(context, server, run, { out, options: table })).map((file) =>
    relative(context.cwd, file),
  );
  if (json)
    context.out(
      `${JSON.stringify({ ...run, ...(leftOut === undefined ? {} : { left_out: leftOut }), files })}\n`,
    );
  else context.out(`${Run.summary(run)}\n${files.map(Text.shown).join("\n")}\n`);
  return status;
}

/** The mistakes in a manifest that the server checked. */
function issuesOf({ error }: Run.Run): string {
  const { issues = [], issue_count } = Run.Issues.safeParse(error?.details).data ?? {};
  if (issues.length === 0) return "";
  return `\n  ${Text.list(issues.map(Issues.line), issue_count === undefined ? {} : { count: issue_count })}`;
}

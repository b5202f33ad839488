/** How far two runs agree, if neither was evaluated with labels. */
import type { Readable } from "node:stream";
import * as Exports from "#cli/batch/exports";
import * as Progress from "#cli/batch/progress";
import * as Run from "#cli/batch/run";
import * as Download from "#cli/server/download";
import type { Server } from "#cli/server/server";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Agreement from "#core/evaluation/diff/agreement";
import * as Pair from "#core/evaluation/diff/pair";
import type * as Schema from "#core/evaluation/diff/schema";
import * as Lines from "#core/lines";
import { type Apart, documentsOf } from "#core/run/documents";
import type { Item } from "#core/run/schema";
import { dueDates } from "#core/task/due-dates";
import * as Task from "#core/task/task";

export interface Agreed extends Schema.AgreementFigures {
  first: { run_id: string };
  second: { run_id: string };
  task_id: string;
  /** Always null: without labels it is unknown which run is right. */
  verdict: null;
  /** Documents that the other run does not have. */
  only_in_first: number;
  only_in_second: number;
}

/** A document of an item, which has its number where the item is several. */
type Document = Apart<Item>;

/**
 * Compares the results of two ended runs of a task, document by document, paired by file or else custom_id. Both are read in
 * step, so that memory holds few items, however many there are. Throws CallError, and UsageError for runs of two tasks.
 * @param see - is called with each pair.
 */
export async function agree(
  context: Context,
  server: Server,
  ids: readonly [string, string],
  see: (before: Document, now: Document) => void = () => undefined,
): Promise<Agreed> {
  const { signal } = context;
  const [first, second] = await Promise.all([
    Run.get(server, { runId: ids[0] }, signal),
    Run.get(server, { runId: ids[1] }, signal),
  ]);
  if (first.task_id !== second.task_id)
    throw new UsageError(
      `${first.run_id} is a run of ${first.task_id}, ${second.run_id} of ${second.task_id}: only runs of one task can be compared`,
    );
  const fields = await Exports.fieldsOf(context, server, first.task_id);
  const task = Task.get(first.task_id);
  const circumstances = {
    createdAt: new Date(first.created_at),
    dueDates: task === undefined ? [] : dueDates(task),
  };
  const left: Pair.Left = { only_in_first: 0, only_in_second: 0 };
  const agreement = Agreement.create(fields);
  const total = Math.min(first.counts.total, second.counts.total);
  const progress = Progress.start(context, { label: "agreement", unit: "items", total });
  try {
    const lines = (run: Run.Run) => linesOf(context, server, run.run_id);
    for await (const [a, b] of Pair.pairs<Document>(lines(first), lines(second), left)) {
      see(a, b);
      Agreement.add(agreement, fields, [answerOf(a), answerOf(b)], { strMode: "strip", circumstances });
      progress.update(agreement.documents);
    }
  } finally {
    progress.stop();
  }
  return {
    ...{ first: { run_id: first.run_id }, second: { run_id: second.run_id }, task_id: first.task_id },
    verdict: null,
    ...left,
    ...Agreement.figures(agreement),
  };
}

const answerOf = ({ status, result }: Document) => ({
  status: status === "succeeded" || status === "canceled" ? status : ("failed" as const),
  result,
});

/** The results of an ended run, a line for each document; nothing is asked before the first is read. */
async function* linesOf(context: Context, server: Server, runId: string): AsyncGenerator<Buffer> {
  const path = Run.pathOf({ runId }, "/results", { format: "jsonl", as: "url" });
  const source: Readable = await Download.open(context, server, path);
  for await (const line of Lines.of(Download.whole(source))) {
    const item = JSON.parse(line.toString("utf8")) as Item;
    if (item.documents === undefined) yield line;
    else for (const document of documentsOf(item)) yield Buffer.from(JSON.stringify(document));
  }
}

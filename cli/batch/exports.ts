/** Result files that are made on this machine from the items of an ended run, at any size. */
import { Readable } from "node:stream";
import * as z from "zod";
import type { Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import * as Download from "#cli/server/download";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { AppError } from "#core/error";
import * as Formats from "#core/export/formats";
import * as Csv from "#core/export/table/csv";
import type * as Maker from "#core/export/table/maker";
import * as Table from "#core/export/table/table";
import * as Lines from "#core/lines";
import * as Answers from "#core/run/results/answers";
import type { Item } from "#core/run/schema";
import { TaskDetail } from "#core/task/summary";
import { patiently } from "./retry.ts";
import * as Run from "./run.ts";

interface Asked {
  format: Formats.Made | "csv" | "line_items_csv";
  shown: Table.Values;
  /** The parsed mapping, for a format that needs one. */
  mapping?: unknown;
  /** Called for each item that cannot be booked. */
  leaveOut?: (item: Maker.LeftOut) => void;
}

const askMs = 2 * 60_000;
const { kind } = TaskDetail.shape.fields.element.shape;
/** A field of an unknown kind is shown as printed. */
const Detail = z.object({ fields: z.array(z.object({ path: z.string(), kind: kind.catch("text") })) });

/** The server's fields of a task, in the order of its schema; empty if the server no longer has the task. */
export async function fieldsOf(
  context: Context,
  server: Target,
  taskId: string,
): Promise<z.output<typeof Detail>["fields"]> {
  const json = await patiently(context, askMs, () =>
    Run.ask(server, { path: `/v1/tasks/${encodeURIComponent(taskId)}`, signal: context.signal }),
  );
  const detail = Detail.safeParse(json);
  return detail.success ? detail.data.fields : [];
}

/** Streams a file made from the items of an ended run. Throws CallError and UsageError, also while it is read. */
export async function open(
  context: Context,
  server: Target,
  wanted: Run.Wanted,
  asked: Asked,
): Promise<Readable> {
  const run = await Run.get(server, wanted, context.signal);
  const path = Run.pathOf(wanted, "/results", { format: "jsonl", as: "url" });
  const source = await Download.open(context, server, path);
  const about = { runId: run.run_id, taskId: run.task_id, createdAt: new Date(run.created_at) };
  async function* items(): AsyncGenerator<Item> {
    for await (const line of Lines.of(Download.whole(source)))
      yield Answers.completed(about, JSON.parse(line.toString("utf8")) as Item);
  }
  const fields = await fieldsOf(context, server, run.task_id);
  return of(context, { run: about, fields, items: items() }, asked);
}

/** The source of a file. */
interface Source {
  readonly run: Answers.About;
  readonly fields: z.output<typeof Detail>["fields"];
  readonly items: AsyncIterable<Item>;
}

/** The same for items from another source. */
export function of(context: Pick<Context, "say">, source: Source, asked: Asked): Readable {
  return Readable.from(pieces(context, source, asked), { objectMode: false });
}

async function* pieces(
  context: Pick<Context, "say">,
  { run, fields, items }: Source,
  { format, shown, mapping, leaveOut = () => undefined }: Asked,
): AsyncGenerator<Uint8Array | string> {
  try {
    if (Formats.isMade(format)) {
      const maker = await Formats.made[format].load();
      // Its text contains words from the paper.
      const note = (what: string) => context.say(Text.shown(what));
      yield* maker.make({ run, fields, items, shown, mapping, note, leaveOut });
      return;
    }
    const table = format === "csv" ? Table.ofItems(fields, shown) : Table.ofLines(fields, shown);
    if (table === undefined) throw new UsageError("the task of this run has no line items");
    yield* Csv.stream(table, items);
  } catch (error) {
    if (error instanceof CallError || error instanceof UsageError) throw error;
    // The message tells the user what these results lack for this format; a repeat would not help.
    if (error instanceof AppError) throw new UsageError(error.message);
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`the ${format} file cannot be made of these results: ${why}`);
  }
}

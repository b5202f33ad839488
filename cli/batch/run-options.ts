/** Options of the commands that start a run, and their names in the API. */
import type { Command } from "commander";
import * as Output from "#cli/files/output";
import { type Context, UsageError } from "#cli/terminal/context";
import { batches, documents } from "#spec/limits";
import * as Options from "./options.ts";

export interface RunOptions {
  task?: string;
  concurrency?: string;
  runId?: string;
  keepInputs?: boolean;
  /** False with --no-look. */
  look: boolean;
  maxPages?: string;
  split?: boolean;
  webhook?: string;
  expiresAfter?: string;
  out?: string;
  force?: boolean;
}

const { maxConcurrency } = batches;
const { queuedPages } = documents;

/** @param defaults - the value if an option is not given, for the help text. */
export function add(command: Command, defaults: { task: string; concurrency: string }): Command {
  return command
    .option("--task <id>", `what to read (default: ${defaults.task})`)
    .option(
      "--concurrency <n>",
      `items at the model server at once, 1 to ${maxConcurrency}, or auto: as many as bring more (default: ${defaults.concurrency})`,
    )
    .option("--run-id <id>", "your own id of the new run")
    .option(
      "--out <file>",
      "wait for its end, and write the results to this .csv, .tsv, .xlsx, .jsonl or .json",
    )
    .option(...Output.force)
    .option("--keep-inputs", "keep the pictures on the server until the run is deleted, for reruns")
    .option(...Options.noLook)
    .option(
      "--max-pages <n>",
      `documents with more pages fail, 1 to ${queuedPages} (default: ${queuedPages})`,
    )
    .option(...Options.split)
    .option("--webhook <url>", "an https address that is called when the run has ended")
    .option(
      "--expires-after <duration>",
      "delete the run and everything that belongs to it this long after its end, such as 30d (default: keep it)",
    );
}

/** The fields that both routes have. */
interface Fields {
  task_id?: string;
  concurrency?: number | "auto";
  persist_inputs?: true;
  look?: false;
  max_pages?: number;
  split?: "auto";
  webhook_url?: string;
  expires_after?: number;
}

/** Throws UsageError. */
function concurrencyOf(text: string | undefined): number | "auto" | undefined {
  if (text === "auto") return text;
  const number = Number(text);
  if (text === undefined || (/^\d+$/.test(text) && number >= 1 && number <= maxConcurrency))
    return text === undefined ? text : number;
  throw new UsageError(`--concurrency must be a whole number from 1 to ${maxConcurrency}, or auto`);
}

/** The options as fields of the API; those that were not given are left out. Throws UsageError. */
export function fieldsOf(context: Pick<Context, "env">, options: RunOptions): Fields {
  const concurrency = concurrencyOf(options.concurrency);
  const maxPages = Options.wholeNumber("--max-pages", options.maxPages, queuedPages);
  const { expiresAfter } = options;
  return {
    ...(options.task === undefined ? {} : { task_id: options.task }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(options.keepInputs ? { persist_inputs: true } : {}),
    ...Options.lookOf(options.look),
    ...(maxPages === undefined ? {} : { max_pages: maxPages }),
    ...Options.splitOf(options.split),
    ...(options.webhook === undefined ? {} : { webhook_url: Options.webhook(context, options.webhook) }),
    ...(expiresAfter === undefined
      ? {}
      : { expires_after: Options.duration("--expires-after", expiresAfter) / 1000 }),
  };
}

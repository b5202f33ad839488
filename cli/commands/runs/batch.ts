import * as fs from "node:fs";
import { basename, resolve } from "node:path";
import { Command } from "commander";
import * as Beforehand from "#cli/batch/beforehand";
import { conclude } from "#cli/batch/conclude";
import * as Folder from "#cli/batch/folder";
import * as LeftOut from "#cli/batch/left-out";
import * as Manifest from "#cli/batch/manifest";
import * as Options from "#cli/batch/options";
import * as Progress from "#cli/batch/progress";
import * as Results from "#cli/batch/results";
import * as Resume from "#cli/batch/resume";
import * as Run from "#cli/batch/run";
import * as RunOptions from "#cli/batch/run-options";
import * as Send from "#cli/batch/send";
import * as State from "#cli/batch/state";
import * as Bar from "#cli/evals/bar";
import * as Evaluate from "#cli/evals/evaluate";
import { tell } from "#cli/evals/tell";
import * as Output from "#cli/files/output";
import * as Named from "#cli/labels/named";
import { CallError } from "#cli/server/call-error";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import { isRunId } from "#core/id";

interface BatchOptions extends Options.Common, Results.TableOptions, RunOptions.RunOptions {
  limit?: string;
  wait: boolean;
  resume?: string;
  gt?: string;
  imageKey?: string;
  failUnder: string[];
}

const about = `
A folder's pictures (JPEG, PNG, HEIC, AVIF, WebP, TIFF, GIF, PDF by their first bytes, whatever they are called; with subfolders) are
uploaded and become one run; each item's "file" is its path in the folder. All else is left out and counted by reason:
documents that are not read, hidden files, links that lead out of the folder. A manifest is a .jsonl file: lines such
as {"path":"a.jpg","custom_id":"17","tags":{"store":"12"}}, with paths relative to it, or {"image_ref": …}, {"image_key": …},
{"image_url": …} as the API takes them.

Ctrl-C stops the waiting, not the run: the results so far go to --out, and the command that resumes is shown.
With --gt the run is measured when it has ended, as by \`ocrlty eval\`, and its figures are printed behind the results.
Without --out the results are a table on stdout; with --json they are a line of JSON an item. A .csv gets a second
file beside it, x.line_items.csv, when the task has line items.`;

const help = {
  about,
  examples: [
    "npm run ocrlty -- batch samples --out results.csv",
    "npm run ocrlty -- batch receipts.jsonl --task receipt_v1 --concurrency 16 --out results.jsonl",
    "npm run ocrlty -- batch scans --no-wait",
    "npm run ocrlty -- batch scans --gt labels.jsonl --run-id november --fail-under total=0.95",
    "npm run ocrlty -- batch --resume batch-20261123-101500-x3f9",
  ],
  exits: {
    0: "all read",
    1: "items failed, a document was left out, a bar was missed, or no label fits",
    2: "usage, server or network",
    130: "interrupted",
  },
};

/** `batch DIR|MANIFEST`: many pictures as one run. `done` gets the exit status. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const batchCommand = new Command("batch")
    .description("read a folder of pictures, or those of a manifest, as one run (POST /v1/batch_extract)")
    .argument("[source]", "a folder, or a .jsonl manifest");
  RunOptions.add(batchCommand, { task: defaultTask, concurrency: "auto" })
    .option("--limit <n>", "only the first N pictures")
    .option(
      "--gt <labels>",
      "measure it: a file of labels, a ground truth's name or gt_id, or a key under the data root",
    )
    .option("--image-key <name>", "the member of a record that names its picture")
    .option(...Bar.failUnder)
    .option("--no-wait", "start the run and do not wait for it")
    .option("--resume <run-id>", "resume a batch that was interrupted");
  return Help.add(Options.common(Results.tableOptions(batchCommand)), help).action(
    async (source: string | undefined, options: BatchOptions) =>
      done(
        options.resume === undefined
          ? await begin(context, source, options)
          : await resume(context, source, options.resume, options),
      ),
  );
}

async function begin(context: Context, source: string | undefined, options: BatchOptions): Promise<Exit> {
  if (source === undefined) throw new UsageError("name a folder of pictures or a .jsonl manifest");
  const limit = Options.wholeNumber("--limit", options.limit);
  const request: State.State["options"] = {
    concurrency: "auto",
    ...RunOptions.fieldsOf(context, options),
  };
  checkBars(options, options.gt !== undefined);
  const runId = options.runId ?? Run.newId("batch");
  if (!isRunId(runId)) throw new UsageError(Options.badRunId);
  const out = options.out === undefined ? null : resolve(context.cwd, options.out);
  const path = resolve(context.cwd, source);
  const { entries, skipped, left_out } = entriesOf(context, path, { label: source, limit });
  checkOut(context, { out, partial: null, source: path, entries }, options);
  if (State.exists(context.env, runId))
    throw new UsageError(`${runId} was begun before: ${hint(runId)}, or take another --run-id`);

  const server = await Server.connect(context, options);
  try {
    // Mistakes are reported before anything large is sent.
    const paths = await Results.fieldsOf(context, server, request.task_id ?? defaultTask);
    Bar.checkFields(options.failUnder.map(Bar.parse), paths);
    if (options.runId !== undefined && (await Run.find(server, { runId }, context.signal)))
      throw new UsageError(`the server has a run ${runId} already: take another --run-id`);
    const labels = await labelsOf(context, server, options);
    await Beforehand.check(context, server, { run_id: runId, ...request, ...labels?.wire });
    Object.assign(request, await labels?.store());
    const state: State.State = {
      version: 1,
      run_id: runId,
      server: server.local ? null : server.url.href,
      source: path,
      options: request,
      out,
      table: tableOf(options),
      fail_under: options.failUnder,
      partial: null,
      sent: false,
      skipped,
      left_out,
      manifest: null,
      entries,
    };
    State.save(context.env, state);
    context.say(`${runId}: ${Text.counted(entries.length, "picture")}`);
    return await carryOn(context, server, state, options);
  } finally {
    await close(context, server);
  }
}

const defaultTask = "receipt_fields_v1";

function entriesOf(
  context: Context,
  path: string,
  { label, limit }: { label: string; limit: number | undefined },
): Pick<State.State, "entries" | "skipped" | "left_out"> {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new UsageError(`${label} does not exist`);
  if (stat.isDirectory()) {
    const { entries, leftOut } = Folder.collect(path, { label, limit, say: context.say });
    return { entries, skipped: leftOut.count, left_out: leftOut };
  }
  if (/\.(jsonl|ndjson)$/i.test(path)) return { entries: Manifest.read(path, { label, limit }), skipped: 0 };
  throw new UsageError(
    `${label} is neither a folder nor a .jsonl manifest; one picture is for: npm run extract`,
  );
}

async function resume(
  context: Context,
  source: string | undefined,
  runId: string,
  options: BatchOptions,
): Promise<Exit> {
  if (source !== undefined || options.runId !== undefined || options.limit !== undefined)
    throw new UsageError("--resume takes up what was begun: it needs no source, --run-id or --limit");
  if (!isRunId(runId)) throw new UsageError(Options.badRunId);
  // Without a stored state it is an ordinary run, for which the command can wait.
  const state = State.load(context.env, runId) ?? Resume.foreign(runId);
  const request: State.State["options"] = RunOptions.fieldsOf(context, options);
  if (state.sent && (Object.keys(request).length > 0 || options.gt !== undefined))
    throw new UsageError("the run has started: its options cannot be changed any more");
  Object.assign(state.options, request);
  if (options.out !== undefined) {
    const out = resolve(context.cwd, options.out);
    if (out !== state.out) state.partial = null;
    state.out = out;
  }
  Object.assign(state.table, tableOf(options));
  checkOut(context, state, options);
  checkBars(options, true);
  if (options.failUnder.length > 0) state.fail_under = options.failUnder;
  const server = await Server.connect(...Resume.whereTo(context, state, options));
  try {
    Object.assign(state.options, await (await labelsOf(context, server, options))?.store());
    return await carryOn(context, server, state, options);
  } finally {
    await close(context, server);
  }
}

/** The options for tables; commander's `bom` is true unless `--no-bom` is given. */
const tableOf = ({ values, dialect, bom }: BatchOptions): State.State["table"] => ({
  ...(values === undefined ? {} : { values }),
  ...(dialect === undefined ? {} : { dialect }),
  ...(bom === false ? { bom } : {}),
});

/** Throws UsageError for invalid bars, and for bars that nothing is compared with. */
function checkBars({ failUnder, wait }: BatchOptions, hasLabels: boolean): void {
  failUnder.map(Bar.parse);
  if (failUnder.length > 0 && !(hasLabels && wait))
    throw new UsageError("--fail-under needs --gt, and waits for the end of the run");
}

const labelsOf = async (context: Context, server: Server.Server, { gt: labels, imageKey }: BatchOptions) =>
  labels === undefined ? undefined : Named.ofRun(context, server, { labels, imageKey });

/** Sends what is missing, waits, and outputs the results and, of a run with labels, how good they are. */
async function carryOn(
  context: Context,
  server: Server.Server,
  state: State.State,
  options: BatchOptions,
): Promise<Exit> {
  const { run, status } = await toEnd(context, server, state, options);
  const { gt_id, gt_path } = state.options;
  const isMeasured = (gt_id ?? gt_path ?? run?.eval) != null;
  if (run === undefined || run.status === "failed" || !isMeasured) return status;
  const evaluation = await Evaluate.ofRun(context, server, run.run_id);
  const { isGood } = tell(context, evaluation, { bars: state.fail_under, json: options.json });
  return isGood ? status : exit.items;
}

/** The run is undefined if its end was not waited for. */
async function toEnd(
  context: Context,
  server: Server.Server,
  state: State.State,
  options: BatchOptions,
): Promise<{ run: Run.Run | undefined; status: Exit }> {
  try {
    if (!state.sent) await Send.send(context, server, state);
    if (!options.wait) return { run: undefined, status: await leave(context, server, state, options) };
    const run = await Run.wait(context, server, state.run_id);
    checkOut(context, state, options);
    const { out, table, left_out: leftOut } = state;
    const wish = { out: out ?? undefined, json: options.json, table, leftOut };
    const status = await conclude(context, server, run, wish);
    State.remove(context.env, state.run_id);
    return { run, status: statusOf(context, state, status) };
  } catch (error) {
    if (context.signal.aborted) await interrupted(context, server, state);
    else if (error instanceof CallError && isLost(error, state)) {
      State.remove(context.env, state.run_id);
      throw error;
    }
    const url = options.url === undefined ? "" : ` --url ${options.url}`;
    if (context.signal.aborted || error instanceof CallError || error instanceof UsageError)
      context.say(`to go on${whenOf(error)}: ${hint(state.run_id)}${url}`);
    throw error;
  }
}

/** Reports the end of the run, and the files that were left out of it. */
function statusOf(context: Context, { skipped, left_out: leftOut, source }: State.State, status: Exit): Exit {
  if (skipped === 0) return status;
  // A state from an older version, without reasons, counts only files with a picture's name that are not pictures.
  const documents = leftOut?.documents ?? skipped;
  for (const line of LeftOut.lines(leftOut ?? { count: skipped, by_reason: {}, first: [] }, basename(source)))
    context.say(line);
  return status === exit.ok && documents > 0 ? exit.items : status;
}

/** Resuming makes no sense: the server will never accept it, or has nothing of it yet. */
function isLost(error: CallError, { sent, entries }: State.State): boolean {
  if (error.isFinal) return true;
  return !error.passes && !sent && entries.every(({ uploadedAt }) => uploadedAt === undefined);
}

/** The condition under which the same batch can succeed, for the line that says how to go on. */
function whenOf(error: unknown): string {
  if (!(error instanceof CallError)) return "";
  if (error.code === "unauthorized" || error.code === "forbidden") return " with a key that may";
  const { retryAfterMs = 0 } = error;
  if (retryAfterMs < soonMs) return "";
  const at = Table.minute(new Date(Date.now() + retryAfterMs).toISOString());
  return ` in ${Progress.duration(retryAfterMs / 1000)} (${at} UTC)`;
}

/** A shorter wait than this is not mentioned. */
const soonMs = 60_000;

const hint = (runId: string) => `npm run ocrlty -- batch --resume ${runId}`;

/** Throws UsageError for results that would replace what exists, or a file that the batch itself reads. */
function checkOut(
  context: Context,
  { out, partial, source, entries }: Pick<State.State, "out" | "partial" | "source" | "entries">,
  { force, gt }: Pick<BatchOptions, "force" | "gt">,
): void {
  if (out === null) return;
  // Partial results may be replaced by the complete ones, unless the user has changed the file.
  const mine = (file: string) => {
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    return (
      file === out && stat?.size === partial?.bytes && Math.floor(stat?.mtimeMs ?? 0) === partial?.modified_ms
    );
  };
  const pictures = entries.flatMap(({ path }) => path ?? []);
  const inputs = [source, ...(gt === undefined ? [] : [gt]), ...pictures];
  Output.check(context, Results.filesOf(out), { force, mine, inputs });
}

async function leave(
  context: Context,
  server: Server.Server,
  state: State.State,
  { json }: BatchOptions,
): Promise<Exit> {
  const run = await Run.get(server, { runId: state.run_id }, context.signal);
  const facts = state.left_out === undefined ? run : { ...run, left_out: state.left_out };
  context.out(json ? `${JSON.stringify(facts)}\n` : `${Text.shown(run.run_id)} ${Text.shown(run.status)}\n`);
  if (server.ownLoop)
    context.say("the local loop ends with this command; the run goes on when one runs again (npm start)");
  context.say(`to wait for it: ${hint(state.run_id)}`);
  // A command that waits reports the files that were left out; this one does not wait.
  return statusOf(context, state, exit.ok);
}

/**
 * Longer than a picture usually takes. A killed worker's message comes back only after two minutes, and a batch that is
 * resumed at once would wait for it.
 */
const inFlightMs = 20_000;

async function close(context: Context, server: Server.Server): Promise<void> {
  await server.close(context.signal.aborted ? inFlightMs : undefined);
}

/** After Ctrl-C the wait is short. */
const lastWordsMs = 15_000;

/** Saves the partial results; if that fails, it is only mentioned. */
async function interrupted(context: Context, server: Server.Server, state: State.State): Promise<void> {
  if (!state.sent) {
    const { entries } = state;
    context.say(
      `nothing has started; ${entries.filter(Send.isReady).length} of ${entries.length} are uploaded`,
    );
    return;
  }
  context.say(
    server.ownLoop
      ? "the local loop ends with this command, after the pictures in flight (Ctrl-C again: at once); the run goes on when it is taken up again"
      : "the run goes on at the server",
  );
  const { out } = state;
  if (out === null) return;
  const last = { ...context, signal: AbortSignal.timeout(lastWordsMs) };
  try {
    checkOut(context, state, {});
    const run = await Run.get(server, { runId: state.run_id }, last.signal);
    const count = await Results.savePartial(last, server, run, { out, options: state.table });
    const { size, mtimeMs } = fs.statSync(out);
    state.partial = { bytes: size, modified_ms: Math.floor(mtimeMs) };
    State.save(context.env, state);
    context.say(`${count} of ${run.counts.total} items so far are in ${out}`);
  } catch (error) {
    context.say(`no partial results: ${error instanceof Error ? error.message : String(error)}`);
  }
}

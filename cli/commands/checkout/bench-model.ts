import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Bench from "#cli/bench-model/bench";
import * as Models from "#cli/bench-model/models";
import * as Receipts from "#cli/bench-model/receipts";
import * as Show from "#cli/bench-model/show";
import * as Bar from "#cli/evals/bar";
import { bar as lineOf } from "#cli/evals/show";
import { nothingIn } from "#cli/evals/tell";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import * as Task from "#core/task/task";
import * as Limits from "#spec/limits";

interface BenchOptions {
  gt: string;
  models: string;
  pixels?: string;
  task: string;
  imageKey: string;
  concurrency: string;
  turn: string;
  limit?: string;
  verdict: boolean;
  failUnder: string[];
  keep?: boolean;
  json?: boolean;
}

const help = {
  about: `
--models is a list of NAME=URL, each at a server of its own or several at one; a name alone is at VLLM_BASE_URL. Keys are
variables, because other users of a machine can see a command line: VLLM_API_KEY_1 is the first model's, VLLM_API_KEY_2 the
second's; VLLM_API_KEY is sent to VLLM_BASE_URL alone. Dollars are GPU_COST_PER_HOUR, or GPU_COST_PER_HOUR_1 and so on
where the servers cost different amounts.

Every model gets a local loop of its own in a temporary folder, which is removed at the end, and reads the pictures that have
labels. They take turns of a few receipts, so that only one is asked at a time and whatever slows the machine down meets all
of them. The table has a column for each, with intervals of 95 %, the published metrics, and the verdict of \`ocrlty diff\`
against the first (docs/evaluation.md).`,
  examples: [
    "npm run ocrlty -- bench-model scans --gt labels.jsonl --models a=http://127.0.0.1:8001/v1,b=https://gpu.example/v1",
    "npm run ocrlty -- bench-model scans --gt labels.jsonl --models now --pixels full,3.2,1.6,0.8",
    "npm run ocrlty -- bench-model scans --gt labels.jsonl --models now,next --task receipt_v1 --fail-under micro=0.9",
  ],
  exits: {
    0: "measured",
    1: "a field regressed or a bar was missed",
    2: "usage, a model server or a loop",
    130: "interrupted",
  },
};

/** `bench-model DIR`: which of several models reads these receipts best, and for how much. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    new Command("bench-model")
      .description("measure models of your own on labeled receipts, side by side")
      .argument("<dir>", "a folder of pictures")
      .requiredOption("--gt <labels>", "a file of labels")
      .requiredOption("--models <list>", "NAME=URL,NAME=URL; the first is what the others are compared with")
      .option(
        "--pixels <list>",
        "megapixels of a picture as it is sent, such as 0.8,1.6,full: a column for each",
      )
      .option("--task <id>", "what to read", "receipt_fields_v1")
      .option("--image-key <name>", "the member of a record that names its picture", "file")
      .option("--concurrency <n>", `receipts at a model at once, 1 to ${Limits.batches.maxConcurrency}`, "4")
      .option("--turn <n>", "receipts that a model reads before the next has its turn", "16")
      .option("--limit <n>", "only the first N labeled pictures")
      .option("--no-verdict", "figures alone, also of receipts too few for a verdict")
      .option(...Bar.failUnder)
      .option("--keep", "keep the folders of the loops, with all runs and artifacts")
      .option("--json", "all figures on one line of JSON"),
    help,
  ).action(async (dir: string, options: BenchOptions) => done(await bench(context, dir, options)));
}

async function bench(context: Context, dir: string, options: BenchOptions): Promise<Exit> {
  const task = Task.get(options.task);
  if (task === undefined)
    throw new UsageError(`--task: there is no task ${Text.shown(options.task)} (npm run ocrlty -- tasks)`);
  const { maxConcurrency } = Limits.batches;
  const concurrency = Options.wholeNumber("--concurrency", options.concurrency, maxConcurrency) ?? 4;
  const turn = Options.wholeNumber("--turn", options.turn) ?? 16;
  const limit = Options.wholeNumber("--limit", options.limit);
  const bars = options.failUnder.map(Bar.parse);
  Bar.checkFields(
    bars,
    task.fields.map(({ path }) => path),
  );
  const named = Models.parse(context, options.models);
  const models = options.pixels === undefined ? named : Models.atSizes(named, options.pixels);
  const isCompared = options.verdict && models.length > 1;
  const { imageKey } = options;
  const wish = { dir, labels: options.gt, imageKey, limit, isCompared };
  const receipts = await Receipts.collect(context, task, wish);
  await Models.check(named, context.signal);
  context.say(`${Text.counted(receipts.entries.length, "receipt")}, ${Text.counted(models.length, "model")}`);
  const found = await Bench.run(context, models, receipts, {
    ...{ task, taskId: task.id, concurrency, imageKey, turn, isCompared, keep: options.keep === true },
  });
  const judged = found.models.map((each) => ({ ...each, bars: Bar.judge(bars, each.evaluation) }));
  context.out(
    options.json ? `${JSON.stringify({ ...found, models: judged })}\n` : Show.table(found, context),
  );
  for (const { label, bars: reached } of judged)
    for (const bar of reached) context.say(`${label}: ${lineOf(bar)}`);
  const isWorse = found.models.some(({ diff }) =>
    diff?.fields.some(({ verdict }) => verdict === "regressed"),
  );
  const isMissed = judged.some(({ bars: reached }) => reached.some(({ ok }) => !ok));
  const empty = found.models.flatMap(({ label, evaluation }) => {
    const nothing = nothingIn(evaluation);
    return nothing === undefined ? [] : [`error: ${label}: ${nothing}`];
  });
  for (const line of empty) context.say(line);
  return isWorse || isMissed || empty.length > 0 ? exit.items : exit.ok;
}

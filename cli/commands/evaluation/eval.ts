import { Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import * as Results from "#cli/batch/results";
import * as Run from "#cli/batch/run";
import * as Bar from "#cli/evals/bar";
import * as Evaluate from "#cli/evals/evaluate";
import * as Show from "#cli/evals/show";
import { tell } from "#cli/evals/tell";
import * as Output from "#cli/files/output";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import type * as Read from "#core/evaluation/read";
import type * as Wire from "#core/evaluation/wire";

interface EvalOptions extends Options.Common {
  gt: string;
  imageKey?: string;
  strMode: "exact" | "strip";
  failUnder: string[];
  junit?: string;
  worst?: string;
  report?: string;
  force?: boolean;
  /** False with --no-pictures. */
  pictures: boolean;
}

const help = {
  about: `
Compares each item of an ended run with the record that names its file, and prints how the labeled values were read.
ACCURACY compares what values mean, EXACT their printed text (docs/evaluation.md). --fail-under takes a field's path, micro for
all values or documents for the share of documents that are right; with :lower the lower end of the interval must reach it.`,
  examples: [
    "npm run ocrlty -- eval shop-1 --gt labels.jsonl",
    "npm run ocrlty -- eval shop-1 --gt november --fail-under total=0.95 --fail-under micro=0.9:lower --junit eval.xml",
  ],
  exits: {
    0: "done, and every bar was reached",
    1: "a bar was missed, or no label fits",
    2: "usage, server or network",
    130: "interrupted",
  },
};

/** `eval RUN --gt LABELS`: how good a run is. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("eval")
        .description("measure a run by labels (POST /v1/evals)")
        .argument("<run-id>", "the run, which has ended")
        .requiredOption("--gt <labels>", "a file of labels, or a ground truth's name or gt_id")
        .option("--image-key <name>", "the member of a record that names its picture")
        .addOption(
          new Option("--str-mode <mode>", "how exact figures compare texts")
            .choices(["exact", "strip"])
            .default("strip"),
        )
        .option(...Bar.failUnder)
        .option("--junit <file>", "write the bars as JUnit XML, for CI")
        .option("--worst <file>", "write a CSV of the receipts, worst first")
        .option("--report <file>", "write the report, one HTML file")
        .option(...Output.force)
        .option("--no-pictures", "leave the thumbnails of the worst receipts out of the report"),
      "the evaluation on one line of JSON",
    ),
    help,
  ).action(async (runId: string, options: EvalOptions) => done(await evaluate(context, runId, options)));
}

async function evaluate(context: Context, runId: string, options: EvalOptions): Promise<Exit> {
  const { gt: labels, imageKey, strMode, failUnder } = options;
  const bars = failUnder.map(Bar.parse);
  if (bars.length === 0 && options.junit !== undefined)
    throw new UsageError("--junit writes what --fail-under asks for: name at least one bar");
  if (!options.pictures && options.report === undefined)
    throw new UsageError("--no-pictures is about --report: name its file");
  const { junit, worst, report, force } = options;
  Output.check(context, [junit, worst, report], { force, inputs: [labels] });
  const server = await Server.connect(context, options);
  let isMeasured = false;
  try {
    const run = await Run.get(server, { runId }, context.signal);
    if (bars.length > 0) Bar.checkFields(bars, await Results.fieldsOf(context, server, run.task_id));
    const evaluation = await Evaluate.evaluate(context, server, { runId, labels, imageKey, strMode });
    // The figures are printed even if a file cannot be written.
    const { judged, isGood } = tell(context, evaluation, { bars: failUnder, json: options.json });
    isMeasured = true;
    const write = (name: string, text: string) =>
      Output.write(context, name, text, { force, inputs: [labels] });
    if (junit !== undefined) write(junit, Show.junit(evaluation, judged));
    if (worst !== undefined) write(worst, Show.worst(await samplesOf(context, evaluation), run));
    if (report !== undefined) write(report, await Evaluate.report(context, server, evaluation, options));
    return isGood ? exit.ok : exit.items;
  } catch (error) {
    if (!isMeasured || !(error instanceof UsageError)) throw error;
    // With --json the figures are the one document on stdout.
    context.say(`error: ${error.message}`);
    return exit.failed;
  } finally {
    await server.close();
  }
}

async function samplesOf(context: Context, evaluation: Read.Shown): Promise<Wire.Sample[]> {
  const samples: Wire.Sample[] = [];
  for await (const sample of Evaluate.samples(context, evaluation)) samples.push(sample);
  return samples;
}

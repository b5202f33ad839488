import { Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import * as Bar from "#cli/evals/bar";
import * as Evaluate from "#cli/evals/evaluate";
import * as Show from "#cli/evals/show";
import { tell } from "#cli/evals/tell";
import { write } from "#cli/files/write";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import type * as Wire from "#core/evaluation/wire";

interface EvalOptions extends Options.Common {
  gt: string;
  imageKey?: string;
  strMode: "exact" | "strip";
  failUnder: string[];
  junit?: string;
  worst?: string;
  report?: string;
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
    1: "a bar was missed",
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
        .option("--no-pictures", "leave the thumbnails of the worst receipts out of the report"),
      "the evaluation on one line of JSON",
    ),
    help,
  ).action(async (runId: string, options: EvalOptions) => done(await evaluate(context, runId, options)));
}

async function evaluate(context: Context, runId: string, options: EvalOptions): Promise<Exit> {
  if (options.failUnder.map(Bar.parse).length === 0 && options.junit !== undefined)
    throw new UsageError("--junit writes what --fail-under asks for: name at least one bar");
  if (!options.pictures && options.report === undefined)
    throw new UsageError("--no-pictures is about --report: name its file");
  const server = await Server.connect(context, options);
  try {
    const { gt: labels, imageKey, strMode } = options;
    const evaluation = await Evaluate.evaluate(context, server, { runId, labels, imageKey, strMode });
    if (options.worst !== undefined) {
      const samples: Wire.Sample[] = [];
      for await (const sample of Evaluate.samples(context, evaluation)) samples.push(sample);
      write(context, options.worst, Show.worst(samples, await Evaluate.runOf(context, server, runId)));
    }
    if (options.report !== undefined)
      write(context, options.report, await Evaluate.report(context, server, evaluation, options));
    const judged = tell(context, evaluation, { bars: options.failUnder, json: options.json });
    if (options.junit !== undefined) write(context, options.junit, Show.junit(evaluation, judged));
    return judged.every(({ ok }) => ok) ? exit.ok : exit.items;
  } finally {
    await server.close();
  }
}

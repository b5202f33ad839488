import { Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import * as Agree from "#cli/diff/agree";
import { compare } from "#cli/diff/compare";
import * as Show from "#cli/diff/show";
import * as Sides from "#cli/diff/sides";
import * as Worst from "#cli/diff/worst";
import * as Output from "#cli/files/output";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import type * as Schema from "#core/evaluation/diff/schema";
import type * as Read from "#core/evaluation/read";

interface DiffOptions extends Options.Common {
  values: Schema.EvaluationDiff["compared_by"];
  examples: string;
  worst?: string;
  force?: boolean;
}

const help = {
  about: `
Both are runs, or evaluations, of the same files; runs stand for the newest pair of their evaluations with the same labels,
or else for the newest of each. Prints for each field whether the second is better or worse and whether that can be chance, and what was fixed, broken, changed and is still wrong
(docs/evaluation.md). Without an evaluation of either run it prints how far the two agree, which is not a verdict.`,
  examples: [
    "npm run ocrlty -- diff november november-2",
    "npm run ocrlty -- diff november november-2 --examples 20 --worst worst.csv",
  ],
  exits: {
    0: "no field regressed, or there are no labels",
    1: "a field regressed",
    2: "usage, server or network",
    130: "interrupted",
  },
};

/** `diff A B`: what is better and worse in the second of two runs. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("diff")
        .description("what two runs of the same files differ in (GET /v1/evals/{eval_id}/diff/{other_id})")
        .argument("<first>", "a run or an evaluation")
        .argument("<second>", "the newer one")
        .addOption(
          new Option("--values <which>", "whether values are right by what they mean or by their print")
            .choices(["canonical", "exact"])
            .default("canonical"),
        )
        .option("--examples <n>", "how many of each kind are listed, at most 100", "5")
        .option("--worst <file>", "write a CSV of the receipts, most broken values first")
        .option(...Output.force),
      "the differences on one line of JSON",
    ),
    help,
  ).action(async (first: string, second: string, options: DiffOptions) =>
    done(await diff(context, [first, second], options)),
  );
}

async function diff(context: Context, ids: readonly [string, string], options: DiffOptions): Promise<Exit> {
  const examples = Options.wholeNumber("--examples", options.examples, 100) ?? 0;
  Output.check(context, [options.worst], options);
  const server = await Server.connect(context, options);
  try {
    const sides = await Sides.of(context, server, ids);
    const [first, second] = [sides[0].evaluation, sides[1].evaluation];
    if (first !== undefined && second !== undefined)
      return await measured(context, server, [first, second], { ...options, examples });
    if (first !== undefined || second !== undefined) throw await Sides.oneSided(context, server, sides);
    if (options.worst !== undefined)
      throw new UsageError("--worst needs labels, and neither run has an evaluation");
    const agreed = await Agree.agree(context, server, [sides[0].runId, sides[1].runId]);
    if (agreed.documents === 0) throw new UsageError(nothingInCommon);
    context.out(options.json ? `${JSON.stringify(agreed)}\n` : Show.agreement(agreed, context));
    return exit.ok;
  } finally {
    await server.close();
  }
}

/** Exit status 0 would mean that nothing regressed. */
const nothingInCommon = "no document is in both, by file or custom_id: there is nothing to compare";

async function measured(
  context: Context,
  server: Server.Server,
  sides: readonly [Read.Shown, Read.Shown],
  options: Omit<DiffOptions, "examples"> & { examples: number },
): Promise<Exit> {
  const [first, second] = sides;
  const documents = Math.min(first.summary?.documents ?? 0, second.summary?.documents ?? 0);
  context.say(`comparing ${Text.counted(documents, "document")} of ${first.run_id} and ${second.run_id}`);
  const found = await compare(context, server, sides, options.values);
  if (found.documents === 0) throw new UsageError(nothingInCommon);
  // The figures are printed even if a file cannot be written.
  context.out(options.json ? `${JSON.stringify(found)}\n` : Show.diff(found, options.examples, context));
  try {
    if (options.worst !== undefined)
      Output.write(context, options.worst, await Worst.worst(context, server, sides, found), options);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    context.say(`error: ${error.message}`);
    return exit.failed;
  }
  return found.fields.some(({ verdict }) => verdict === "regressed") ? exit.items : exit.ok;
}

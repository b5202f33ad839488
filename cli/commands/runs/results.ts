import { basename, resolve } from "node:path";
import { Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import * as Results from "#cli/batch/results";
import * as Output from "#cli/files/output";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import * as Formats from "#core/export/formats";
import type * as Maker from "#core/export/table/maker";

interface ResultsOptions extends Options.Owned, Results.TableOptions {
  format?: Results.Format;
  out?: string;
  force?: boolean;
  mapping?: string;
}

const help = {
  examples: [
    "npm run ocrlty -- results batch-20261123-101500-x3f9 --out results.csv",
    "npm run ocrlty -- results batch-20261123-101500-x3f9 --out results.csv --dialect semicolon",
    "npm run ocrlty -- results batch-20261123-101500-x3f9 --out results.xlsx",
    "npm run ocrlty -- results batch-20261123-101500-x3f9 --format datev --mapping mapping.json --out EXTF_november.csv",
    "npm run -s ocrlty -- results batch-20261123-101500-x3f9 --format jsonl | jq -r .result.total",
  ],
  exits: {
    0: "done",
    1: "done, without items that the ledger cannot book: they are named",
    2: "usage, server or network (a run that still goes on among them)",
    130: "interrupted",
  },
};

/** `results ID`: the results of a run that has ended, to a file or to stdout. */
const formatOption = () =>
  new Option("--format <format>", "default: what --out is called, else json").choices(Results.formats);

export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.owned(
      Results.tableOptions(
        new Command("results")
          .description("the results of an ended run (GET /v1/runs/{run_id}/results)")
          .argument("<run-id>", "the run's id")
          .addOption(formatOption())
          .option("--out <file>", "write them to this file instead of stdout")
          .option("--mapping <file>", "of ledgers: your accounts, as JSON (docs/ledgers.md)")
          .option(...Output.force),
      ),
    ),
    help,
  ).action(async (runId: string, options: ResultsOptions) => {
    const out = options.out === undefined ? undefined : resolve(context.cwd, options.out);
    const format = options.format ?? (out === undefined ? "json" : Results.formatOf(out));
    if (options.json && out === undefined && !format.startsWith("json"))
      throw new UsageError(`--json with --format ${format}: name the file that it goes to, with --out`);
    if (out !== undefined && options.format !== undefined) Results.checkEnding(out, format);
    const beginning = Formats.isMade(format) ? Formats.beginningOf(format) : "";
    if (out !== undefined && !basename(out).startsWith(beginning))
      throw new UsageError(
        `${format} takes files whose names begin with ${beginning}: --out ${beginning}${basename(out)}`,
      );
    const inputs = options.mapping === undefined ? [] : [options.mapping];
    Output.check(context, [out], { force: options.force, inputs });
    const { mapping: _, ...shown } = options;
    const mapping = await Results.mappingOf(context, format, options.mapping);
    const wanted = { runId, keyId: options.keyId };
    let leftOut: Maker.LeftOut[] = [];
    const server = await Server.connect(context, options);
    try {
      if (out === undefined) await Results.print(context, server, { wanted, format, options: shown });
      else {
        leftOut = await Results.save(context, server, {
          wanted,
          format,
          file: out,
          options: { ...shown, mapping },
        });
        for (const { index, file, custom_id, reason, message } of leftOut) {
          const name = file ?? custom_id;
          const called = name === null ? "" : ` (${Text.shown(name)})`;
          context.say(`item ${index}${called} is left out, ${reason}: ${Text.shown(message)}`);
        }
        context.out(
          options.json
            ? `${JSON.stringify({ run_id: runId, files: [options.out], ...(leftOut.length > 0 ? { left_out: leftOut } : {}) })}\n`
            : `${Text.shown(options.out ?? "")}\n`,
        );
      }
    } finally {
      await server.close();
    }
    done(leftOut.length > 0 ? exit.items : exit.ok);
  });
}

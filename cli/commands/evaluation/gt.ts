import { resolve } from "node:path";
import { Argument, Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import * as Output from "#cli/files/output";
import * as Convert from "#cli/labels/convert";
import * as Known from "#cli/labels/known";
import * as Put from "#cli/labels/put";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import { defaultImageKey } from "#core/ground-truth/schema";

const about = `
A ground truth has the right values as labeled by people: one record per picture, with the names of the task's fields. What is left out is
not scored, null says that the paper does not have it, "?" that it cannot be read, {"any": ["1.0", "1.00"]} lists what is right
(docs/ground-truth.md). Ground truths of one name are versions: \`get\` gives the newest, \`put\` prints what was changed.`;

type Shared = Options.Owned & {
  name?: string;
  out?: string;
  force?: boolean;
  limit?: string;
  imageKey: string;
};

/** `gt put|get|list|delete|from-run|convert`: labels that runs are measured by. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const gt = Help.add(
    new Command("gt").description("labels that runs are measured against (ground truths)"),
    {
      about,
      examples: [
        "npm run ocrlty -- gt put november labels.jsonl",
        "npm run -s ocrlty -- gt get november > labels.json",
      ],
      exits: Help.callExits,
    },
  );
  addPut(gt, context, done);
  addGet(gt, context, done);
  addList(gt, context, done);
  addDelete(gt, context, done);
  addFromRun(gt, context, done);
  addConvert(gt, context, done);
  return gt;
}

const imageKey = [
  "--image-key <name>",
  "the member or column that names a record's picture",
  defaultImageKey,
] as const;

const keyId = ["--key-id <id>", "the key that owns it, for admin:all_keys (default: this key)"] as const;

async function withServer(
  context: Context,
  options: Options.Common,
  work: (server: Server.Server) => Promise<void>,
): Promise<void> {
  const server = await Server.connect(context, options);
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

function addPut(gt: Command, context: Context, done: (status: Exit) => void): void {
  Options.common(
    Help.add(
      gt.command("put").description("store labels, and print what changed since the previous version"),
      {
        about,
        examples: [
          "npm run ocrlty -- gt put november labels.jsonl",
          "npm run ocrlty -- gt put november corrected.json --json",
        ],
        exits: Help.callExits,
      },
    )
      .argument("<name>", "what they are called")
      .argument("<labels>", "a file of JSON or JSON lines, packed with gzip or not; up to 100 MiB")
      .option(...imageKey),
  ).action(async (name: string, file: string, options: Shared) => {
    const wish = { name, file: resolve(context.cwd, file), imageKey: options.imageKey };
    await withServer(context, options, async (server) => {
      const kept = await Put.put(context, server, wish);
      context.out(options.json ? `${JSON.stringify(kept)}\n` : Put.report(kept));
    });
    done(exit.ok);
  });
}

function addGet(gt: Command, context: Context, done: (status: Exit) => void): void {
  Options.common(
    Help.add(gt.command("get").description("a ground truth's records as a JSON list, to be edited"), {
      about,
      examples: [
        "npm run ocrlty -- gt get november --out labels.json",
        "npm run -s ocrlty -- gt get gt_… --json",
      ],
      exits: Help.callExits,
    })
      .argument("<name>", "its name, of which the newest version is taken, or its gt_id")
      .option("--out <file>", "write them there")
      .option(...Output.force)
      .option(...keyId),
  ).action(async (which: string, options: Shared) => {
    Output.check(context, [options.out], options);
    await withServer(context, options, async (server) => {
      const { content_url, content_expires_at, ...known } = await Known.find(context, server, {
        which,
        keyId: options.keyId,
      });
      const records = () => Known.recordsOf(context, { ...known, content_url });
      const out = options.out === undefined ? undefined : resolve(context.cwd, options.out);
      if (out !== undefined) await Known.write(context, Known.edited(records()), out);
      if (options.json)
        context.out(
          `${JSON.stringify(out === undefined ? { ...known, content: await all(records()) } : known)}\n`,
        );
      else if (out === undefined) await Known.write(context, Known.edited(records()), undefined);
      else context.out(`${known.gt_id}: ${Text.counted(known.records, "record")} in ${Text.shown(out)}\n`);
    });
    done(exit.ok);
  });
}

const all = async (records: ReturnType<typeof Known.recordsOf>): Promise<unknown[]> => {
  const values: unknown[] = [];
  for await (const { value } of records) values.push(value);
  return values;
};

function addList(gt: Command, context: Context, done: (status: Exit) => void): void {
  Options.common(
    Help.add(gt.command("list").description("ground truths, newest first"), {
      about,
      examples: ["npm run ocrlty -- gt list --name november"],
      exits: Help.callExits,
    })
      .option("--name <name>", "only the versions of this name")
      .option("--key-id <id>", "only this key's, for admin:all_keys")
      .option("--limit <n>", "at most this many (default: 50)"),
    "a line of JSON each",
  ).action(async (options: Shared) => {
    const limit = Options.wholeNumber("--limit", options.limit) ?? 50;
    await withServer(context, options, async (server) => {
      const rows = [["GT", "NAME", "RECORDS", "SHA256", "PICTURE KEY", "FROM RUN", "CREATED"]];
      const found = Run.newest(context, server, "/v1/ground_truths", {
        query: { name: options.name, key_id: options.keyId },
        ...{ limit, schema: Known.GroundTruth },
      });
      for await (const each of found) {
        const { gt_id, name, records, sha256, gt_image_key, from_run_id, created_at } = each;
        if (options.json) context.out(`${JSON.stringify(each)}\n`);
        else
          rows.push([
            gt_id,
            name,
            String(records),
            sha256.slice(0, 12),
            gt_image_key,
            from_run_id ?? "-",
            Table.minute(created_at),
          ]);
      }
      if (!options.json) context.out(Table.table(rows, context));
    });
    done(exit.ok);
  });
}

function addDelete(gt: Command, context: Context, done: (status: Exit) => void): void {
  Options.common(
    Help.add(gt.command("delete").description("delete one version for good, with its records"), {
      about,
      examples: ["npm run ocrlty -- gt delete gt_3q2W1x9vT0aZ8yB7cD6eF5gH"],
      exits: Help.callExits,
    })
      .argument("<gt-id>", "its gt_id, as list shows it")
      .option(...keyId),
  ).action(async (gtId: string, options: Shared) => {
    await withServer(context, options, async (server) => {
      const path = Known.pathOf(gtId, options.keyId);
      const json = await Run.ask(server, { method: "DELETE", path, signal: context.signal });
      context.out(options.json ? `${JSON.stringify(json)}\n` : `${Text.shown(gtId)} is deleted\n`);
    });
    done(exit.ok);
  });
}

function addFromRun(gt: Command, context: Context, done: (status: Exit) => void): void {
  Options.common(
    Help.add(
      gt.command("from-run").description("draft labels from the results of a run, to correct by hand"),
      {
        about: `${about}\nA draft is right by definition for the run that it came from: correct it before anything is measured by it.`,
        examples: ["npm run ocrlty -- gt from-run november --name november --out labels.json"],
        exits: Help.callExits,
      },
    )
      .argument("<run-id>", "a run that has ended")
      .requiredOption("--name <name>", "what the labels are called")
      .option("--out <file>", "write its records there as well")
      .option(...Output.force),
  ).action(async (runId: string, options: Shared) => {
    Output.check(context, [options.out], options);
    await withServer(context, options, async (server) => {
      const body = { run_id: runId, name: options.name };
      const request = {
        method: "POST",
        path: "/v1/ground_truths/from_run",
        body,
        signal: context.signal,
      } as const;
      const created = Known.as(Put.Created, await Run.ask(server, request, [200, 201]));
      if (options.out !== undefined) {
        const known = await Known.find(context, server, { which: created.gt_id });
        const out = resolve(context.cwd, options.out);
        await Known.write(context, Known.edited(Known.recordsOf(context, known)), out);
      }
      const kept = { ground_truth: created, is_new: true, changes: null };
      context.out(options.json ? `${JSON.stringify(kept)}\n` : Put.report(kept));
    });
    done(exit.ok);
  });
}

interface ConvertOptions {
  to: "records" | "cord";
  task: string;
  absent?: boolean;
  extension: string;
  imageKey: string;
  out?: string;
  force?: boolean;
  json?: boolean;
}

function addConvert(gt: Command, context: Context, done: (status: Exit) => void): void {
  Help.add(
    gt.command("convert").description("convert labels of other data sets to JSON lines, on this machine"),
    {
      about:
        "Values that the task, or CORD, has no field for are left out; how many of which field is said on stderr. `records` is\nOCRlty's own format, for --to cord. The lines go to stdout, or with --out to a file.",
      examples: [
        "npm run -s ocrlty -- gt convert cord CORD/test/metadata.jsonl > labels.jsonl",
        "npm run ocrlty -- gt convert sroie SROIE/key --out labels.jsonl",
        "npm run ocrlty -- gt convert csv labels.csv --task receipt_fields_v2 --out labels.jsonl",
        "npm run ocrlty -- gt convert records labels.jsonl --to cord --out metadata.jsonl",
      ],
      exits: { 0: "done", 2: "usage, or a file of another format" },
    },
  )
    .addArgument(new Argument("<format>", "what the files are").choices(Convert.formats))
    .argument("<paths...>", "files, or folders with them")
    .addOption(new Option("--to <what>", "what is written").choices(["records", "cord"]).default("records"))
    .option("--task <id>", "whose fields the labels are named by", Convert.defaultTask)
    .option("--absent", "label a field as absent if the source has it and leaves it empty (not for records)")
    .option(
      "--extension <ext>",
      "of pictures, for label files named like them (cord, sroie, receiptbench)",
      "jpg",
    )
    .option(
      "--image-key <name>",
      "the column or member that names the picture (csv, records)",
      defaultImageKey,
    )
    .option("--out <file>", "write them there")
    .option(...Output.force)
    .option("--json", "with --out: what was converted, on one line of JSON")
    .action(async (format: Convert.Format, paths: string[], options: ConvertOptions, command: Command) => {
      checkConvert(format, options, (name) => command.getOptionValueSource(name) === "cli");
      const { to, task, extension, imageKey: key, out, force, absent = false } = options;
      const wish = { format, paths, to, task, extension, imageKey: key, out, force, absent };
      const summary = await Convert.convert(context, wish);
      const counts = `${Text.counted(summary.records, "record")} of ${Text.counted(summary.files, "file")}`;
      if (out === undefined) context.say(counts);
      else context.out(options.json ? `${JSON.stringify(summary)}\n` : `${counts}\n`);
      for (const line of Convert.notesOf(summary)) context.say(line);
      done(exit.ok);
    });
}

/** Throws UsageError for an option that has no meaning for this format, instead of passing over it. */
function checkConvert(
  format: Convert.Format,
  options: ConvertOptions,
  isGiven: (name: "imageKey" | "extension") => boolean,
): void {
  const isTable = format === "csv" || format === "records";
  if (isGiven("imageKey") && !isTable) throw new UsageError("--image-key is for csv and records");
  if (isGiven("extension") && isTable)
    throw new UsageError("--extension is for cord, sroie and receiptbench");
  if (options.absent && format === "records")
    throw new UsageError("--absent is not for records: write null for what is absent");
  if (options.json && options.out === undefined)
    throw new UsageError("--json needs --out: without it the records go to stdout");
}

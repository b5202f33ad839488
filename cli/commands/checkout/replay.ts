import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import * as Live from "#cli/replay/live";
import * as One from "#cli/replay/one";
import * as Source from "#cli/replay/source";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import * as Config from "#core/config";
import { type Replayed, replay } from "#core/replay/replay";

interface ReplayOptions extends Options.Common {
  all?: boolean;
  live?: boolean;
  picture?: string;
}

const help = {
  about: `
Computes result, schema errors, canonical values and checks again from the model's stored text, without a model, and
compares them byte for byte with what is stored. A difference means that the code or its rules have changed since, or that
the artifact was altered. Files, folders and backups need no server; ids are read through the server's debug routes.
--live asks the model again: the pictures of a run must be kept (--keep-inputs, or the data root), that of one extract must be
an upload that is still there, or is named with --picture.`,
  examples: [
    "npm run ocrlty -- replay first-1.json",
    "npm run ocrlty -- replay backup.tar.gz",
    "npm run ocrlty -- replay batch-20261123-101500-x3f9",
    "npm run ocrlty -- replay batch-20261123-101500-x3f9 --live",
    "npm run ocrlty -- replay first-1 --live --picture photo.jpg",
  ],
  exits: {
    0: "all that could be replayed is the same",
    1: "something differs, or could not be replayed",
    2: "usage, server or network",
    130: "interrupted",
  },
};

/** `replay ARTIFACT… | RUN | --all`: computes stored answers again from the model's text. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("replay")
        .description("compute stored answers again from the model's text, and say what differs")
        .argument("[what...]", "artifact files, folders of them, a backup, or ids of extracts and runs")
        .option("--all", "every artifact that the key can see")
        .option(
          "--live",
          "ask the model again with the pictures of a run, or of one artifact, and show what changed",
        )
        .option("--picture <file>", "with --live of one artifact: its picture, where the server keeps none"),
      "a line of JSON an artifact; with --live one line",
    ),
    help,
  ).action(async (what: string[], options: ReplayOptions) => {
    if (what.length > 0 === (options.all === true))
      throw new UsageError("name files, folders, backups or ids, or give --all");
    if (options.picture !== undefined && !options.live)
      throw new UsageError("--picture is the picture of one artifact, for --live");
    if (options.live) done(await live(context, what, options));
    else done(await offline(context, what, options));
  });
}

async function offline(context: Context, what: string[], options: ReplayOptions): Promise<Exit> {
  const ids = what.filter((name) => !Source.isPath(context, name));
  const paths = what.filter((name) => Source.isPath(context, name));
  const report = new Report(context, options);
  for (const path of paths) for await (const found of Source.ofPath(context, path)) await report.add(found);
  if (ids.length === 0 && !options.all) return report.end();
  const server = await Server.connect(context, options);
  try {
    for (const id of ids) for await (const found of Source.ofId(context, server, id)) await report.add(found);
    if (options.all) for await (const found of Source.ofAll(context, server)) await report.add(found);
  } finally {
    await server.close();
  }
  return report.end();
}

const reasons: Record<string, string> = {
  no_artifact: "no artifact of an extract",
  no_raw_text: "no text of a model is stored",
  unknown_task: "this version has no such task",
  schema_refused: "this version refuses the caller's schema",
};

/** Shows one artifact after the other, and the total at the end. */
class Report {
  readonly #context: Context;
  readonly #options: ReplayOptions;
  readonly #counts = { same: 0, differs: 0, not_replayable: 0 };
  readonly #why = new Map<string, number>();
  #otherPrompt = 0;
  #otherRules = 0;

  constructor(context: Context, options: ReplayOptions) {
    this.#context = context;
    this.#options = options;
  }

  async add({ name, artifact }: Source.Found): Promise<void> {
    const replayed = artifact === undefined ? undefined : await replay(artifact, Config.app().version);
    const outcome = replayed?.outcome ?? "not_replayable";
    this.#counts[outcome] += 1;
    this.#otherPrompt += replayed?.prompt_changed || replayed?.schema_changed ? 1 : 0;
    if (replayed !== undefined && replayed.rules_version.stored !== replayed.rules_version.now)
      this.#otherRules += 1;
    const reason = replayed === undefined ? "no_artifact" : replayed.reason;
    if (reason !== null) this.#why.set(reason, (this.#why.get(reason) ?? 0) + 1);
    if (this.#options.json) {
      this.#context.out(`${JSON.stringify({ name, ...(replayed ?? { outcome, reason }) })}\n`);
    } else if (replayed?.outcome === "differs") this.#context.out(differing(name, replayed));
    else if (reason !== null) this.#context.out(`${Text.shown(name)}: ${reasons[reason] ?? reason}\n`);
  }

  end(): Exit {
    const { same, differs, not_replayable: not } = this.#counts;
    const total = same + differs + not;
    if (total === 0) throw new UsageError("there is no artifact");
    if (!this.#options.json) {
      const parts = [`${same} of ${total} the same`];
      if (differs > 0) parts.push(`${differs} differ`);
      for (const [reason, count] of this.#why) parts.push(`${count}: ${reasons[reason] ?? reason}`);
      this.#context.out(`${parts.join("; ")}\n`);
      if (this.#otherRules > 0)
        this.#context.say(
          `${this.#otherRules} were computed by another version of the rules for values and checks`,
        );
      if (this.#otherPrompt > 0)
        this.#context.say(
          `${this.#otherPrompt} were asked with another prompt or schema than this version's task has`,
        );
    }
    return same === total ? exit.ok : exit.items;
  }
}

/** The differences in one artifact, at most ten. */
function differing(name: string, { differences, more, code_version, rules_version }: Replayed): string {
  const shown = differences.slice(0, 10);
  const left = differences.length - shown.length + more;
  const lines = shown.map(
    ({ path, stored, now }) => `  ${path}: ${spoken(stored)} is stored, ${spoken(now)} is computed`,
  );
  if (left > 0) lines.push(`  and ${left} more (--json has ${more > 0 ? "the first 100" : "all"})`);
  const versions = `written by ${code_version.stored ?? "an unknown version"}, this is ${code_version.now}`;
  const { stored, now } = rules_version;
  const rules =
    stored === now
      ? "by the same rules: other code has changed, or the artifact"
      : `rules ${stored ?? "of an unknown version"} then, ${now} now`;
  return `${Text.shown(`${name} differs (${versions}; ${rules})`)}\n${lines.map((line) => `${Text.shown(line)}\n`).join("")}`;
}

function spoken(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

async function live(context: Context, what: string[], options: ReplayOptions): Promise<Exit> {
  const [source, ...others] = what;
  if (source === undefined || others.length > 0)
    throw new UsageError("--live takes the id of one run, or one artifact");
  const server = await Server.connect(context, options);
  try {
    const isFile = Source.isPath(context, source);
    const run = isFile ? undefined : await Run.find(server, { runId: source }, context.signal);
    if (run !== undefined && options.picture !== undefined)
      throw new UsageError("--picture is the picture of one artifact, and this is a run");
    return run === undefined
      ? await liveOne(context, server, source, options)
      : await liveRun(context, server, source, options);
  } finally {
    await server.close();
  }
}

async function liveRun(
  context: Context,
  server: Server.Server,
  source: string,
  options: ReplayOptions,
): Promise<Exit> {
  const seen = await Live.again(context, server, source);
  if (options.json) context.out(`${JSON.stringify(seen)}\n`);
  else {
    const rows = seen.fields.map(({ field, same, changed }) => [field, String(same), String(changed)]);
    context.out(Table.table([["FIELD", "SAME", "CHANGED"], ...rows], context));
    const left = seen.not_compared > 0 ? `, ${seen.not_compared} have a result in one of the runs only` : "";
    const are = seen.compared === 1 ? "document is" : "documents are";
    context.out(`${seen.same} of ${seen.compared} ${are} the same${left}\n`);
  }
  const isSame = seen.compared > 0 && seen.same === seen.compared && seen.not_compared === 0;
  return isSame ? exit.ok : exit.items;
}

async function liveOne(
  context: Context,
  server: Server.Server,
  source: string,
  options: ReplayOptions,
): Promise<Exit> {
  const found: Source.Found[] = [];
  if (Source.isPath(context, source))
    for await (const each of Source.ofPath(context, source)) found.push(each);
  else found.push(await Source.ofExtract(context, server, source));
  const [only, ...others] = found;
  if (only?.artifact === undefined || others.length > 0)
    throw new UsageError(`${source}: --live takes the id of one run, or one artifact`);
  const drift = await One.again(context, server, only.artifact, options.picture);
  context.out(options.json ? `${JSON.stringify(drift)}\n` : drifted(drift));
  return drift.same ? exit.ok : exit.items;
}

/** The values of one artifact that differ now. */
function drifted({ source_request_id, request_id, differences, model, prompt_changed }: One.Drift): string {
  const lines = [
    ...differences.map(({ path, stored, now }) => `${path}: ${spoken(stored)} before, ${spoken(now)} now`),
    `${differences.length === 0 ? "the same" : `${differences.length} differ`}: ${source_request_id}, read again as ${request_id}`,
    ...(model.stored === model.now
      ? []
      : [`another model: ${model.stored ?? "none"} before, ${model.now ?? "none"} now`]),
    ...(prompt_changed ? ["another prompt than before"] : []),
  ];
  return lines.map((line) => `${Text.shown(line)}\n`).join("");
}

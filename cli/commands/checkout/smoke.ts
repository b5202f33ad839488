import * as fs from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Picture from "#cli/files/picture";
import * as Server from "#cli/server/server";
import { cases } from "#cli/smoke/cases";
import { type Outcome, run } from "#cli/smoke/run";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import * as Config from "#core/config";
import { packageRoot } from "#local/home/home";

interface SmokeOptions extends Options.Common {
  picture?: string;
}

/** `smoke`: every call of the API against any server, as a table. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("smoke")
        .description("every call of the API against a server, as a table")
        .option("--picture <file>", "the picture that is read (default: one of samples/)"),
      "one JSON document instead of the table",
    ),
    {
      about: 'Makes a few small extracts on the server, under ids that begin with "smoke-".',
      examples: ["npm run smoke", "npm run smoke -- --url https://api.example.com --key ocrlty_…"],
      exits: {
        0: "all as it should be",
        1: "something was not",
        2: "usage, server or network",
        130: "interrupted",
      },
    },
  ).action(async (options: SmokeOptions) => done(await smoke(context, options)));
}

async function smoke(context: Context, options: SmokeOptions): Promise<Exit> {
  const path = options.picture === undefined ? sample() : resolve(context.cwd, options.picture);
  const fitted = await Picture.fit(await Picture.read({ name: path, path }, context));
  if (fitted === undefined) throw new UsageError("one page is enough: this file is large and has several");
  const { bytes } = fitted;
  const server = await Server.connect(context, options);
  try {
    const width = Math.max(...cases.map((item) => item.name.length));
    const row = (cells: string[]) =>
      context.out(
        `${[cells[0]?.padEnd(width), cells[1]?.padStart(6), cells[2]?.padStart(6), cells[3]].join("  ")}\n`,
      );
    if (!options.json) row(["CALL", "STATUS", "MS", "RESULT"]);
    const show = (outcome: Outcome) => {
      if (options.json) return;
      const { name, status, ms, why } = outcome;
      row([
        name,
        String(status ?? "-"),
        String(ms),
        why === null ? outcome.outcome : `${outcome.outcome}: ${Text.shown(why)}`,
      ]);
    };
    const outcomes = await run(server, cases, {
      picture: bytes,
      modelServer: context.env.VLLM_BASE_URL ? new URL(context.env.VLLM_BASE_URL) : undefined,
      signal: context.signal,
      onOutcome: show,
    });
    if (context.env.S3_BUCKET) {
      const outcome = await conditionalWrites(context);
      outcomes.push(outcome);
      show(outcome);
    }
    const count = (wanted: Outcome["outcome"]) => outcomes.filter(({ outcome }) => outcome === wanted).length;
    const totals = { ok: count("ok"), failed: count("failed"), skipped: count("skipped") };
    if (options.json)
      context.out(`${JSON.stringify({ url: server.url.href, ...totals, calls: outcomes })}\n`);
    else context.out(`${totals.ok} ok, ${totals.failed} failed, ${totals.skipped} skipped\n`);
    return totals.failed > 0 ? exit.items : exit.ok;
  } finally {
    await server.close();
  }
}

/** Tests the bucket of this environment (under `sst shell` or with a `.env`) directly, and stores the result. */
async function conditionalWrites({ env }: Context): Promise<Outcome> {
  const startedAt = Date.now();
  const { complaint } = await import("#local/bucket-proof");
  const why = (await complaint(Config.environment(Config.withAliases(env).env))) ?? null;
  const outcome = why === null ? "ok" : "failed";
  return {
    name: "the bucket refuses to overwrite",
    route: "-",
    status: null,
    ms: Date.now() - startedAt,
    outcome,
    why,
  };
}

/** The smallest picture of samples/, because the stand-in reads it several times. */
function sample(): string {
  const dir = join(packageRoot, "samples");
  const pictures = fs.globSync("*.{jpg,jpeg,png,webp}", { cwd: dir }).map((name) => join(dir, name));
  const [smallest] = pictures.sort((a, b) => fs.statSync(a).size - fs.statSync(b).size);
  if (smallest === undefined)
    throw new UsageError("there is no picture in samples/: name one with --picture");
  return smallest;
}

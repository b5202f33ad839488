/** The program behind `npm run ocrlty`: its commands, and how each end becomes an exit status. */
import { Command, CommanderError } from "commander";
import { ConfigError } from "#core/config";
import { AppError } from "#core/error";
import { HomeError } from "#local/home";
import { CallError } from "#scripts/client";
import { type Context, type Exit, exit, UsageError } from "#scripts/context";
import * as Text from "#scripts/text";
import manifest from "../package.json" with { type: "json" };

/** One file a noun, loaded when it is asked for. */
const nouns = {
  batch: () => import("#scripts/commands/batch"),
  backup: () => import("#scripts/commands/backup"),
  cancel: () => import("#scripts/commands/cancel"),
  data: () => import("#scripts/commands/data"),
  delete: () => import("#scripts/commands/delete"),
  extract: () => import("#scripts/commands/extract"),
  items: () => import("#scripts/commands/items"),
  keys: () => import("#scripts/commands/keys"),
  migrate: () => import("#scripts/commands/migrate"),
  pod: () => import("#scripts/commands/pod"),
  redrive: () => import("#scripts/commands/redrive"),
  rerun: () => import("#scripts/commands/rerun"),
  results: () => import("#scripts/commands/results"),
  run: () => import("#scripts/commands/run"),
  runs: () => import("#scripts/commands/runs"),
  smoke: () => import("#scripts/commands/smoke"),
  usage: () => import("#scripts/commands/usage"),
  webhook: () => import("#scripts/commands/webhook"),
  whoami: () => import("#scripts/commands/whoami"),
} as const;

/** Runs one command line (without node and file) and returns its exit status. Throws what nobody expects. */
export async function run(args: readonly string[], around: Context): Promise<Exit> {
  // Whatever a message quotes: the terminal obeys none of it.
  const context: Context = { ...around, say: (line) => around.say(Text.message(line)) };
  let status: Exit = exit.ok;
  const done = (ended: Exit) => {
    status = ended;
  };
  try {
    const program = await build(args, context, done);
    await program.parseAsync([...args], { from: "user" });
    return status;
  } catch (error) {
    if (context.signal.aborted) return exit.interrupted;
    if (error instanceof CommanderError) return error.exitCode === 0 ? exit.ok : exit.failed;
    if (!isExpected(error)) throw error;
    context.say(`error: ${error.message}`);
    return exit.failed;
  }
}

async function build(
  args: readonly string[],
  context: Context,
  done: (status: Exit) => void,
): Promise<Command> {
  const program = new Command("ocrlty")
    .description("pictures of receipts and invoices in, checked JSON out")
    .version(manifest.version, "--version")
    .addHelpText("after", "\nEach command has its own --help.");
  // The one that is meant, else all of them for the overview.
  const wanted = Object.entries(nouns).filter(([name]) => name === args[0]);
  for (const [, load] of wanted.length > 0 ? wanted : Object.entries(nouns)) {
    program.addCommand((await load()).command(context, done));
  }
  for (const command of allOf(program)) {
    command.exitOverride().configureOutput({
      writeOut: context.out,
      writeErr: (text) => context.say(text.trimEnd()),
    });
  }
  return program;
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

/** Mistakes that the person at the terminal can mend; anything else keeps its stack trace. */
function isExpected(error: unknown): error is Error {
  if ([CallError, UsageError, HomeError, ConfigError, AppError].some((type) => error instanceof type))
    return true;
  // The loop's own mistakes; their classes would bring the loop along.
  return error instanceof Error && ["PortError", "HeldError", "BundleError"].includes(error.name);
}

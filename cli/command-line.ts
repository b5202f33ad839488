/** Parses one command line, runs its command and returns the exit status. */
import { stripVTControlCharacters } from "node:util";
import { Command, CommanderError } from "commander";
import { CallError } from "#cli/server/call-error";
import * as Failure from "#cli/server/failure";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import { paint } from "#cli/terminal/terminal";
import * as Text from "#cli/terminal/text";
import manifest from "../package.json" with { type: "json" };

/** Makes a command; `done` gets its exit status. */
type Load = () => Promise<{
  command(context: Context, done: (status: Exit) => void): Command;
  /** Accepted, but not shown in help. */
  hidden?: boolean;
}>;

/** Commands by name, each loaded on demand. */
export type Commands = Readonly<Record<string, Load>>;

/**
 * Runs one command line (without node and file) and returns its exit status. With `--json` a failure is one line of
 * JSON on stdout, the API's error envelope; its message is also on stderr. Throws unexpected errors.
 */
export async function run(args: readonly string[], around: Context, commands: Commands): Promise<Exit> {
  const wish = wishOf(args);
  const context = wish.quiet ? quiet(around) : around;
  // A quoted text must not control the terminal.
  const typed = (text: string) => Help.typed(text, context.program, context.isClient);
  const say = (line: string) => context.say(Text.message(typed(line)));
  const fail = (error: unknown) => {
    if (!wish.json) return;
    const failure = Failure.of(error);
    context.out(Failure.line({ ...failure, message: typed(failure.message) }));
  };
  let status: Exit = exit.ok;
  const done = (ended: Exit) => {
    status = ended;
  };
  try {
    const program = await build(args, { ...context, say }, done, commands);
    await program.parseAsync([...args], { from: "user" });
    return status;
  } catch (error) {
    if (context.signal.aborted) {
      if (wish.json) context.out(Failure.line(Failure.interrupted));
      return exit.interrupted;
    }
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exit.ok;
      fail(error);
      return exit.failed;
    }
    fail(error);
    if (!Failure.isExpected(error)) throw error;
    const text = Text.message(typed(Failure.textOf(error)));
    context.say(`${paint(context.colors?.err, "red", "error:")} ${text}`);
    await advise({ ...context, say }, error);
    return exit.failed;
  }
}

/** Options that every command has, also if the rest of the line is invalid. */
function wishOf(args: readonly string[]): { json: boolean; quiet: boolean } {
  const end = args.indexOf("--");
  const options = end === -1 ? args : args.slice(0, end);
  const has = (...names: string[]) => options.some((option) => names.includes(option));
  return { json: has("--json"), quiet: has("--quiet", "-q") };
}

/** Only errors on stderr, and no progress. */
function quiet(context: Context): Context {
  const isError = (line: string) => stripVTControlCharacters(line).startsWith("error:");
  return { ...context, terminal: undefined, say: (line) => isError(line) && context.say(line) };
}

/** Advice for a key that the loop of this folder refused: which key it accepts. */
async function advise(context: Context, error: Error): Promise<void> {
  if (!(error instanceof CallError) || error.status !== 401 || error.server === undefined) return;
  const advice = await Server.betterKey(context, error.server);
  if (advice !== undefined) context.say(advice);
}

const ofCheckout = " The checkout's own are start, dev and test: npx ocrlty start --help.";

/** The commands for this line, or all of them; exported for tests that walk over them. */
export async function build(
  args: readonly string[],
  context: Context,
  done: (status: Exit) => void,
  commands: Commands,
): Promise<Command> {
  const program = new Command("ocrlty")
    .description("pictures of receipts and invoices in, checked JSON out")
    .version(manifest.version, "--version")
    .addHelpText("after", `\nEach command has its own --help.${context.isClient ? "" : ofCheckout}`);
  // The named command, else all of them: for the overview and for shell completion.
  const wanted = Object.entries(commands).filter(([name]) => name === args[0] && name !== "completion");
  for (const [, load] of wanted.length > 0 ? wanted : Object.entries(commands)) {
    const { command, hidden = false } = await load();
    program.addCommand(command(context, done), { hidden });
  }
  for (const command of allOf(program)) {
    if (isLeaf(command)) command.option("-q, --quiet", "nothing on stderr but errors");
    command
      .exitOverride()
      .configureHelp({
        helpWidth: context.columns ?? 100,
        optionDescription: Help.describe,
      })
      .configureOutput({
        writeOut: (text) => context.out(Help.typed(text, context.program, context.isClient)),
        writeErr: (text) => context.say(text.trimEnd()),
        getOutHasColors: () => context.colors?.out ?? false,
        getErrHasColors: () => context.colors?.err ?? false,
      });
  }
  return program;
}

/** Whether it is a command itself and not a group of commands. */
export function isLeaf(command: Command): boolean {
  return command.commands.length === 0 || command.options.length > 0;
}

export function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

/** `logs`: what the local loop has logged; of a deployed stage, which command shows it. */
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import * as Links from "#cli/server/links";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import { paint, type Style } from "#cli/terminal/terminal";
import * as Text from "#cli/terminal/text";
import { type Env, home } from "#local/home/home";
import * as LogText from "#local/terminal/log-text";
import { type FunctionName, functions } from "#spec/functions";

interface Options {
  follow?: boolean;
  request?: string;
  stage?: string;
  json?: boolean;
}

const help = {
  about: `The log is in OCRLTY_HOME/log: the newest file and up to three older ones. It is shown as text, with --json a line of JSON
each. A loop need not be running. Logs of a deployed stage are in CloudWatch: with --stage NAME, and under \`sst shell\`, the
commands that show them are printed.`,
  examples: [
    "npm run ocrlty -- logs --follow",
    "npm run ocrlty -- logs --request 0b6c1f2e-6f0e-4f43-9a55-2d3a0f8f5a3e",
    "npm run ocrlty -- logs --stage production --request my-request-7",
  ],
  exits: { 0: "done", 2: "usage, or there is no log yet", 130: "interrupted" },
} as const;

/** As the API takes them; anything else would have to be quoted in two languages. */
const requestId = /^[\w.:-]{1,128}$/;
const stageName = /^[A-Za-z0-9-]{1,40}$/;

export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    new Command("logs")
      .description("what the local loop has logged, or how to see a stage's")
      .option("-f, --follow", "go on with what is logged from now on, until Ctrl-C")
      .option("--request <id>", "only lines of this id: a call's X-Request-ID, or an extract's request_id")
      .option("--stage <name>", "print the commands that show a deployed stage's")
      .option("--json", "lines of JSON as they were logged"),
    help,
  ).action(async (options: Options) => {
    if (options.request !== undefined && !requestId.test(options.request))
      throw new UsageError("--request: letters, digits, _, -, . and : only, as in the header X-Request-ID");
    if (options.stage !== undefined && !stageName.test(options.stage))
      throw new UsageError("--stage: letters, digits and - only");
    const stage = options.stage ?? Links.stageOf(context.env);
    if (stage === undefined) await show(context, options);
    else if (options.json) context.out(`${JSON.stringify({ commands: commandsOf(stage, options) })}\n`);
    else context.out(`${commandsOf(stage, options).join("\n")}\n`);
    done(exit.ok);
  });
}

/** One a function: their logs are groups of their own (infra/functions.ts). */
function commandsOf(stage: string, { follow, request }: Options): string[] {
  const filter =
    request === undefined
      ? ""
      : ` --filter-pattern '{ $.request_id = "${request}" || $.extract_id = "${request}" }'`;
  return (Object.keys(functions) as FunctionName[]).map(
    (name) =>
      `aws logs tail /aws/lambda/ocrlty-${stage}-${name} --since 1h --format short${follow ? " --follow" : ""}${filter}`,
  );
}

/** The files of the loop's log, oldest first. */
function filesOf(env: Env): string[] {
  const dir = home(env).file("log");
  const names = fs.existsSync(dir) ? fs.readdirSync(dir) : [];
  const ageOf = (name: string) => Number(/^ocrlty\.log(?:\.(\d+))?$/.exec(name)?.[1] ?? 0);
  return names
    .filter((name) => /^ocrlty\.log(\.\d+)?$/.test(name))
    .toSorted((a, b) => ageOf(b) - ageOf(a))
    .map((name) => join(dir, name));
}

const pollMs = 300;
const chunkBytes = 256 * 1024;

async function show(context: Context, options: Options): Promise<void> {
  const files = filesOf(context.env);
  const current = join(home(context.env).file("log"), "ocrlty.log");
  if (files.length === 0 && !options.follow)
    throw new UsageError(`there is no log ${current} yet: npm start writes it`);
  let found = false;
  const print = (line: string) => {
    if (!isWanted(line, options.request)) return;
    found = true;
    context.out(`${shown(context, line, options.json === true)}\n`);
  };
  for (const file of files.filter((file) => file !== current)) await new Reader(file).read(print);
  let reader = new Reader(current);
  await reader.read(print);
  while (options.follow) {
    await sleep(pollMs, undefined, { signal: context.signal });
    // A full file is renamed; the rest of it is read before the new one.
    const isNew = reader.isReplaced();
    await reader.read(print);
    if (!isNew) continue;
    reader.close();
    reader = new Reader(current);
    await reader.read(print);
  }
  reader.close();
  if (!found && options.request !== undefined)
    context.say(`no line has this id, in ${files.length} files of ${home(context.env).file("log")}`);
}

/** Reads on in a file, whole lines only. */
class Reader {
  readonly #path: string;
  #file: number | undefined;
  #at = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether another file has the name by now. */
  isReplaced(): boolean {
    const now = fs.statSync(this.#path, { throwIfNoEntry: false });
    if (this.#file === undefined || now === undefined) return false;
    const mine = fs.fstatSync(this.#file);
    return now.ino !== mine.ino || now.size < this.#at;
  }

  async read(print: (line: string) => void): Promise<void> {
    if (this.#file === undefined && !fs.existsSync(this.#path)) return;
    this.#file ??= fs.openSync(this.#path, "r");
    const chunk = Buffer.alloc(chunkBytes);
    for (;;) {
      const bytes = fs.readSync(this.#file, chunk, 0, chunk.length, this.#at);
      if (bytes === 0) return;
      this.#at += bytes;
      const all = Buffer.concat([this.#rest, chunk.subarray(0, bytes)]);
      const end = all.lastIndexOf(10) + 1;
      this.#rest = Buffer.from(all.subarray(end));
      for (const line of all.subarray(0, end).toString("utf8").split("\n")) if (line !== "") print(line);
      // A long log is written out while it is read, and Ctrl-C is heard.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  close(): void {
    if (this.#file !== undefined) fs.closeSync(this.#file);
    this.#file = undefined;
  }
}

/** The call's own id, and the one that `POST /v1/extract` answers as `request_id`: a caller has either. */
const ids = ["request_id", "extract_id"] as const;

/** The level: in JSON a field, in text (`LOG_FORMAT=text`) a word. */
function isWanted(line: string, request: string | undefined): boolean {
  if (request === undefined) return true;
  const fields = LogText.parse(line);
  if (fields !== undefined) return ids.some((name) => fields[name] === request);
  const words = line.split(" ");
  return ids.some((name) => words.includes(`${name}=${request}`));
}

const styles: Readonly<Record<string, Style>> = { ERROR: "red", WARN: "yellow" };

/** Control characters are escaped, so that the terminal does not execute them. */
function shown(context: Context, line: string, json: boolean): string {
  const fields = LogText.parse(line);
  if (json) return fields === undefined ? JSON.stringify({ text: line }) : line;
  const text = Text.shown(fields === undefined ? line : LogText.of(fields));
  const level = /^\S+ (WARN|ERROR)\b/.exec(text)?.[1];
  const style = level === undefined ? undefined : styles[level];
  return style === undefined || level === undefined
    ? text
    : text.replace(level, paint(context.colors?.out, style, level));
}

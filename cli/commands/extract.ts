import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Upload from "#cli/batch/upload";
import * as Password from "#cli/files/password";
import * as Picture from "#cli/files/picture";
import { CallError } from "#cli/server/call-error";
import * as Extracts from "#cli/server/extracts";
import * as Failure from "#cli/server/failure";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import * as Type from "#core/image/type";
import { ofFile, told, Warning } from "#core/reading/warning";
import { documents, sizes } from "#spec/limits";

interface ExtractOptions extends Options.Common {
  task?: string;
  requestId?: string;
  get?: boolean;
  pages?: number[];
  passwordFile?: string;
  split?: boolean;
  /** True unless `--no-look` is given. */
  look: boolean;
}

const about = `
One file: its answer as indented JSON. Several, or --json: one line of JSON a file, in their order, each with its
"file"; one that failed has an "error" there. Everything else goes to stderr, "warnings" in words among it.`;

/** `extract FILE…`: the main job. `done` gets the exit status. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("extract")
        .description("read receipts and invoices: pictures in, checked JSON out")
        .argument("<file...>", 'picture files or patterns ("-" is stdin); with --get request ids')
        .option("--task <id>", "what to read (default: receipt_fields_v1)")
        .option(
          "--request-id <id>",
          "your own id of this extract: the same id and picture give the same answer",
        )
        .option("--pages <list>", "pages of a document, such as 1-3,5 (default: all)", pageList)
        .option(
          "--password-file <file>",
          'a file whose first line opens an encrypted PDF ("-" is stdin); a password in the command line would be seen by others',
        )
        .option(...Options.noLook)
        .option(...Options.split)
        .option("--get", "print stored extracts instead of reading pictures"),
      "one line of JSON a file, failed ones included",
    ),
    {
      about,
      examples: [
        "npm run extract -- samples/receipt.jpg",
        'npm run extract -- --task receipt_v1 "photos/*.jpg"',
        "npm run -s extract -- receipt.jpg | jq .result.total",
        "pass show invoices | npm run extract -- invoice.pdf --password-file -",
        "npm run extract -- --get 6f1c…          the answer again, by its request_id",
      ],
      exits: { 0: "all read", 1: "some files failed", 2: "usage, server or network", 130: "interrupted" },
    },
  ).action(async (args: string[], options: ExtractOptions) => done(await run(context, args, options)));
}

/** The pages of a list such as `1-3,5`, in its order. */
function pageList(text: string): number[] {
  const pages = text.split(",").flatMap((part) => {
    const [, first = "", last = first] = /^ *(\d{1,6})(?: *- *(\d{1,6}))? *$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === "" || from < 1 || to < from || to - from >= documents.queuedPages)
      throw new UsageError(
        `--pages: ${Text.shown(part)} is neither a page nor a range of at most ${documents.queuedPages}, such as 1-3`,
      );
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  return pages;
}

interface Job {
  /** Its name in messages and in the line's `file`. */
  readonly name: string;
  /** Why it cannot be sent at all. */
  readonly problem?: Picture.PictureError | undefined;
  ask(server: Server.Server): Promise<Extracts.Extract>;
}

async function run(context: Context, args: string[], options: ExtractOptions): Promise<Exit> {
  if (options.passwordFile !== undefined && options.get)
    throw new UsageError("--password-file goes with files, not --get");
  const password = await Password.read(options.passwordFile, args, context);
  const jobs = options.get
    ? args.map((id) => readAgain(id, context))
    : readPictures(args, { ...options, password }, context);
  if (options.requestId !== undefined && (jobs.length > 1 || options.get)) {
    throw new UsageError("--request-id goes with one file");
  }
  if (options.pages !== undefined && options.get) throw new UsageError("--pages goes with files, not --get");
  if (options.split && options.get) throw new UsageError("--split goes with files, not --get");
  if (!options.look && options.get) throw new UsageError("--no-look goes with files, not --get");
  const lines = options.json === true || jobs.length > 1;
  if (jobs.every((job) => job.problem)) {
    for (const { name, problem } of jobs) {
      context.say(`error: ${Text.shown(name)} ${problem?.message}`);
      if (lines && problem !== undefined) context.out(lineOf(name, unreadable(problem)));
    }
    return exit.failed;
  }
  const server = await Server.connect(context, options);
  try {
    return await ask(context, server, jobs, {
      lines,
      again: !options.get,
    });
  } finally {
    await server.close();
  }
}

/** Processes one after the other; a failure that concerns only one file does not stop the rest. */
async function ask(
  context: Context,
  server: Server.Server,
  jobs: Job[],
  show: { lines: boolean; again: boolean },
): Promise<Exit> {
  const isAlone = jobs.length === 1;
  let failed = 0;
  for (const job of jobs) {
    try {
      const answer = await job.ask(server);
      for (const warning of warningsOf(answer).flatMap((each) => Warning.safeParse(each).data ?? []))
        context.say(`warning: ${Text.shown(job.name)}: ${told(warning)}`);
      context.out(
        `${show.lines ? JSON.stringify({ file: job.name, ...answer }) : JSON.stringify(answer, null, 2)}\n`,
      );
      if (!answer.artifact_rel) continue;
      context.say(`artifact: ${answer.artifact_rel}${isAlone ? "" : ` (${Text.shown(job.name)})`}`);
      if (isAlone && show.again) context.say(`read it again: npm run extract -- --get ${answer.request_id}`);
    } catch (error) {
      context.signal.throwIfAborted();
      const reason = reasonOf(error);
      if (reason === undefined) throw error;
      failed += 1;
      context.say(`error: ${Text.shown(job.name)}${reason.text}`);
      if (show.lines) context.out(lineOf(job.name, reason.failure));
    }
  }
  return failed > 0 ? exit.items : exit.ok;
}

/** Passed on unchanged, because a newer server may have codes that this program does not have. */
const warningsOf = ({ warnings }: Extracts.Extract): unknown[] => (Array.isArray(warnings) ? warnings : []);

/** The error of this file; undefined if the next file would fail for the same reason. */
function reasonOf(error: unknown): { failure: Failure.Failure; text: string } | undefined {
  if (error instanceof Picture.PictureError) return { failure: unreadable(error), text: ` ${error.message}` };
  if (error instanceof CallError && error.scope === "item")
    return { failure: Failure.of(error), text: `: ${error.message}` };
  return undefined;
}

const unreadable = ({ message }: Picture.PictureError): Failure.Failure => ({
  ...{ code: "unreadable_file", message, request_id: null, details: {} },
});

/** The line of a file that failed. */
const lineOf = (file: string, error: Failure.Failure) => `${JSON.stringify({ file, error })}\n`;

function readPictures(
  args: string[],
  options: ExtractOptions & { password: string | undefined },
  context: Context,
): Job[] {
  return Picture.find(args, context.cwd, context.say).map((file) => {
    const name = Picture.label(file, context.cwd);
    return {
      name,
      problem: Picture.problem(file),
      ask: async (server) => {
        const picture = await source(await Picture.read(file, context), context, server);
        if (picture.note) context.say(`${Text.shown(name)}: ${picture.note}`);
        const body = {
          ...(options.task === undefined ? {} : { task_id: options.task }),
          ...(options.requestId === undefined ? {} : { request_id: options.requestId }),
          ...(options.pages === undefined ? {} : { pages: options.pages }),
          ...Options.lookOf(options.look),
          ...(options.password === undefined ? {} : { password: options.password }),
          ...Options.splitOf(options.split),
          ...picture.source,
        };
        const answer = await Extracts.extract(server, body, context.signal, (pollUrl) =>
          context.say(
            `queued: the model server is slow or away; waiting for ${pollUrl} (Ctrl-C stops waiting)`,
          ),
        );
        // It was scaled down here, so its later frames never reached the server.
        const unread = ofFile({ repaired: false, pages: 1, frames: picture.frames ?? 1 });
        return unread.length === 0 ? answer : { ...answer, warnings: [...warningsOf(answer), ...unread] };
      },
    };
  });
}

/**
 * The picture for the call. One that is too large for a body is scaled down; several pages are uploaded as they are, and
 * so is everything that is too large by the packed client, which cannot scale.
 */
async function source(
  bytes: Buffer,
  context: Context,
  server: Server.Server,
): Promise<{ source: Extracts.Source; note?: string; frames?: number }> {
  const isLarge = bytes.length > sizes.clientScaleDownBytes;
  const fitted = context.isClient && isLarge ? undefined : await Picture.fit(bytes);
  if (fitted === undefined) {
    const mimeType = Type.sniff(bytes);
    if (mimeType === undefined) throw new Picture.PictureError("is too large for anything but a picture");
    const wish = { kind: "image", mimeType, file: "picture" } as const;
    const { ref } = await Upload.upload(context, server, wish, new Uint8Array(bytes));
    return { source: { image_ref: ref }, note: `${Picture.megabytes(bytes.length)}, uploaded` };
  }
  return { ...fitted, source: { image_base64: fitted.bytes.toString("base64") } };
}

function readAgain(id: string, context: Context): Job {
  return { name: id, ask: (server) => Extracts.ended(server, id, context.signal) };
}

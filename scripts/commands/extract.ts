import { Command, Option } from "commander";
import * as Client from "#scripts/client";
import { type Context, type Exit, exit, UsageError } from "#scripts/context";
import * as Picture from "#scripts/picture";
import * as Server from "#scripts/server";

interface Options {
  task?: string;
  json?: boolean;
  requestId?: string;
  get?: boolean;
  url?: string;
  key?: string;
}

const examples = `
One file: its answer as indented JSON. Several, or --json: one line of JSON a file, in their order, each with its
"file"; one that failed has an "error" there. Everything else goes to stderr.

Examples:
  npm run extract -- samples/receipt.jpg
  npm run extract -- --task receipt_v1 "photos/*.jpg"
  npm run -s extract -- receipt.jpg | jq .result.total
  npm run extract -- --get 6f1c…          the answer again, by its request_id

Exit status: 0 all read, 1 some files failed, 2 usage, server or network, 130 interrupted.`;

/** `extract FILE…`: the main job. `done` gets the exit status. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return new Command("extract")
    .description("read receipts and invoices: pictures in, checked JSON out")
    .argument("<file...>", 'picture files or patterns ("-" is stdin); with --get request ids')
    .option("--task <id>", "what to read (default: receipt_fields_v1)")
    .option("--json", "one line of JSON a file, failed ones included")
    .option("--request-id <id>", "your own id of this extract: the same id and picture give the same answer")
    .option("--get", "print stored extracts instead of reading pictures")
    .option("--url <url>", "the server (default: OCRLTY_URL, else the local loop)")
    .addOption(new Option("--key <key>", "its API key (default: OCRLTY_API_KEY, else the local loop's own)"))
    .addHelpText("after", examples)
    .action(async (args: string[], options: Options) => done(await run(context, args, options)));
}

interface Job {
  /** For messages and for the line's `file`. */
  readonly name: string;
  ask(server: Server.Server): Promise<Client.Extract>;
}

async function run(context: Context, args: string[], options: Options): Promise<Exit> {
  const jobs = options.get ? args.map((id) => readAgain(id, context)) : readPictures(args, options, context);
  if (options.requestId !== undefined && (jobs.length > 1 || options.get)) {
    throw new UsageError("--request-id goes with one file");
  }
  const lines = options.json === true || jobs.length > 1;
  if (!options.get && !options.url && !context.env.OCRLTY_URL) await mustBeReadable(args, context);
  const server = await Server.connect(context, options);
  let failed = 0;
  try {
    for (const job of jobs) {
      try {
        const answer = await job.ask(server);
        context.out(`${lines ? JSON.stringify({ file: job.name, ...answer }) : JSON.stringify(answer, null, 2)}\n`);
        if (answer.artifact_rel) {
          context.say(`artifact: ${answer.artifact_rel}${jobs.length > 1 ? ` (${job.name})` : ""}`);
          if (jobs.length === 1 && !options.get) context.say(`again:    npm run extract -- --get ${answer.request_id}`);
        }
      } catch (error) {
        context.signal.throwIfAborted();
        const isItem = error instanceof Picture.PictureError || (error instanceof Client.CallError && error.scope === "item");
        if (!isItem) throw error;
        failed += 1;
        context.say(`error: ${job.name}${error instanceof Picture.PictureError ? " " : ": "}${error.message}`);
        if (lines) {
          const code = error instanceof Client.CallError ? error.code : "unreadable_file";
          context.out(`${JSON.stringify({ file: job.name, error: { code, message: error.message } })}\n`);
        }
      }
    }
  } finally {
    await server.close();
  }
  return failed > 0 ? exit.items : exit.ok;
}

function readPictures(args: string[], options: Options, context: Context): Job[] {
  return Picture.find(args, context.cwd).map((file) => {
    const name = Picture.label(file, context.cwd);
    return {
      name,
      ask: async (server) => {
        const picture = await Picture.fit(await Picture.read(file, context));
        if (picture.note) context.say(`${name}: ${picture.note}`);
        const body = {
          ...(options.task === undefined ? {} : { task_id: options.task }),
          ...(options.requestId === undefined ? {} : { request_id: options.requestId }),
          image_base64: picture.bytes.toString("base64"),
        };
        return Client.extract(server, body, context.signal);
      },
    };
  });
}

function readAgain(id: string, context: Context): Job {
  return { name: id, ask: (server) => Client.stored(server, id, context.signal) };
}

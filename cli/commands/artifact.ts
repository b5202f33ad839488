/** `artifact get|ls|open`: an extract's stored objects, through the API. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { text as readText } from "node:stream/consumers";
import { Command } from "commander";
import * as z from "zod";
import * as Options from "#cli/batch/options";
import * as Output from "#cli/files/output";
import { CallError } from "#cli/server/call-error";
import * as Client from "#cli/server/client";
import * as DebugRoutes from "#cli/server/debug-routes";
import * as Download from "#cli/server/download";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";

interface ArtifactOptions extends Options.Owned {
  attempt?: string;
  date?: string;
  out?: string;
  force?: boolean;
}

const about = `An artifact is the whole record of an extract: what was sent, what the model answered, how it was checked. It is read through
debug routes: the server needs DEBUG_MODE=1 (a local loop has it), the key the scope debug:read_raw.`;
const exits = { 0: "done", 2: "usage, server or network", 130: "interrupted" } as const;

export function command(context: Context, done: (status: Exit) => void): Command {
  const artifact = new Command("artifact").description("an extract's stored objects");
  const verb = (name: string, description: string, examples: string[]) =>
    Help.add(
      Options.owned(
        artifact
          .command(name)
          .description(description)
          .argument("<id>", "the extract's request_id, or the artifact's path")
          .option("--date <day>", "the UTC day under which it is stored, such as 2026-11-23"),
      ),
      { about, examples, exits },
    );
  verb("get", "print the artifact's JSON, or write it to a file", [
    "npm run -s ocrlty -- artifact get first-1 | jq .result",
    "npm run ocrlty -- artifact get first-1 --out first-1.json",
    "npm run -s ocrlty -- artifact get first-1 --attempt 1",
  ])
    .option("--attempt <n>", "the record of this attempt, one that was to be repeated")
    .option("--out <file>", "write it to this file instead of stdout")
    .option(...Output.force)
    .action((id: string, options: ArtifactOptions) =>
      run(context, done, options, (server) => get(context, server, idOf(id), options)),
    );
  verb("ls", "list an extract's objects: its artifact and the records of its attempts", [
    "npm run ocrlty -- artifact ls first-1",
    "npm run -s ocrlty -- artifact ls first-1 --json",
  ]).action((id: string, options: ArtifactOptions) =>
    run(context, done, options, (server) => ls(context, server, idOf(id), options)),
  );
  verb("open", "show the artifact with the system's own program, or print where a copy of it is", [
    "npm run ocrlty -- artifact open first-1",
  ])
    .option("--attempt <n>", "the record of this attempt, one that was to be repeated")
    .action((id: string, options: ArtifactOptions) =>
      run(context, done, options, (server) => open(context, server, idOf(id), options)),
    );
  return artifact;
}

async function run(
  context: Context,
  done: (status: Exit) => void,
  options: ArtifactOptions,
  work: (server: Server.Server) => Promise<void>,
): Promise<void> {
  const server = await Server.connect(context, options);
  try {
    await work(server).catch(async (error: unknown) => {
      if (error instanceof CallError && error.status === 404 && (await DebugRoutes.areOff(context, server)))
        throw new UsageError("this server's debug routes are off (DEBUG_MODE): look into its bucket instead");
      throw error;
    });
  } finally {
    await server.close();
  }
  done(exit.ok);
}

/** The id, also from the artifact's path that `extract` prints: `extracts/2026-11-30/key/first-1.json`. */
const idOf = (given: string) => /\/([^/]+?)(?:~attempt-\d+)?\.json$/.exec(given)?.[1] ?? given;

/** Fetched by a signed address, because an artifact may be larger than an answer. */
function pathOf(id: string, { attempt, date, keyId }: ArtifactOptions): string {
  const query = Object.entries({
    as: "url",
    attempt: Options.wholeNumber("--attempt", attempt),
    date,
    key_id: keyId,
  })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): [string, string] => [name, String(value)]);
  return `/v1/debug/artifacts/${encodeURIComponent(id)}?${new URLSearchParams(query)}`;
}

async function get(
  context: Context,
  server: Server.Server,
  id: string,
  options: ArtifactOptions,
): Promise<void> {
  const path = pathOf(id, options);
  if (options.out === undefined) {
    const text = await readText(await Download.open(context, server, path));
    context.out(options.json ? `${JSON.stringify(JSON.parse(text))}\n` : text);
    return;
  }
  const file = resolve(context.cwd, options.out);
  Output.check(context, [file], options);
  await Download.save(context, server, path, file);
  context.out(
    options.json ? `${JSON.stringify({ request_id: id, file })}\n` : `${Text.shown(options.out)}\n`,
  );
}

const Extract = z.looseObject({ created_at: z.string() });
const Me = z.looseObject({ key_id: z.string() });
const Page = z.looseObject({
  items: z.array(
    z.looseObject({
      request_id: z.string(),
      artifact_rel: z.string(),
      attempt: z.number().nullable(),
      bytes: z.number(),
      last_modified: z.string(),
    }),
  ),
  next_cursor: z.string().nullable(),
});

async function ls(
  context: Context,
  server: Server.Server,
  id: string,
  options: ArtifactOptions,
): Promise<void> {
  const { signal } = context;
  const owner = options.keyId === undefined ? "" : `?key_id=${encodeURIComponent(options.keyId)}`;
  const date =
    options.date ??
    Extract.parse(
      await Client.get(server, `/v1/extracts/${encodeURIComponent(id)}${owner}`, { signal }),
    ).created_at.slice(0, 10);
  const keyId = options.keyId ?? Me.parse(await Client.get(server, "/v1/me", { signal })).key_id;
  const rows: string[][] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query = new URLSearchParams({
      date,
      key_id: keyId,
      limit: "200",
      ...(cursor === "" ? {} : { cursor }),
    });
    const page = Page.parse(await Client.get(server, `/v1/debug/artifacts?${query}`, { signal }));
    for (const entry of page.items.filter(({ request_id }) => request_id === id)) {
      if (options.json) context.out(`${JSON.stringify(entry)}\n`);
      const { artifact_rel: rel, attempt, bytes, last_modified: at } = entry;
      rows.push([Table.minute(at), String(bytes), attempt === null ? "artifact" : `attempt ${attempt}`, rel]);
    }
    cursor = page.next_cursor;
  }
  if (options.json) return;
  if (rows.length === 0) context.say(`nothing is stored of ${id} on ${date}`);
  // The name comes last, because it may be long and is shown whole.
  for (const [at, bytes = "", kind = "", rel] of rows)
    context.out(`${at}  ${bytes.padStart(9)}  ${kind.padEnd(9)}  ${Text.shown(rel ?? "")}\n`);
}

async function open(
  context: Context,
  server: Server.Server,
  id: string,
  options: ArtifactOptions,
): Promise<void> {
  // Only the user may read the copy, because it has the picture's content.
  const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty-artifact-"));
  const file = join(dir, `${id.replaceAll(/[^\w.-]/g, "_").slice(0, 100)}.json`);
  try {
    await Download.save(context, server, pathOf(id, options), file);
  } catch (error) {
    fs.rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  const opener = openerOf(process.platform, context.env);
  const opened = opener !== undefined && (await show(opener, file));
  context.out(
    options.json ? `${JSON.stringify({ request_id: id, file, opened })}\n` : `${Text.shown(file)}\n`,
  );
}

/** The program that opens a file by its type; undefined if there is no display. */
export function openerOf(
  platform: NodeJS.Platform,
  env: Context["env"],
  exists: (path: string) => boolean = fs.existsSync,
): string | undefined {
  if (platform === "darwin") return "open";
  if (platform === "win32") return "explorer.exe";
  if (!env.DISPLAY && !env.WAYLAND_DISPLAY) return undefined;
  const found = (env.PATH ?? "").split(delimiter).some((dir) => dir !== "" && exists(join(dir, "xdg-open")));
  return found ? "xdg-open" : undefined;
}

/** The program keeps running after this process ends. False if it could not be started. */
function show(opener: string, file: string): Promise<boolean> {
  const child = spawn(opener, [file], { detached: true, stdio: "ignore" });
  return new Promise((done) => {
    child.once("error", () => done(false));
    child.once("spawn", () => {
      child.unref();
      done(true);
    });
  });
}

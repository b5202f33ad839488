/** Where `replay` finds artifacts: files and folders, a backup, an extract or a run of the server, all of a key. */
import * as fs from "node:fs";
import { join, resolve } from "node:path";
import { text as readText } from "node:stream/consumers";
import * as z from "zod";
import * as Run from "#cli/batch/run";
import { CallError } from "#cli/server/call-error";
import * as DebugRoutes from "#cli/server/debug-routes";
import * as Download from "#cli/server/download";
import * as Extracts from "#cli/server/extracts";
import type { Server } from "#cli/server/server";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import * as Verify from "#core/backup/verify";
import * as Record from "#core/reading/record";
import type { Artifact as Stored } from "#core/reading/schema";

/** An artifact and its name; `artifact` is undefined for a file that is not one. */
export interface Found {
  readonly name: string;
  readonly artifact: Stored | undefined;
}

/** True if the argument names a file or folder, not an id on the server. */
export const isPath = ({ cwd }: Pick<Context, "cwd">, name: string): boolean =>
  fs.existsSync(resolve(cwd, name)) || /[\\/]|\.(json|tar\.gz|tgz)$/.test(name);

/**
 * The artifacts behind a path: a JSON file, every `*.json` below a folder, or every extract of a `backup`.
 * @throws UsageError for a path that does not exist or cannot be read, and for a damaged backup.
 */
export async function* ofPath({ cwd }: Pick<Context, "cwd">, name: string): AsyncGenerator<Found> {
  const path = resolve(cwd, name);
  const stats = fs.statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new UsageError(`${name} is not there`);
  if (stats.isDirectory()) {
    const files = fs.readdirSync(path, { recursive: true, encoding: "utf8" }).toSorted();
    for (const file of files) if (file.endsWith(".json")) yield read(file, () => textOf(join(path, file)));
  } else if (/\.(tar\.gz|tgz)$/.test(name)) yield* ofBackup(path, name);
  else yield read(name, () => textOf(path));
}

function textOf(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`);
  }
}

/** A file that is not an extract's artifact is reported as such and does not stop the rest. */
function read(name: string, text: () => string): Found {
  const content = text();
  try {
    const artifact = Record.decode(content);
    return { name, artifact: typeof artifact.task_id === "string" ? artifact : undefined };
  } catch {
    return { name, artifact: undefined };
  }
}

/** One at a time: a backup may be larger than memory. */
async function* ofBackup(path: string, name: string): AsyncGenerator<Found> {
  const waiting: Found[] = [];
  let taken = () => {};
  let given = () => {};
  const verified = Verify.read(
    () => fs.createReadStream(path),
    async ({ path: entry, bytes }) => {
      if (!entry.startsWith("extracts/")) return;
      waiting.push(read(entry, () => Buffer.from(bytes).toString("utf8")));
      const wait = new Promise<void>((done) => {
        taken = done;
      });
      given();
      await wait;
    },
  );
  let ended = false;
  const end = verified.finally(() => {
    ended = true;
    given();
  });
  end.catch(() => undefined);
  for (;;) {
    const found = waiting.shift();
    if (found !== undefined) {
      yield found;
      taken();
    } else if (ended) break;
    else
      await new Promise<void>((done) => {
        given = done;
        if (ended || waiting.length > 0) done();
      });
  }
  const { ok, problems } = await end;
  if (!ok) throw new UsageError(`${name}: ${problems[0] ?? "the backup is damaged"}`);
}

const isUnknown = (error: unknown): boolean => error instanceof CallError && error.status === 404;

/** The artifact of an extract, or of every ended item of a run, through the server's debug routes. */
export async function* ofId(context: Context, server: Server, id: string): AsyncGenerator<Found> {
  const run = await Run.find(server, { runId: id }, context.signal);
  if (run === undefined) {
    const found = await ofExtract(context, server, id);
    if (found.artifact === undefined && !(await Extracts.isThere(server, id, context.signal)))
      throw new UsageError(`there is neither a run nor an extract ${Text.shown(id)}`);
    yield found;
    return;
  }
  const items = Run.list(server, Run.pathOf({ runId: id }, "/items"), {
    ...{ signal: context.signal, schema: Run.Item },
  });
  for await (const { request_id, status } of items)
    if (status === "succeeded" || status === "failed") yield await ofExtract(context, server, request_id);
}

export async function ofExtract(context: Context, server: Server, id: string): Promise<Found> {
  try {
    const path = `/v1/debug/artifacts/${encodeURIComponent(id)}?as=url`;
    const text = await readText(await Download.open(context, server, path));
    return read(id, () => text);
  } catch (error) {
    if (!isUnknown(error)) throw error;
    if (await DebugRoutes.areOff(context, server))
      throw new UsageError(
        "this server's debug routes are off (DEBUG_MODE): replay files or a backup instead",
      );
    // An item that failed before the model was asked may have no artifact.
    return { name: id, artifact: undefined };
  }
}

const Entry = z.looseObject({ request_id: z.string(), attempt: z.number().nullable() });

/** The extracts of all the key's artifacts, newest first. */
export async function* ofAll(context: Context, server: Server): AsyncGenerator<Found> {
  const entries = Run.list(server, "/v1/debug/artifacts", {
    ...{ query: { kind: "extracts" }, signal: context.signal, schema: Entry },
  });
  for await (const { request_id, attempt } of entries)
    if (attempt === null) yield await ofExtract(context, server, request_id);
}

import * as fs from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, Option } from "commander";
import * as z from "zod";
import * as Options from "#cli/batch/options";
import * as Output from "#cli/files/output";
import type { Answer, Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import * as Failure from "#cli/server/failure";
import { failureOf } from "#cli/server/refusal";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Verify from "#core/backup/verify";

interface BackupOptions extends Options.Common {
  out?: string;
  from?: string;
  to?: string;
  kind?: string;
  keyId?: string;
  verify?: boolean;
  force?: boolean;
}

const about = `
The archive holds the artifacts under their keys and, last, manifest.jsonl with the size and sha256 of each. Any tar
reads it. The server must run with DEBUG_MODE=1; the key needs debug:read_raw, and one with admin:all_keys gets everybody's.`;

const exits = {
  0: "done",
  1: "the archive does not agree with its manifest",
  2: "usage, server or network",
  130: "interrupted",
};

/** `backup --out FILE`: downloads a backup of the artifacts; `backup verify FILE` checks an existing one. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const backups = new Command("backup")
    .description("download a backup of the artifacts, and check it (GET /v1/debug/artifacts/backup.tar.gz)")
    .option("--out <file>", "required: where to write the tar.gz")
    .option("--from <day>", "first UTC day, as 2026-11-23")
    .option("--to <day>", "last UTC day")
    .addOption(new Option("--kind <kind>", "only these").choices(["extracts", "batches", "evals"]))
    .option("--key-id <id>", "only this key's artifacts")
    .option("--verify", "compare every artifact with the manifest")
    .option(...Output.force)
    .action(async (options: BackupOptions) => done(await backup(context, options)));
  Help.add(Options.common(backups, "the result on one line of JSON"), {
    about,
    examples: [
      "npm run ocrlty -- backup --out backup.tar.gz --verify",
      "npm run ocrlty -- backup --out november.tar.gz --from 2026-11-01 --to 2026-11-30 --kind extracts",
      "npm run ocrlty -- backup verify backup.tar.gz",
    ],
    exits,
  });
  return backups.addCommand(
    Help.add(new Command("verify").description("compare an existing backup with its manifest"), {
      examples: ["npm run ocrlty -- backup verify backup.tar.gz"],
      exits,
    })
      .argument("<file>", "the tar.gz")
      .option("--json", "the result on one line of JSON")
      .action(async (file: string, { json }: { json?: boolean }) => {
        const path = resolve(context.cwd, file);
        if (!fs.existsSync(path)) throw new UsageError(`${file} does not exist`);
        done(report(context, { file }, await verify(path), json));
      }),
  );
}

async function backup(context: Context, options: BackupOptions): Promise<Exit> {
  // Not a required option for commander, because `backup verify` would then need it, too.
  if (options.out === undefined) throw new UsageError("name the file to write: --out backup.tar.gz");
  const path = resolve(context.cwd, options.out);
  Output.check(context, [options.out], options);
  // The file gets the backup's name only once it is complete.
  const draft = Output.draftOf(path);
  const server = await Server.connect(context, options);
  try {
    await fetchTo(context, server, query(options), draft);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
    await server.close();
  }
  const made = { file: options.out, bytes: fs.statSync(path).size };
  if (!options.verify) {
    context.out(
      options.json ? `${JSON.stringify(made)}\n` : `${made.file}: ${made.bytes} bytes, not verified\n`,
    );
    return exit.ok;
  }
  return report(context, made, await verify(path), options.json);
}

const verify = (path: string) => Verify.verify(() => fs.createReadStream(path));

function report(
  context: Context,
  made: object & { file: string },
  result: Verify.Verified,
  json?: boolean,
): Exit {
  const { ok, entries, bytes, problems, head } = result;
  for (const problem of problems) context.say(`error: ${made.file}: ${problem}`);
  if (json && !ok) context.out(Failure.line(Failure.damaged(made.file, problems)));
  else if (json) {
    const facts = {
      ...made,
      ok,
      entries,
      artifact_bytes: bytes,
      created_at: head?.created_at ?? null,
      problems,
    };
    context.out(`${JSON.stringify(facts)}\n`);
  } else if (ok) {
    context.out(
      `${made.file}: ${entries} artifacts, ${bytes} bytes unpacked, all as in the manifest of ${head?.created_at}\n`,
    );
  }
  return ok ? exit.ok : exit.items;
}

function query({ from, to, kind, keyId }: BackupOptions): string {
  const given = Object.entries({ from, to, kind, key_id: keyId }).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  );
  return new URLSearchParams(given).toString();
}

const Running = z.object({ status: z.literal("running"), entries: z.number() });
const Signed = z.object({ url: z.url({ protocol: /^https?$/ }) });

/** A backup that takes longer than this has lost its worker. */
const buildLimitMs = 2 * 3_600_000;
/** How often a temporary failure (a lost connection, an expired URL, a busy server) is retried. */
const tries = 4;
const retryPauseMs = 2_000;
const maxPollS = 30;

/** Writes the archive to the file, however long it takes to make. Throws CallError and UsageError. */
async function fetchTo(context: Context, server: Target, search: string, file: string): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await save(context, await archive(context, server, search), file);
    } catch (error) {
      const passes =
        error instanceof CallError && (error.code === "network" || [429, 503].includes(error.status ?? 0));
      if (!passes || tried === tries) throw error;
      context.say(`${error.message}; once more`);
      await sleep(retryPauseMs, undefined, { signal: context.signal });
    }
  }
}

/** Polls until the archive is ready. Returns the answer with its bytes. */
async function archive(context: Context, server: Target, search: string): Promise<Response> {
  const asked = new URLSearchParams(search);
  // The signed URL comes in a body instead of a redirect, so that the key is not sent to the bucket.
  asked.set("as", "url");
  const url = new URL(`v1/debug/artifacts/backup.tar.gz?${asked}`, server.url);
  const giveUpAt = performance.now() + buildLimitMs;
  const headers = {
    ...(server.apiKey === undefined ? {} : { authorization: `Bearer ${server.apiKey}` }),
  };
  for (let lastSaid = -1; ; ) {
    const response = await open(context, url, headers);
    if (response.status === 200 && !response.headers.get("content-type")?.includes("json")) return response;
    const answer = { ...(await answerOf(response)), server };
    const signed = Signed.safeParse(answer.json);
    if (response.status === 200 && signed.success) return signedArchive(context, new URL(signed.data.url));
    const running = Running.safeParse(answer.json);
    if (response.status !== 202 || !running.success) throw failureOf(answer);
    if (performance.now() > giveUpAt)
      throw new UsageError("the server is still packing after two hours: ask again later");
    const { entries } = running.data;
    if (entries !== lastSaid) context.say(`the server is packing: ${entries} artifacts so far`);
    lastSaid = entries;
    const seconds = Number(response.headers.get("retry-after") ?? 5) || 0;
    await sleep(Math.min(maxPollS, Math.max(0.2, seconds)) * 1000, undefined, { signal: context.signal });
  }
}

async function signedArchive(context: Context, url: URL): Promise<Response> {
  const response = await open(context, url, {});
  if (response.status === 200) return response;
  await response.body?.cancel();
  throw fault("the bucket", `answered ${response.status}`);
}

/** The limit until the headers arrive is that of any call; the body may take longer. */
const headersTimeoutMs = 45_000;

async function open(context: Context, url: URL, headers: Record<string, string>): Promise<Response> {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(), headersTimeoutMs);
  try {
    const signal = AbortSignal.any([context.signal, slow.signal]);
    return await fetch(url, { headers, redirect: "manual", signal });
  } catch (error) {
    context.signal.throwIfAborted();
    throw fault(url.origin, slow.signal.aborted ? "no answer in time" : "the connection failed", error);
  } finally {
    clearTimeout(timer);
  }
}

async function save(context: Context, response: Response, file: string): Promise<void> {
  try {
    const body = response.body === null ? Readable.from([]) : Readable.fromWeb(response.body);
    await pipeline(body, fs.createWriteStream(file, { mode: 0o600 }), { signal: context.signal });
  } catch (error) {
    context.signal.throwIfAborted();
    // A full disk or a missing folder is reported as such.
    if (error instanceof Error && "path" in error)
      throw new UsageError(`cannot write ${file}: ${error.message}`);
    throw fault("the download", "broke off", error);
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json, ms: 0 };
}

function fault(where: string, what: string, cause?: unknown): CallError {
  return new CallError(`${where}: ${what}`, { scope: "server", code: "network", cause });
}

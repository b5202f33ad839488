/** Answers that may be large: straight from the API, or from a signed address that it names. */
import * as fs from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as z from "zod";
import * as Output from "#cli/files/output";
import { type Context, UsageError } from "#cli/terminal/context";
import type { Answer, Target } from "./answer.ts";
import { CallError } from "./call-error.ts";
import { failureOf } from "./refusal.ts";

/** The answer to `as=url`. A redirect would send the key to the bucket. */
const Signed = z.strictObject({ url: z.url({ protocol: /^https?$/ }), expires_at: z.string() });

/** The time limit of any call applies until the headers arrive; the body may take longer. */
const headersTimeoutMs = 45_000;

/**
 * The bytes of a GET. The key is sent only to the API, never to the bucket. Throws CallError, also while the bytes
 * are read.
 */
export async function open(
  context: Pick<Context, "signal">,
  server: Target,
  path: string,
): Promise<Readable> {
  const url = new URL(path.replace(/^\/+/, ""), server.url);
  const response = await ask(context, url, {
    ...(server.apiKey === undefined ? {} : { authorization: `Bearer ${server.apiKey}` }),
  });
  const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
  if (response.status === 200 && !isJson) return bodyOf(response);
  const text = await textOf(context, response);
  const answer: Answer = {
    status: response.status,
    headers: response.headers,
    text,
    json: parse(text),
    ms: 0,
    server,
  };
  if (response.status !== 200) throw failureOf(answer);
  const signed = Signed.safeParse(answer.json);
  if (!signed.success) return Readable.from([Buffer.from(text)]);
  const stored = await ask(context, new URL(signed.data.url), {});
  if (stored.status === 200) return bodyOf(stored);
  await stored.body?.cancel();
  throw fault(`the bucket answered ${stored.status}`);
}

/**
 * Writes the bytes of a GET to a file, which gets its name only when it is complete. Throws CallError, and UsageError
 * if the file cannot be written.
 */
export async function save(
  context: Pick<Context, "signal">,
  server: Target,
  path: string,
  file: string,
): Promise<void> {
  await writeWhole(context, await open(context, server, path), file);
}

/** The error of a download: an interrupted one throws CallError, after which a repeat may succeed. */
export async function* whole(source: Readable): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    throw error instanceof CallError ? error : fault("the download was interrupted", error);
  }
}

/** Writes a stream to a file in one step: an incomplete file never has the name. Pipes are written to as they are. */
export async function writeWhole(
  context: Pick<Context, "signal">,
  source: Readable,
  file: string,
): Promise<void> {
  const draft = Output.isStream(file) ? undefined : Output.draftOf(file);
  try {
    await pipeline(source, fs.createWriteStream(draft ?? file), { signal: context.signal });
    if (draft !== undefined) await rename(draft, file);
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof CallError || error instanceof UsageError) throw error;
    // A full disk or a missing folder is reported as such.
    if (error instanceof Error && "syscall" in error && "path" in error)
      throw new UsageError(`cannot write ${file}: ${error.message}`);
    throw fault("the download was interrupted", error);
  } finally {
    if (draft !== undefined) await rm(draft, { force: true });
  }
}

async function ask(
  context: Pick<Context, "signal">,
  url: URL,
  headers: Record<string, string>,
): Promise<Response> {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(), headersTimeoutMs);
  try {
    const signal = AbortSignal.any([context.signal, slow.signal]);
    return await fetch(url, { headers, redirect: "manual", signal });
  } catch (error) {
    context.signal.throwIfAborted();
    throw fault(
      `${url.origin}: ${slow.signal.aborted ? "no answer in time" : "the connection failed"}`,
      error,
    );
  } finally {
    clearTimeout(timer);
  }
}

function bodyOf(response: Response): Readable {
  return response.body === null ? Readable.from([]) : Readable.fromWeb(response.body);
}

async function textOf(context: Pick<Context, "signal">, response: Response): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    context.signal.throwIfAborted();
    throw fault("the answer was interrupted", error);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fault(message: string, cause?: unknown): CallError {
  return new CallError(message, { scope: "server", code: "network", cause });
}

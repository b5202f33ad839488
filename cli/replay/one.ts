/** `replay --live` of one artifact: asks the model again with the same picture. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { basename, resolve } from "node:path";
import * as Run from "#cli/batch/run";
import * as Upload from "#cli/batch/upload";
import { CallError } from "#cli/server/call-error";
import * as Extracts from "#cli/server/extracts";
import type { Server } from "#cli/server/server";
import { type Context, UsageError } from "#cli/terminal/context";
import type { Artifact } from "#core/reading/schema";
import { type Difference, differences } from "#core/replay/difference";

export interface Drift {
  request_id: string;
  source_request_id: string;
  same: boolean;
  /** Values of the result that differ now, as printed. */
  differences: Difference[];
  model: { stored: string | null; now: string | null };
  /** True if the task has another prompt now. */
  prompt_changed: boolean;
}

/**
 * Reads the picture of an artifact again, with the task, prompt and schema that the call had, and compares the results.
 * @param picture - a file with the picture; needed where the server keeps none. Throws UsageError if it is not that picture,
 *   and if none is kept; CallError.
 */
export async function again(
  context: Context,
  server: Server,
  artifact: Artifact,
  picture: string | undefined,
): Promise<Drift> {
  const isItem = artifact.run !== undefined && picture === undefined;
  const now = isItem ? await rerun(context, server, artifact) : await ask(context, server, artifact, picture);
  const found = differences(readIn(artifact), readIn(now));
  return {
    ...{ request_id: now.request_id, source_request_id: artifact.request_id },
    ...{ same: found.length === 0, differences: found },
    model: { stored: artifact.model, now: typeof now.model === "string" ? now.model : null },
    prompt_changed: artifact.prompt_sha256 !== now.prompt_sha256,
  };
}

/** What was read: a result, or that of each document of a picture that was split. */
function readIn({
  result,
  documents,
}: {
  result?: unknown;
  documents?: readonly { result: unknown }[] | undefined;
}): object {
  return documents === undefined
    ? { result: result ?? null }
    : { documents: documents.map((each) => ({ result: each.result })) };
}

/** Reads an item of a run again, as a run of that item alone, from the picture that the server kept. */
async function rerun(context: Context, server: Server, { run }: Artifact): Promise<Extracts.Extract> {
  const runId = Run.newId("replay");
  await Run.start(context, server, "/v1/batch_extract_rerun", {
    ...{ run_id: runId, source_run_id: run?.run_id, index: run?.index },
  });
  await Run.wait(context, server, runId);
  return Extracts.ended(server, `${runId}~0`, context.signal);
}

async function ask(
  context: Context,
  server: Server,
  artifact: Artifact,
  picture: string | undefined,
): Promise<Extracts.Extract> {
  const kept = artifact.input?.image_ref;
  const image_ref = picture === undefined ? kept : await sent(context, server, artifact, picture);
  if (image_ref === undefined) throw notKept(artifact);
  const debug = artifact.request?.debug;
  const body = {
    ...{ image_ref, task_id: artifact.task_id, request_id: Run.newId("replay") },
    ...(debug === undefined ? {} : { debug }),
    ...(artifact.documents === undefined ? {} : { split: "auto" as const }),
  };
  try {
    return await Extracts.extract(server, body, context.signal);
  } catch (error) {
    if (error instanceof CallError && error.code === "not_found" && picture === undefined)
      throw notKept(artifact);
    throw error;
  }
}

const ways: Readonly<Record<string, string>> = {
  inline: "it came in the call itself",
  url: "it came from an address",
  upload: "its upload was removed",
};

function notKept({ request_id, input }: Artifact): UsageError {
  const why = input === null ? "it could not be read" : (ways[input.source] ?? "it was removed");
  return new UsageError(`the picture of ${request_id} is not kept (${why}): name the file with --picture`);
}

/** Uploads the file, if it is the picture of the artifact. */
async function sent(
  context: Context,
  server: Server,
  { request_id, input }: Artifact,
  picture: string,
): Promise<string> {
  const path = resolve(context.cwd, picture);
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new UsageError(`${picture} is not a file`);
  const bytes = await Upload.bytesOf(path);
  if (createHash("sha256").update(bytes).digest("hex") !== input?.sha256)
    throw new UsageError(`${picture} is not the picture of ${request_id}: its bytes differ`);
  const wish = { kind: "image", mimeType: input.mime_type, file: basename(path) } as const;
  return (await Upload.upload(context, server, wish, bytes)).ref;
}

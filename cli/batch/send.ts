/** Turns local files into a run on the server, in steps that can be resumed. */
import { basename } from "node:path";
import type { Target } from "#cli/server/answer";
import type { Context } from "#cli/terminal/context";
import * as Limits from "#spec/limits";
import type { Entry } from "./entry.ts";
import * as Progress from "./progress.ts";
import { onceInAWhile } from "./retry.ts";
import * as Run from "./run.ts";
import * as State from "./state.ts";
import * as Upload from "./upload.ts";

/** Unused uploads are removed after seven days; one older than this is uploaded again. */
const uploadGoodMs = 6 * 24 * 3_600_000;
const isGood = (at: number | undefined) => at !== undefined && Date.now() - at < uploadGoodMs;

/** Entries that need no more uploading. */
export const isReady = (entry: Entry) => entry.path === undefined || isGood(entry.uploadedAt);

/**
 * Uploads the missing pictures, then starts the run, and saves its progress. Resumed after a kill at any point, it
 * makes no second run, because the run_id is stored. Throws CallError, UsageError for a file that no longer exists, and
 * the signal's reason.
 */
export async function send(context: Context, server: Target, state: State.State): Promise<void> {
  if ((await Run.find(server, { runId: state.run_id }, context.signal)) === undefined) {
    await uploadAll(context, server, state);
    await Run.start(context, server, "/v1/batch_extract", {
      run_id: state.run_id,
      ...state.options,
      ...(await sourceOf(context, server, state)),
    });
  }
  state.sent = true;
  state.entries = [];
  State.save(context.env, state);
}

async function uploadAll(context: Context, server: Target, state: State.State): Promise<void> {
  const missing = state.entries.filter((entry) => !isReady(entry));
  if (missing.length === 0) return;
  const total = state.entries.filter(({ path }) => path !== undefined).length;
  let done = total - missing.length;
  const progress = Progress.start(context, { label: "upload", unit: "files", total, done });
  const say = onceInAWhile(progress.say);
  const save = State.saver(context.env, state);
  try {
    await Upload.each(missing, context, async (entry, signal) => {
      const { path = "" } = entry;
      const bytes = await Upload.bytesOf(path);
      const wish = {
        kind: "image",
        mimeType: entry.mimeType ?? "application/octet-stream",
        file: basename(path),
      } as const;
      const { ref } = await Upload.upload({ say, signal }, server, wish, bytes);
      entry.line = { ...entry.line, image_ref: ref };
      entry.uploadedAt = Date.now();
      done += 1;
      progress.update(done);
      save();
    });
  } finally {
    progress.stop();
    State.save(context.env, state);
  }
}

/** A body must fit the platform's 6 MB with room to spare; image_urls can be long. */
const inlineBytes = 3_000_000;

/** The manifest itself if it is short, else a reference to an uploaded one. */
async function sourceOf(context: Context, server: Target, state: State.State): Promise<object> {
  const lines = state.entries.map(({ line }) => line);
  if (lines.length <= Limits.batches.inlineManifestLines) {
    if (JSON.stringify(lines).length <= inlineBytes) return { manifest: lines };
  }
  if (!isGood(state.manifest?.uploaded_at)) {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const { ref } = await Upload.upload(
      context,
      server,
      { kind: "manifest", mimeType: "application/x-ndjson" },
      new TextEncoder().encode(text),
    );
    // Every repeat uses the same reference: another one would be another payload under the same id.
    state.manifest = { ref, uploaded_at: Date.now() };
    State.save(context.env, state);
  }
  return { manifest_ref: state.manifest?.ref };
}

/** A local loop that asks one model, in a temporary home, with a run of the receipts in it. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Entry } from "#cli/batch/entry";
import * as Run from "#cli/batch/run";
import * as Send from "#cli/batch/send";
import type * as State from "#cli/batch/state";
import * as Put from "#cli/labels/put";
import * as Client from "#cli/server/client";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";
import type { Loop } from "#local/loop";
import type { Wanted } from "./models.ts";
import type { Receipts } from "./receipts.ts";

export interface Stand {
  readonly wanted: Wanted;
  readonly home: string;
  readonly server: Server;
  /** The run that the turns resume. */
  readonly runId: string;
  /** Starts no further items until `resume`. */
  pause(): void;
  resume(): void;
  /** Receipts that are being read. */
  inFlight(): number;
  /** Ends the loop's processes, and removes its folder unless it is kept. May be called twice. */
  close(): Promise<void>;
}

export interface Wish {
  readonly taskId: string;
  readonly concurrency: number;
  readonly imageKey: string;
  readonly keep: boolean;
}

/** HTTP functions of a loop: only this command calls it, but a process for each function that it calls starts once. */
const httpInstances = 8;

/** Starts the loop, without any run. Nothing is left of it when it throws: the errors of a loop that does not start. */
export async function open(context: Context, wanted: Wanted, wish: Wish): Promise<Stand> {
  const home = fs.mkdtempSync(join(tmpdir(), "ocrlty-bench-"));
  let loop: Loop | undefined;
  let closing: Promise<void> | undefined;
  const close = async () => {
    await loop?.close(0);
    if (!wish.keep) fs.rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  const closeOnce = () => {
    closing ??= close();
    return closing;
  };
  try {
    // Loaded here: it brings the bundler along.
    const { start } = await import("#local/loop");
    loop = await start({
      home,
      port: 0,
      httpInstances,
      env: { ...wanted.env, ITEM_MAX_CONCURRENCY: String(Math.max(2, wish.concurrency)) },
      warn: context.say,
    });
    context.signal.throwIfAborted();
    const items = loop.queue("item");
    items.pause();
    if (wish.keep) context.say(`${wanted.label}: kept in ${home}`);
    const { pause, resume, inFlight } = items;
    const server = serverOf(loop, closeOnce);
    return { wanted, home, server, runId: "", pause, resume, inFlight, close: closeOnce };
  } catch (error) {
    await closeOnce();
    throw error;
  }
}

const serverOf = (loop: Loop, close: () => Promise<void>): Server => ({
  ...Client.target(loop.url, loop.apiKey),
  ...{ local: true, ownLoop: true, close },
});

/** Uploads one receipt and begins a run of it, paused: the first call of a model server is slow, and is not measured. */
export const warmUp = (context: Context, stand: Stand, { entries }: Receipts, wish: Wish): Promise<Stand> =>
  begin(context, stand, "warm-up", { entries: entries.slice(0, 1), options: optionsOf(wish) });

/**
 * Stores the labels, uploads the receipts and begins their run, paused, by the same calls as `ocrlty batch --gt`. Throws
 * CallError.
 */
export async function measured(
  context: Context,
  stand: Stand,
  { file, entries }: Receipts,
  wish: Wish,
): Promise<Stand> {
  const { imageKey } = wish;
  const labels = await Put.put(context, stand.server, { name: "bench", file, imageKey });
  const { gt_id } = labels.ground_truth;
  return begin(context, stand, "bench", {
    ...{ entries, options: { ...optionsOf(wish), gt_id, gt_image_key: imageKey } },
  });
}

const optionsOf = ({ taskId, concurrency }: Wish) => ({ task_id: taskId, concurrency });

async function begin(
  context: Context,
  stand: Stand,
  runId: string,
  { entries, options }: { entries: readonly Entry[]; options: State.State["options"] },
): Promise<Stand> {
  const state: State.State = {
    ...{ version: 1, run_id: runId, server: null, source: "", out: null, table: {}, partial: null },
    ...{ fail_under: [], sent: false, skipped: 0, manifest: null, options },
    entries: entries.map((entry) => ({ ...entry, line: { ...entry.line } })),
  };
  const env = { ...context.env, OCRLTY_HOME: stand.home };
  await Send.send({ ...context, env }, stand.server, state);
  return { ...stand, runId };
}

/** The run as it is now. */
export const runOf = ({ server, runId }: Stand, signal: AbortSignal): Promise<Run.Run> =>
  Run.get(server, { runId }, signal);

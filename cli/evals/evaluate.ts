/** Runs an evaluation through the API: finds or stores the labels, starts the evaluation and waits for it. */
import { text as readText } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import * as Progress from "#cli/batch/progress";
import * as Run from "#cli/batch/run";
import * as Named from "#cli/labels/named";
import { CallError } from "#cli/server/call-error";
import * as Client from "#cli/server/client";
import * as Download from "#cli/server/download";
import { failureOf } from "#cli/server/refusal";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";
import type * as Read from "#core/evaluation/read";
import type * as Wire from "#core/evaluation/wire";
import * as Lines from "#core/lines";

const Ordered = z.looseObject({ eval_id: z.string(), status: z.string(), poll_url: z.string() });
const Items = z.looseObject({ items: z.object({ done: z.int(), total: z.int() }) });

/** A run, and the labels to measure it against: a file, a ground truth's name, or its id. */
interface Wish {
  runId: string;
  labels: string;
  imageKey: string | undefined;
  strMode: "exact" | "strip";
}

const firstPollMs = 200;
const lastPollMs = 3_000;

/** Measures a run and waits for the figures. Throws CallError, also for an evaluation that failed. */
export async function evaluate(context: Context, server: Server, wish: Wish): Promise<Read.Shown> {
  const gtId = await Named.idOf(context, server, wish);
  const answer = await Client.call(server, {
    ...{ method: "POST", path: "/v1/evals", signal: context.signal },
    body: {
      ...{ run_id: wish.runId, gt_id: gtId, str_mode: wish.strMode },
      ...(wish.imageKey === undefined ? {} : { gt_image_key: wish.imageKey }),
    },
  });
  if (answer.status !== 202) throw failureOf(answer);
  return wait(context, server, Ordered.parse(answer.json).poll_url);
}

/** Waits for an evaluation's end and shows its progress. Throws CallError, also for one that failed. */
export async function wait(context: Context, server: Server, path: string): Promise<Read.Shown> {
  let progress: Progress.Progress | undefined;
  let all = 0;
  try {
    for (let pauseMs = firstPollMs; ; pauseMs = Math.min(lastPollMs, pauseMs * 1.5)) {
      const answer = await Client.call(server, { path, signal: context.signal });
      if (answer.status === 200) {
        progress?.update(all);
        return ended(answer.json as Read.Shown);
      }
      if (answer.status !== 202) throw failureOf(answer);
      const { done, total } = Items.parse(answer.json).items;
      progress ??= Progress.start(context, { label: "evaluation", unit: "items", total, done });
      progress.update(done);
      all = total;
      await sleep(pauseMs, undefined, { signal: context.signal });
    }
  } finally {
    progress?.stop();
  }
}

function ended(evaluation: Read.Shown): Read.Shown {
  const { error } = evaluation;
  if (evaluation.status !== "failed" || error === null) return evaluation;
  throw new CallError(error.message, { scope: "item", code: error.code });
}

/** How long the order of an evaluation may take after the end of its run. */
const orderMs = 60_000;

/** The evaluation that a run asked for when it was made. Throws CallError, also if none is ordered. */
export async function ofRun(context: Context, server: Server, runId: string): Promise<Read.Shown> {
  for (const until = Date.now() + orderMs; ; ) {
    const { eval: ordered } = await runOf(context, server, runId);
    if (ordered) return wait(context, server, ordered.poll_url);
    if (Date.now() >= until)
      throw new CallError(
        `the evaluation of ${runId} has not begun: npm run ocrlty -- eval ${runId} --gt LABELS`,
        {
          scope: "item",
          code: "timeout",
        },
      );
    await sleep(firstPollMs, undefined, { signal: context.signal });
  }
}

/** The results of the documents as lines of JSON, read as they come. Throws CallError. */
export async function* lines(context: Context, { samples: parts }: Read.Shown): AsyncGenerator<Buffer> {
  for (const { url } of parts) {
    // The signed address is the permission: the API key is not sent.
    const source = await Download.open(context, { url: new URL(url), apiKey: undefined }, url);
    for await (const line of Lines.of(Download.whole(source))) if (line.length > 0) yield line;
  }
}

/** The results of the documents, one after the other. Throws CallError. */
export async function* samples(context: Context, evaluation: Read.Shown): AsyncGenerator<Wire.Sample> {
  for await (const line of lines(context, evaluation)) yield JSON.parse(line.toString("utf8")) as Wire.Sample;
}

const Signed = z.looseObject({ url: z.string() });

/** The report, as HTML. Throws CallError. */
export async function report(
  context: Context,
  server: Server,
  { eval_id }: Read.Shown,
  { pictures }: { pictures: boolean },
): Promise<string> {
  const path = `/v1/evals/${eval_id}/report?as=url${pictures ? "" : "&pictures=0"}`;
  const answer = await Client.call(server, { path, signal: context.signal });
  if (answer.status !== 200) throw failureOf(answer);
  const { url } = Signed.parse(answer.json);
  return readText(await Download.open(context, { url: new URL(url), apiKey: undefined }, url));
}

/** The day under which a run's artifacts are stored, and the key that owns them. */
export const runOf = (context: Context, server: Server, runId: string): Promise<Run.Run> =>
  Run.get(server, { runId }, context.signal);

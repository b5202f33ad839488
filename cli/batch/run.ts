/** Starts runs, reads them and waits for them. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type { Request, Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import * as Client from "#cli/server/client";
import { failureOf } from "#cli/server/refusal";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { home } from "#local/home/home";
import * as Progress from "./progress.ts";
import { patiently } from "./retry.ts";

/** The fields of a run that commands read; the rest is passed on unchanged. */
export const Run = z.looseObject({
  run_id: z.string(),
  /** The key that owns the run. */
  key_id: z.string().optional(),
  task_id: z.string(),
  status: z.string(),
  created_at: z.string(),
  finished_at: z.string().nullish(),
  concurrency: z.union([
    z.number(),
    z.looseObject({ mode: z.literal("auto"), now: z.number(), most: z.number() }),
  ]),
  waiting_for: z.string().nullish(),
  counts: z.object({
    total: z.number(),
    queued: z.number(),
    running: z.number(),
    succeeded: z.number(),
    failed: z.number(),
    canceled: z.number(),
    pages: z.number().optional(),
  }),
  types: z.record(z.string(), z.number()).optional(),
  with_warnings: z.number().optional(),
  error: z.looseObject({ code: z.string(), message: z.string() }).nullish(),
  /** Its newest evaluation. */
  eval: z.looseObject({ eval_id: z.string(), poll_url: z.string() }).nullish(),
});
export type Run = z.output<typeof Run>;

export const Item = z.looseObject({
  index: z.number(),
  custom_id: z.string().nullish(),
  file: z.string().nullish(),
  status: z.string(),
  request_id: z.string(),
  schema_ok: z.boolean().nullish(),
  warnings: z.array(z.looseObject({ code: z.string() })).optional(),
  result: z.record(z.string(), z.unknown()).nullish(),
  error: z.looseObject({ code: z.string(), message: z.string() }).nullish(),
});
export type Item = z.output<typeof Item>;

const ended = new Set(["succeeded", "failed", "canceled"]);
export const hasEnded = (run: Run) => ended.has(run.status);

/** True if every item has a result, which means exit status 0. */
export const isGood = (run: Run) => run.status === "succeeded" && run.counts.failed === 0;

/** A run to read; `keyId` is its owner if that is another key. */
export interface Wanted {
  readonly runId: string;
  readonly keyId?: string | undefined;
}

/** The path of a run, or of a part of it (`/items`). */
export function pathOf(
  { runId, keyId }: Wanted,
  more = "",
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const search = searchOf({ ...query, key_id: keyId });
  return `/v1/runs/${encodeURIComponent(runId)}${more}${search === "" ? "" : `?${search}`}`;
}

function searchOf(query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return new URLSearchParams(given).toString();
}

/** A call about a run that must succeed; its answer as JSON. Throws CallError. */
export async function ask(
  server: Target,
  request: Request,
  wanted: readonly number[] = [200],
): Promise<unknown> {
  const answer = await Client.call(server, request);
  if (!wanted.includes(answer.status)) throw failureOf(answer);
  return answer.json;
}

/** The run in an answer, with all its fields. Throws CallError if the answer is not a run. */
export function of(json: unknown): Run {
  if (Run.safeParse(json).success) return json as Run;
  throw new CallError("the answer is not a run: this is not an OCRlty server, or one of another version", {
    scope: "server",
    code: "odd_answer",
  });
}

export async function get(server: Target, wanted: Wanted, signal: AbortSignal): Promise<Run> {
  return of(await ask(server, { path: pathOf(wanted), signal }));
}

/** The run, or undefined if the server has none with this id. */
export async function find(server: Target, wanted: Wanted, signal: AbortSignal): Promise<Run | undefined> {
  try {
    return await get(server, wanted, signal);
  } catch (error) {
    if (error instanceof CallError && error.code === "not_found") return undefined;
    throw error;
  }
}

/** How long a call that starts a run is repeated; its run_id makes that safe. */
const startMs = 2 * 60_000;

/** `POST /v1/batch_extract` or `…_rerun`; the body has a run_id, so a repeat gives the same run. */
export async function start(
  context: Pick<Context, "say" | "signal">,
  server: Target,
  path: "/v1/batch_extract" | "/v1/batch_extract_rerun",
  body: { run_id: string; [name: string]: unknown },
): Promise<Run> {
  return patiently(context, startMs, async () =>
    of(await ask(server, { method: "POST", path, body, signal: context.signal }, [200, 202])),
  );
}

const Page = z.object({ items: z.array(z.unknown()), next_cursor: z.string().nullish() });
const pageSize = 200;

/** The elements of a list from page to page, at most `limit`. Throws CallError. */
export async function* list<T>(
  server: Target,
  path: string,
  options: {
    query?: Readonly<Record<string, string | undefined>>;
    limit?: number | undefined;
    signal: AbortSignal;
    schema: z.ZodType<T>;
  },
): AsyncGenerator<T> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for (let cursor: string | undefined; left > 0; ) {
    const search = searchOf({ ...options.query, limit: String(Math.min(pageSize, left)), cursor });
    const json = await ask(server, { path: `${path}?${search}`, signal: options.signal });
    const page = Page.extend({ items: z.array(options.schema) }).safeParse(json);
    if (!page.success)
      throw new CallError("the answer is not a list: this is a server of another version", {
        scope: "server",
        code: "odd_answer",
      });
    for (const item of page.data.items.slice(0, left)) yield item;
    left -= page.data.items.length;
    cursor = page.data.next_cursor ?? undefined;
    if (cursor === undefined) return;
  }
}

/** The same for a table of the newest ones; a line on stderr says if there are more than `limit`. Throws CallError. */
export async function* newest<T>(
  context: Pick<Context, "say" | "signal">,
  server: Target,
  path: string,
  how: { query: Readonly<Record<string, string | undefined>>; limit: number; schema: z.ZodType<T> },
): AsyncGenerator<T> {
  let count = 0;
  for await (const each of list(server, path, { ...how, limit: how.limit + 1, signal: context.signal })) {
    count += 1;
    if (count > how.limit) context.say(`… and more: these are the newest ${how.limit} (--limit)`);
    else yield each;
  }
}

const firstPollMs = 1_000;
const lastPollMs = 5_000;
/** A restart or a deployment takes less than this. */
const awayMs = 10 * 60_000;

/**
 * Waits for the run's end and shows its progress. It also waits while the server is away for a short time, and finds a
 * local loop that restarted on another port. Throws CallError if the server stays away, and the signal's reason if
 * aborted: the run itself goes on.
 */
export async function wait(context: Context, server: Server, runId: string): Promise<Run> {
  let target: Target = server;
  let progress: Progress.Progress | undefined;
  const patient = { ...context, say: (line: string) => (progress?.say ?? context.say)(line) };
  const look = async () => {
    const moved = server.local && !server.ownLoop ? home(context.env).url() : undefined;
    if (moved !== undefined && URL.canParse(moved)) target = Client.target(moved, server.apiKey);
    return get(target, { runId }, context.signal);
  };
  try {
    for (let pauseMs = firstPollMs; ; pauseMs = Math.min(lastPollMs, pauseMs * 1.25)) {
      const run = await patiently(patient, awayMs, look);
      const { total, succeeded, failed, canceled } = run.counts;
      const done = succeeded + failed + canceled;
      progress ??= Progress.start(context, { label: runId, unit: "items", total, done });
      progress.update(done, noteOf(run), total);
      if (hasEnded(run)) return run;
      await sleep(pauseMs, undefined, { signal: context.signal });
    }
  } finally {
    progress?.stop();
  }
}

/** What a run waits for, where its name does not say it. */
const waits: Record<string, string> = { budget: "next day: the pod has used up what it may cost today" };

function noteOf(run: Run): string {
  const { failed } = run.counts;
  return [
    run.waiting_for
      ? `waiting for the ${waits[run.waiting_for] ?? run.waiting_for.replaceAll("_", " ")}`
      : "",
    run.status === "planning" || run.status === "finishing" ? run.status : "",
    failed > 0 ? `${failed} failed` : "",
    run.status === "running" && typeof run.concurrency === "object"
      ? `${run.concurrency.now} of at most ${run.concurrency.most} at once`
      : "",
  ]
    .filter(Boolean)
    .join(", ");
}

/** One line about how a run ended. */
export function summary(run: Run): string {
  const { total, succeeded, failed, canceled } = run.counts;
  const warned = run.with_warnings ?? 0;
  const parts = [
    `${succeeded} of ${total} succeeded`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(canceled > 0 ? [`${canceled} canceled`] : []),
    ...(warned > 0 ? [`${warned} with warnings`] : []),
  ];
  const why = run.error ? `: ${run.error.message} (${run.error.code})` : "";
  return Text.shown(`${run.run_id} ${run.status}${why}: ${parts.join(", ")}${filesOf(run)}`);
}

/** `; 40 JPEG, 3 PDF, 55 pages`; empty if nothing was read, or if an older server does not report it. */
function filesOf({ types = {}, counts }: Run): string {
  const files = Object.entries(types).map(
    ([type, count]) => `${count} ${type.slice(type.indexOf("/") + 1).toUpperCase()}`,
  );
  if (files.length === 0) return "";
  const { pages = 0 } = counts;
  return `; ${[...files, `${pages} ${pages === 1 ? "page" : "pages"}`].join(", ")}`;
}

/** `batch-20261123-101500-x3f9a1`: sorts by time, and differs for two runs in the same second. */
export function newId(prefix: string): string {
  const time = new Date()
    .toISOString()
    .replaceAll(/[-:]|\..*/g, "")
    .replace("T", "-");
  return `${prefix}-${time}-${randomBytes(3).toString("hex")}`;
}

/** The `details` of a run with mistakes in its manifest. */
export const Issues = z.object({
  issues: z.array(z.object({ line: z.number(), path: z.string(), message: z.string() })),
  issue_count: z.number().optional(),
});

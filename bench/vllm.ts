/**
 * `npm run bench -- vllm [SCENARIO] [--url U] [--key K] [--model M]`: what a question costs a real model server, in
 * calls and tokens, if the answer does not fit, does not end or is interrupted. It starts no server; without an
 * address (`--url` or VLLM_BASE_URL) it prints that and ends.
 *
 * tasks      every task once; also for a server whose model loops or thinks
 * believed   the same while 8,192 tokens of context are assumed, for a server that has less
 * restarted  asks once, waits until the server has restarted with less context, then asks every task
 * ended      asks, prints when half an answer has arrived, and waits for the server to be stopped
 *
 * Tokens are counted twice: by the product, and by the difference of the server's own counters (`/metrics`), which
 * include calls that were cut off.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import sharp from "sharp";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import type { Log } from "#core/log";
import { perform } from "#core/reading/reading";
import * as Task from "#core/task/task";
import { probe } from "#core/vision/probe";
import * as Figures from "./support/figures.ts";

const scenarios = ["tasks", "believed", "restarted", "ended"] as const;
type Scenario = (typeof scenarios)[number];

/** Larger than any budget of a context of 8,192, so that the picture takes all the room there is for it. */
const widthPixels = 1792;
const believedTokens = 8192;
const deadlineMs = 300_000;

interface Row {
  task: string;
  calls: string;
  counted: string;
  server: string;
  end: string;
  seconds: number;
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      url: { type: "string", default: process.env.VLLM_BASE_URL ?? "" },
      key: { type: "string", default: process.env.VLLM_API_KEY ?? "" },
      model: { type: "string", default: "Qwen/Qwen3-VL-8B-Instruct" },
      task: { type: "string", multiple: true },
      json: { type: "boolean", default: false },
    },
  });
  const scenario = scenarios.find((each) => each === (positionals[0] ?? "tasks"));
  if (scenario === undefined) {
    process.stderr.write(`one of ${scenarios.join(", ")}\n`);
    return 2;
  }
  if (values.url === "") {
    process.stdout.write("skipped: no model server given (--url or VLLM_BASE_URL)\n");
    return 0;
  }
  const model: Config.Model = {
    baseUrl: values.url.replace(/\/+$/, ""),
    apiKey: values.key === "" ? undefined : values.key,
    model: values.model,
    maxModelLen: scenario === "believed" ? believedTokens : undefined,
    maxTokens: undefined,
    maxImages: 4,
    look: true,
    connectTimeoutMs: 5_000,
    readTimeoutMs: 120_000,
  };
  const tasks = values.task ?? Task.list().map(({ id }) => id);
  const rows = await measured(model, scenario, tasks);
  const cells = rows.map(({ task, calls, counted, server, end, seconds }) => [
    ...[task, calls, counted, server, end],
    seconds,
  ]);
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ scenario, rows })}\n`
      : `${Figures.table(["task", "calls", "tokens, ours", "tokens, server's", "end", "s"], cells)}\n`,
  );
  return 0;
}

async function measured(model: Config.Model, scenario: Scenario, tasks: string[]): Promise<Row[]> {
  const sample = await readFile(new URL("../samples/aldi.jpg", import.meta.url));
  const document = await Document.open(await sharp(sample).resize({ width: widthPixels }).jpeg().toBuffer());
  if (scenario === "restarted") {
    const before = await probe(model);
    await question(model, "receipt_fields_v1", document, false);
    await told(`now end the server and start it with less context than ${before.maxModelLen}`, async () => {
      const { ok, maxModelLen } = await probe(model);
      return ok && (maxModelLen ?? 0) < (before.maxModelLen ?? 0);
    });
  }
  const rows: Row[] = [];
  for (const task of tasks) {
    const row = await question(model, task, document, scenario === "ended");
    rows.push(row);
    // A server on a CPU takes minutes for some of them.
    process.stderr.write(`${JSON.stringify(row)}\n`);
  }
  return rows;
}

/** Prints what must be done by hand, and waits until it is done. */
async function told(what: string, done: () => Promise<boolean>): Promise<void> {
  process.stderr.write(`${what}\n`);
  while (!(await done())) await sleep(500);
}

async function question(
  model: Config.Model,
  taskId: string,
  document: Document.Document,
  tellsWhenHalf: boolean,
): Promise<Row> {
  const task = Task.get(taskId);
  if (task === undefined) throw new Error(`no task ${taskId}`);
  const before = await counters(model);
  const startedAt = Date.now();
  const answered = new AbortController();
  if (tellsWhenHalf) void tellWhenHalf(model, before?.generated ?? 0, answered.signal);
  const performed = await perform(model, {
    task,
    document,
    pages: [1],
    requestId: `bench-${taskId}-${startedAt}`,
    createdAt: new Date(startedAt),
    deadline: startedAt + deadlineMs,
    signal: AbortSignal.timeout(deadlineMs),
    log: silent,
  });
  answered.abort();
  const after = await counters(model);
  const { attempts } = performed.record;
  const { usage } = performed.answer;
  const kinds = (attempts as { kind: string; error?: string }[]).map(({ kind, error }) =>
    error === undefined ? kind : `${kind}: ${error}`,
  );
  const { error } = performed;
  return {
    task: taskId,
    calls: `${attempts.length} (${kinds.join(", ")})`,
    counted: `${usage.prompt_tokens} + ${usage.completion_tokens}`,
    server:
      before === undefined || after === undefined
        ? "?"
        : `${after.prompt - before.prompt} + ${after.generated - before.generated}`,
    end:
      error === undefined
        ? `answered, schema_ok ${performed.answer.schema_ok}`
        : `${error.code} ${JSON.stringify(error.details ?? {})}`,
    seconds: Figures.round((Date.now() - startedAt) / 1000, 1),
  };
}

/** Prints a line as soon as a part of an answer has arrived. */
async function tellWhenHalf(model: Config.Model, before: number, answered: AbortSignal): Promise<void> {
  while (!answered.aborted) {
    if (((await counters(model))?.generated ?? 0) > before) {
      process.stderr.write("now end the server in order (SIGTERM)\n");
      return;
    }
  }
}

/** The server's own counters so far; undefined if it has none. */
async function counters(model: Config.Model): Promise<{ prompt: number; generated: number } | undefined> {
  // The engine removes and counts a call that was cut off a moment later.
  await sleep(300);
  try {
    const response = await fetch(new URL("/metrics", model.baseUrl), { signal: AbortSignal.timeout(5_000) });
    const text = await response.text();
    const sum = (name: string) =>
      [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
        (total, [, value]) => total + Number(value),
        0,
      );
    return { prompt: sum("vllm:prompt_tokens_total"), generated: sum("vllm:generation_tokens_total") };
  } catch {
    return undefined;
  }
}

const silent: Log = { info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

/** Measures how long two runs and a single extract wait for each other. */
import { expect, vi } from "vitest";
import { base64 } from "#test/support/pictures";
import type { Batches } from "./batches.ts";

export interface FairnessOptions {
  readonly large: number;
  readonly concurrency: number;
  /** The model server's fixed service time. */
  readonly serviceMs: number;
  readonly key: string;
}

/**
 * Items of the large run that may end before the small one begins: a window of 48, and those that end in the
 * meantime.
 */
const endedMost = 50;
const window = 48;
const smallTotal = 20;

/**
 * A small run behind a large one, and an extract behind both. Cancels the large one at the end.
 * @returns one line with the figures.
 */
export async function fairness(batches: Batches, options: FairnessOptions): Promise<string> {
  const { large, concurrency, serviceMs, key } = options;
  const small = { total: smallTotal, concurrency, key };
  const alone = await durationAlone(batches, small);

  await batches.seed({ runId: "large", total: large, concurrency, key });
  // The large run is in progress.
  await vi.waitFor(
    async () => expect((await batches.row("large")).succeeded).toBeGreaterThan(2 * concurrency),
    { timeout: 60_000, interval: 20 },
  );
  const { begunAfter, begunAfterMs, singleAfterMs } = await join(batches, small);

  await batches.ended("small", 60_000);
  await batches.verify("small");
  const together = await durationMs(batches, "small");
  const most = alone + window * (await perItemMs(batches, "large"));
  expect(together).toBeLessThanOrEqual(most);
  expect((await batches.row("large")).state, "the large one was still at it").toBe("running");

  await cancelLarge(batches, concurrency);
  return `${large} items: 20 more began after ${begunAfter} of them (${begunAfterMs} ms), took ${together} ms, alone ${alone} ms, allowed ${Math.round(most)} ms; a single extract was asked after ${singleAfterMs} ms; service ${serviceMs} ms`;
}

interface Small {
  readonly total: number;
  readonly concurrency: number;
  readonly key: string;
}

async function extract(batches: Batches, request_id: string): Promise<void> {
  const answered = await batches.loop.call("/v1/extract", {
    json: { image_base64: await base64(7_777), request_id },
    headers: { prefer: "respond-async" },
  });
  expect(answered.status, answered.text).toBe(202);
}

async function extracted({ loop }: Batches, id: string): Promise<void> {
  await vi.waitFor(async () => expect((await loop.call(`/v1/extracts/${id}`)).status).toBe(200), {
    timeout: 60_000,
    interval: 20,
  });
}

/** How long the small run takes without another. */
async function durationAlone(batches: Batches, small: Small): Promise<number> {
  // One process of each function is started before, so that only waiting is measured.
  await extract(batches, "single-alone");
  await extracted(batches, "single-alone");
  await batches.seed({ runId: "alone", ...small });
  await batches.ended("alone", 60_000);
  return durationMs(batches, "alone");
}

/** Starts the extract and the small run behind the large one, and counts what they wait for until they begin. */
async function join(batches: Batches, small: Small) {
  const { model } = batches;
  const begun = () =>
    model.requests.find(({ headers }) => String(headers["x-request-id"]).startsWith("small~"));
  const sentAt = Date.now();
  await extract(batches, "single-meanwhile");
  await batches.seed({ runId: "small", ...small });
  await vi.waitFor(() => expect(begun()).toBeDefined(), { timeout: 60_000, interval: 5 });
  const startedAt = begun()?.at ?? 0;
  await extracted(batches, "single-meanwhile");
  const rows = await batches.items("large");
  const endedBetween = (from: number, to: number) =>
    rows.filter(({ endedAt }) => endedAt !== null && endedAt.getTime() > from && endedAt.getTime() <= to)
      .length;
  // From the time when its messages are behind those of the large one, so that the planning on a busy machine does
  // not count.
  const planned = batches.loop.events("run_planned").find(({ run_id }) => run_id === "small");
  const begunAfter = endedBetween(Date.parse(String(planned?.timestamp ?? planned?.time)), startedAt);
  expect(begunAfter).toBeLessThanOrEqual(endedMost);
  const singleAt =
    model.requests.find(({ headers }) => headers["x-request-id"] === "single-meanwhile")?.at ?? 0;
  // Extracts have their own queue and workers: less than one window of the large run ends before.
  expect(endedBetween(sentAt, singleAt)).toBeLessThanOrEqual(window);
  return { begunAfter, begunAfterMs: startedAt - sentAt, singleAfterMs: singleAt - sentAt };
}

/** Only calls that were in flight may reach the model afterwards. */
async function cancelLarge(batches: Batches, concurrency: number): Promise<void> {
  const canceled = await batches.loop.call("/v1/runs/large/cancel", { method: "POST" });
  expect(canceled.status, canceled.text).toBe(202);
  const askedAt = batches.model.requests.length;
  const end = await batches.ended("large", 120_000);
  expect(end.status).toBe("canceled");
  expect(batches.model.requests.length - askedAt).toBeLessThanOrEqual(concurrency);
}

async function durationMs(batches: Batches, runId: string): Promise<number> {
  const row = await batches.row(runId);
  return (row.finishedAt?.getTime() ?? Number.POSITIVE_INFINITY) - row.createdAt.getTime();
}

/** Between two endings of the run, on average. */
async function perItemMs(batches: Batches, runId: string): Promise<number> {
  const row = await batches.row(runId);
  const rows = (await batches.items(runId)).filter(({ endedAt }) => endedAt !== null);
  const last = Math.max(...rows.map(({ endedAt }) => endedAt?.getTime() ?? 0));
  return (last - row.createdAt.getTime()) / rows.length;
}

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
  const { model } = batches;
  const { large, concurrency, serviceMs, key } = options;
  const small = { total: smallTotal, concurrency, key };
  const begun = (runId: string) =>
    model.requests.find(({ headers }) => String(headers["x-request-id"]).startsWith(`${runId}~`));

  const extract = async (request_id: string) => {
    const answered = await batches.loop.call("/v1/extract", {
      json: { image_base64: await base64(7_777), request_id },
      headers: { prefer: "respond-async" },
    });
    expect(answered.status, answered.text).toBe(202);
  };
  const extracted = (id: string) =>
    vi.waitFor(async () => expect((await batches.loop.call(`/v1/extracts/${id}`)).status).toBe(200), {
      timeout: 60_000,
      interval: 20,
    });

  // One process of each function is started before, so that only waiting is measured.
  await extract("single-alone");
  await extracted("single-alone");
  await batches.seed({ runId: "alone", ...small });
  await batches.ended("alone", 60_000);
  const alone = await durationMs(batches, "alone");

  await batches.seed({ runId: "large", total: large, concurrency, key });
  // The large run is in progress.
  await vi.waitFor(
    async () => expect((await batches.row("large")).succeeded).toBeGreaterThan(2 * concurrency),
    { timeout: 60_000, interval: 20 },
  );
  const sentAt = Date.now();
  await extract("single-meanwhile");
  await batches.seed({ runId: "small", ...small });
  await vi.waitFor(() => expect(begun("small")).toBeDefined(), { timeout: 60_000, interval: 5 });
  const startedAt = begun("small")?.at ?? 0;
  await extracted("single-meanwhile");
  const rows = await batches.items("large");
  const endedBetween = (from: number, to: number) =>
    rows.filter(({ endedAt }) => endedAt !== null && endedAt.getTime() > from && endedAt.getTime() <= to)
      .length;
  // From the time when its messages are behind those of the large one, so that the planning on a busy machine does
  // not count.
  const planned = batches.loop.events("run_planned").find(({ run_id }) => run_id === "small");
  const meanwhile = endedBetween(Date.parse(String(planned?.timestamp ?? planned?.time)), startedAt);
  expect(meanwhile).toBeLessThanOrEqual(endedMost);
  const singleAt =
    model.requests.find(({ headers }) => headers["x-request-id"] === "single-meanwhile")?.at ?? 0;
  // Extracts have their own queue and workers: less than one window of the large run ends before.
  const untilSingle = endedBetween(sentAt, singleAt);
  expect(untilSingle).toBeLessThanOrEqual(window);

  await batches.ended("small", 60_000);
  await batches.verify("small");
  const together = await durationMs(batches, "small");
  const most = alone + window * (await perItemMs(batches, "large"));
  expect(together).toBeLessThanOrEqual(most);
  expect((await batches.row("large")).state, "the large one was still at it").toBe("running");

  const canceled = await batches.loop.call("/v1/runs/large/cancel", { method: "POST" });
  expect(canceled.status, canceled.text).toBe(202);
  const askedAt = model.requests.length;
  const end = await batches.ended("large", 120_000);
  expect(end.status).toBe("canceled");
  expect(model.requests.length - askedAt).toBeLessThanOrEqual(concurrency);
  return `${large} items: 20 more began after ${meanwhile} of them (${startedAt - sentAt} ms), took ${together} ms, alone ${alone} ms, allowed ${Math.round(most)} ms; a single extract was asked after ${singleAt - sentAt} ms; service ${serviceMs} ms`;
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

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Run } from "#core/run/schema";
import { answer, type Batches, open } from "#test/support/batches/batches";

/** Requests that the scripted server works on at a time; the others wait in line. */
const knee = 3;
const callMs = 400;
const most = 12;

let batches: Batches;
let keys: string[];
let working = 0;
const line: (() => void)[] = [];

beforeAll(async () => {
  const metrics = () =>
    `vllm:num_requests_running{engine="0"} ${working}\nvllm:num_requests_waiting{engine="0"} ${line.length}\n`;
  batches = await open({
    timeScale: 1 / 4,
    env: { ITEM_MAX_CONCURRENCY: String(most) },
    model: { metrics, respond: serve },
  });
  keys = await batches.keys(10);
}, 60_000);
afterAll(() => batches?.close());

async function serve() {
  if (working >= knee) await new Promise<void>((resolve) => line.push(resolve));
  working += 1;
  await sleep(callMs);
  working -= 1;
  line.shift()?.();
  return answer();
}

const create = (run_id: string, items: number) =>
  batches.create({
    ...{ run_id, concurrency: "auto" },
    keys: Array.from({ length: items }, (_, i) => keys[i % keys.length] ?? ""),
  });
const widthOf = ({ concurrency }: Run) => (typeof concurrency === "object" ? concurrency.now : Number.NaN);

/** The numbers of slots by the log: an increase is logged before its first message is sent. */
const inForce = (runId: string) =>
  batches.loop
    .events("run_slots")
    .filter((event) => event.run_id === runId)
    .map((event) => ({ at: Date.parse(String(event.time)), slots: Number(event.to) }));

test("a run on auto finds the knee of its model server, reports it, and shares it with a second run", async () => {
  const made = await create("first", 280);
  expect(made).toMatchObject({ concurrency: { mode: "auto", now: 4, most }, slots_why: null });
  await vi.waitFor(
    async () => {
      const run = await batches.run("first");
      expect(run.counts.succeeded).toBeGreaterThan(60);
      expect(["knee", "server_full"]).toContain(run.slots_why?.reason);
      expect(widthOf(run)).toBeGreaterThanOrEqual(knee);
      expect(widthOf(run)).toBeLessThanOrEqual(knee + 2);
    },
    { timeout: 120_000, interval: 100 },
  );
  await create("second", 50);
  // Each run has one or two slots, whatever number is tried at the moment.
  await vi.waitFor(
    async () => {
      const both = [await batches.run("first"), await batches.run("second")];
      expect(both.map(({ status }) => status)).toEqual(["running", "running"]);
      for (const run of both) expect(widthOf(run), JSON.stringify(run.slots_why)).toBeLessThanOrEqual(3);
    },
    { timeout: 60_000, interval: 100 },
  );
  await batches.ended("second", 120_000);
  await batches.ended("first", 120_000);
  for (const runId of ["first", "second"]) {
    await batches.verify(runId);
    const { runUid } = await batches.row(runId);
    expect(overfull(runId, begun(runUid)), runId).toBeUndefined();
  }
  const [event] = batches.loop.events("run_slots").slice(1);
  expect(event).toMatchObject({
    from: expect.any(Number),
    reason: expect.any(String),
    waiting: expect.any(Number),
  });
}, 360_000);

/** When a worker first had each of the run's items, by index: it reads the picture beside the claim. */
function begun(runUid: string): Map<number, number> {
  const first = new Map<number, number>();
  for (const event of batches.loop.events("s3_get")) {
    const at = Date.parse(String(event.time)) - Number(event.duration_ms);
    const index = Number(event.index);
    // A recalled message may be received later, and starts nothing.
    if (event.run_uid === runUid) first.set(index, Math.min(at, first.get(index) ?? at));
  }
  return first;
}

/** A moment at which more of the run's items were at the model server than the most slots since the oldest began. */
function overfull(runId: string, starts: Map<number, number>): object | undefined {
  const slots = [{ at: 0, slots: 4 }, ...inForce(runId)];
  const calls = batches.model.requests.flatMap(({ headers, at, endedAt = Number.POSITIVE_INFINITY }) => {
    const [id, index] = String(headers["x-request-id"]).split("~");
    return id === runId ? [{ at, endedAt, begun: starts.get(Number(index)) ?? at }] : [];
  });
  expect(calls.length, "calls without a worker's beginning").toBeLessThanOrEqual(starts.size);
  let open: typeof calls = [];
  for (const call of calls) {
    // At the same millisecond an end counts first, because it allowed the next request.
    open = [...open.filter(({ endedAt }) => endedAt > call.at), call];
    const oldest = Math.min(...open.map((each) => each.begun));
    const first = Math.max(
      0,
      slots.findLastIndex(({ at }) => at <= oldest),
    );
    const allowed = slots.slice(first).filter(({ at }, i) => i === 0 || at <= call.at);
    const greatest = Math.max(...allowed.map((each) => each.slots));
    if (open.length > greatest) return { at: call.at, open: open.length, greatest };
  }
  return undefined;
}

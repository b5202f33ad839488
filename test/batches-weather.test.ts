import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { answer, type Batches, open } from "#test/support/batches/batches";
import { expectUnharmed, outage } from "#test/support/batches/outage";

/** Ten minutes are twenty seconds at this scale. */
const timeScale = 1 / 30;
/** 10 s before scaling; but a queue's delay is at least a whole second, and a process has to start. */
const resumeMs = 5_000;

const total = 24;

let batches: Batches;
let key: string;

beforeAll(async () => {
  batches = await open({ timeScale });
  [key = ""] = await batches.keys(1);
});
afterAll(async () => {
  await batches?.close();
});

describe("the model server is away", () => {
  test("when a run starts, and again in its middle: nothing fails, no attempt counts, no message waits, and work continues when the server is back", async () => {
    batches.model.respond = () => answer(60);
    await batches.model.down();
    await batches.seed({ runId: "weather", total, concurrency: 4, key });
    expect(await outage(batches, "weather", 10_000 * timeScale)).toBeLessThan(resumeMs);
    const asked = batches.model.requests.length;
    await vi.waitFor(() => expect(batches.model.requests.length).toBeGreaterThan(asked + 6), {
      timeout: 10_000,
      interval: 5,
    });
    await batches.model.down();
    expect((await batches.row("weather")).succeeded).toBeLessThan(total);
    expect(await outage(batches, "weather", 60_000 * timeScale)).toBeLessThan(resumeMs);
    await expectUnharmed(batches, "weather", total);
  }, 60_000);

  test("and the run is canceled in between: it ends, and nothing reaches the model when the server is back", async () => {
    await batches.model.down();
    await batches.seed({ runId: "canceled", total, concurrency: 4, key });
    await vi.waitFor(async () => expect((await batches.row("canceled")).waitingFor).toBe("model_server"), {
      timeout: 10_000,
      interval: 50,
    });
    const asked = batches.model.requests.length;
    // Repeated if the gateway, whose time is also a thirtieth, timed out; a second cancellation has no effect.
    await vi.waitFor(
      async () => {
        const answered = await batches.loop.call("/v1/runs/canceled/cancel", { method: "POST" });
        expect(answered.status, answered.text).toBe(202);
      },
      { timeout: 10_000, interval: 50 },
    );
    const run = await batches.ended("canceled");
    expect(run).toMatchObject({
      status: "canceled",
      waiting_for: null,
      counts: { total: total, canceled: total },
    });
    await batches.verify("canceled");
    const seen = batches.loop.events("model_server_back").length;
    await batches.model.up();
    await vi.waitFor(() => expect(batches.loop.events("model_server_back").length).toBeGreaterThan(seen), {
      timeout: 10_000,
      interval: 50,
    });
    // The next run gets the answers. If a message of the canceled run were left, its item would have been asked first.
    await batches.seed({ runId: "next", total: 2, concurrency: 2, key });
    await batches.ended("next");
    expect(
      batches.model.requests
        .slice(asked)
        .map(({ headers }) => headers["x-request-id"])
        .sort(),
    ).toEqual(["next~0", "next~1"]);
  }, 60_000);
});

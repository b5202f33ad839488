/** Conditions that must hold while a run waits for the model server, and after the outage. */
import { expect, vi } from "vitest";
import type { Batches } from "./batches.ts";
import * as Messages from "./messages.ts";

/**
 * Expects an outage: waits until the run reports it and its messages are gone, checks that this stays so for `awayMs`
 * in all, brings the server back and waits for the next question.
 * @returns milliseconds from the server's return to that question.
 */
export async function outage(batches: Batches, runId: string, awayMs: number): Promise<number> {
  const { model } = batches;
  const upAt = Date.now() + awayMs;
  const waiting = async () => {
    expect(await batches.row(runId)).toMatchObject({ waitingFor: "model_server", failed: 0 });
    expect(await Messages.counts(batches)).toEqual({ waiting: 0, invisible: 0 });
  };
  // Items in flight end first.
  await vi.waitFor(waiting, { timeout: 10_000, interval: 50 });
  const shown = async () => expect((await batches.run(runId)).waiting_for).toBe("model_server");
  await vi.waitFor(shown, { timeout: 10_000, interval: 50 });
  const asked = model.requests.length;
  do {
    await waiting();
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (Date.now() < upAt);
  expect(model.requests.length, "asked while it was away").toBe(asked);
  await model.up();
  const backAt = Date.now();
  await vi.waitFor(() => expect(model.requests.length).toBeGreaterThan(asked), {
    timeout: 60_000,
    interval: 10,
  });
  return (model.requests[asked]?.at ?? Number.POSITIVE_INFINITY) - backAt;
}

/** The outages cost no item an attempt. */
export async function expectUnharmed(batches: Batches, runId: string, total: number): Promise<void> {
  const run = await batches.ended(runId, 120_000);
  expect(run).toMatchObject({ status: "succeeded", waiting_for: null, counts: { succeeded: total } });
  for (const { index, attempts } of await batches.verify(runId))
    expect({ index, attempts }).toEqual({ index, attempts: 1 });
}

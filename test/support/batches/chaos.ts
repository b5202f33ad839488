/** A run with every kind of fault, and what must hold afterwards. */
import { expect, vi } from "vitest";
import type { ItemMessage } from "#core/run/dispatch/window";
import { type Batches, mostInFlight } from "./batches.ts";
import * as Messages from "./messages.ts";
import type { Storm } from "./storm.ts";

export interface ChaosOptions {
  readonly runId: string;
  readonly items: number;
  /** Their picture. */
  readonly key: string;
  readonly concurrency: number;
  /** How often the worker is killed in each window. */
  readonly rounds: number;
  /** How long each store is unavailable. */
  readonly awayMs: number;
  readonly timeoutMs: number;
}

const worker = [
  "before the claim",
  "after the claim",
  "while the model is asked",
  "before the put",
  "before the commit",
] as const;

/** Runs it; `expect` throws if a condition does not hold. @returns one line about the result. */
export async function chaos(storm: Storm, options: ChaosOptions): Promise<string> {
  const { batches, report } = storm;
  const { runId, items, timeoutMs } = options;
  const startedAt = Date.now();
  const asked = batches.model.requests.length;
  await disturb(storm, options);

  // From here on only the loop looks at the run.
  const ended = async () => expect((await batches.row(runId)).state).toBe("succeeded");
  await vi.waitFor(ended, { timeout: timeoutMs, interval: 200 });
  const wallMs = Date.now() - startedAt;
  const rows = await batches.verify(runId);
  expect(
    rows.filter(({ status }) => status !== "succeeded").map(({ index, errorCode }) => [index, errorCode]),
  ).toEqual([]);

  // No more model calls than these faults can cause.
  expect(mostInFlight(batches.model.requests, runId)).toBeLessThanOrEqual(options.concurrency);
  const requests = batches.model.requests.length - asked;
  await expectNothingChanges(batches, options);
  expect(batches.model.requests.length - asked).toBe(requests);
  expect(storm.askedInVain(), "asked although the artifact was there").toEqual([]);

  const timeouts = batches.loop
    .events("function_timeout")
    .filter((event) => event.function === "item").length;
  const bound = items + report.inFlightAtKills + timeouts + report.commitsRefused;
  expect(requests).toBeGreaterThanOrEqual(items);
  expect(requests).toBeLessThanOrEqual(bound);
  const kills = Object.values(report.kills).reduce((sum, n) => sum + n, 0);
  return `chaos: ${items} items, ${kills} windows, ${requests} model requests <= ${items} + ${report.inFlightAtKills} in flight at kills + ${timeouts} timeouts + ${report.commitsRefused} commits refused = ${bound}, ${wallMs} ms`;
}

/** Starts the run, and kills workers and takes stores away until its finish. */
async function disturb(storm: Storm, options: ChaosOptions): Promise<void> {
  const { batches } = storm;
  const { runId, items, key, concurrency } = options;
  // The first kills are in the first window, which certainly occurs; later windows may not occur on a slow machine.
  const sending = storm.hold(["before the sends"]);
  // Without the API, whose calls have one second at this scale.
  await batches.seed({ runId, total: items, concurrency, key });
  await sending;
  storm.kill("urgent");
  await storm.hold(["before the note"]);
  storm.kill("urgent");
  for (let round = 1; round <= options.rounds; round += 1) {
    await storm.hold(worker);
    await storm.gather();
    storm.kill("item");
    await copies(batches, runId);
    await storm.databaseAway(options.awayMs);
    await storm.bucketAway(options.awayMs);
    await storm.deletesRefused(options.awayMs);
    await storm.hold(["before the duties"]);
    await storm.gather();
    storm.kill("item");
    if (round === 1) continue;
    await storm.hold(["before the sends"]);
    storm.kill("urgent");
  }
  const finishing = storm.hold(["in the finish"]);
  await copies(batches, runId);
  await finishing;
  storm.kill("plan");
}

/** Late messages change nothing; the caller checks that they ask no model. */
async function expectNothingChanges(batches: Batches, { runId, timeoutMs }: ChaosOptions): Promise<void> {
  await copies(batches, runId);
  await vi.waitFor(async () => expect(await Messages.counts(batches)).toEqual({ waiting: 0, invisible: 0 }), {
    timeout: timeoutMs,
    interval: 100,
  });
  await batches.verify(runId);
}

/** Sends messages of some items again: unchanged, in another group, and with an old epoch. */
async function copies(batches: Batches, runId: string): Promise<void> {
  const { runUid, epoch, concurrency } = await batches.row(runId);
  const rows = await batches.items(runId);
  const some = rows.filter(({ slot, index }) => slot !== null && index % Math.ceil(rows.length / 6) === 1);
  for (const { index, sendSeq, slot } of some) {
    const message: ItemMessage = { run_uid: runUid, epoch, index, seq: sendSeq, slot: slot ?? 0 };
    await Messages.copy(batches, message);
    await Messages.copy(batches, { ...message, slot: (message.slot + 1) % concurrency });
    await Messages.copy(batches, { ...message, epoch: epoch - 1 });
  }
}

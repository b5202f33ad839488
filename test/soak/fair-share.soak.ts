import { afterEach, expect, test, vi } from "vitest";
import { share } from "#test/soak/fair-share";
import { open } from "#test/support/run-stores";

afterEach(() => {
  vi.useRealTimers();
});

test("six runs in line for five hours: each gets its fair share of the workers, give or take a tenth, and nothing is sent anew", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const stores = await open();
  try {
    // 288 messages at a time: the last one is received after 36 minutes.
    const done = await share(stores, { runs: 6, concurrency: 8, workers: 8, serviceMs: 60_000, hours: 5 });
    console.info(`six runs in line: ${JSON.stringify(done)}`);
    const fair = done.ended.reduce((sum, n) => sum + n, 0) / done.ended.length;
    expect(fair * 6).toBeGreaterThan(0.95 * 8 * 300);
    for (const [i, n] of done.ended.entries())
      expect(Math.abs(n - fair) / fair, `run ${i}`).toBeLessThan(0.1);
    expect(done).toMatchObject({ renumbered: 0, sentAgain: 0, stale: 0 });
  } finally {
    await stores.close();
  }
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { killStack } from "#test/soak/kill-stack";
import * as KillWorker from "#test/soak/kill-worker";
import * as ModelServer from "#test/support/model-server/model-server";

/*
 * SIGKILL of the whole stack and of the queue's worker, in a short form; `npm run soak` does the same with more
 * calls, more kills and in every window. faults.test.ts has the windows of the HTTP function.
 */

describe("kill -9 of the whole stack", () => {
  test("during 12 extracts: what was answered stays, the rest can be repeated, nothing is stuck, no process is left", async () => {
    const home = await mkdtemp(join(tmpdir(), "ocrlty-kill-"));
    const model = await ModelServer.start({ model: "scripted" });
    try {
      const [killed] = await killStack(home, model, { count: 12, killAfter: 4, rounds: 1 });
      expect(killed?.answered).toBeGreaterThanOrEqual(4);
    } finally {
      await model.close();
      await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
  }, 120_000);
});

describe("the queue's worker is killed", () => {
  let victim: KillWorker.Victim;
  beforeAll(async () => {
    victim = await KillWorker.start();
  });
  afterAll(async () => {
    await victim?.close();
  });

  test.each([
    ["model", 2],
    ["commit", 1],
  ] as const)(
    "at its step '%s': one artifact, no input left, and the model is asked %i time(s)",
    async (window, asked) => {
      const done = await victim.run(window);
      expect(done.row.status).toBe("succeeded");
      expect(done.asked).toBe(asked);
    },
    90_000,
  );
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { killStack } from "#test/soak/kill-stack";
import * as KillWorker from "#test/soak/kill-worker";
import * as ModelServer from "#test/support/model-server/model-server";

test("three kills -9 of the whole stack, each during 50 extracts: what was answered stays, the rest can be repeated, nothing is stuck, no process is left", async () => {
  const home = await mkdtemp(join(tmpdir(), "ocrlty-kill-"));
  const model = await ModelServer.start({ model: "scripted" });
  try {
    const rounds = await killStack(home, model, { count: 50, killAfter: 10, rounds: 3 });
    console.info(`three kills: ${JSON.stringify(rounds)}`);
    expect(rounds.length).toBe(3);
  } finally {
    await model.close();
    await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
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
    ["claim", 1],
    ["model", 2],
    ["put", 2],
    ["commit", 1],
    ["input delete", 1],
  ] as const)(
    "at its step '%s': one artifact, no input left, and the model is asked %i time(s)",
    async (window, asked) => {
      const done = await victim.run(window);
      expect(done.row.status).toBe("succeeded");
      expect(done.asked).toBe(asked);
    },
  );

  test("twice in a row: the third worker ends it", async () => {
    const done = await victim.run("model", 2);
    expect(done.row.status).toBe("succeeded");
    expect(done.asked).toBe(3);
  });

  test("at the same picture every time: the extract ends after five claims, is readable, and may be sent again", async () => {
    const done = await victim.run("model", 5);
    expect(done.asked).toBe(5);
    expect(done.row).toMatchObject({ status: "retryable", errorCode: "internal" });
  });
});

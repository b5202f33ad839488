import { expect, test } from "vitest";
import { parallel } from "#test/soak/parallel";
import { timeouts } from "#test/soak/timeouts";
import { startLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";

/* Many callers at once, with few calls; `npm run soak` does this with more callers and calls. */

test("40 parallel extracts on at most 16 instances: every one is answered under its own id, in header, body, log and artifact", async () => {
  const model = await ModelServer.start({ model: "scripted" });
  const loop = await startLoop({ env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" } });
  try {
    const { direct, polled } = await parallel(loop, model, 40);
    expect(direct + polled).toBe(40);
  } finally {
    await loop.close();
    await model.close();
  }
}, 90_000);

test("3 calls that run out of time while sharp works: the loop lives, memory returns, nothing is stuck", async () => {
  await timeouts(3);
}, 180_000);

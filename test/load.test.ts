import { afterAll, beforeAll, expect, test } from "vitest";
import { startLoop, type TestLoop } from "#test/loop";
import * as ModelServer from "#test/model-server";
import { parallel } from "#test/soak/parallel";

/*
 * Many callers at once, short; `npm run soak` does the same with 200.
 */

let loop: TestLoop;
let model: ModelServer.ModelServer;

beforeAll(async () => {
  model = await ModelServer.start({ model: "scripted" });
  loop = await startLoop({ env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" } });
});
afterAll(async () => {
  await loop?.close();
  await model?.close();
});

test("60 parallel extracts on at most 16 instances: every one is answered under its own id, in header, body, log and artifact", async () => {
  const { direct, polled } = await parallel(loop, model, 60);
  expect(direct + polled).toBe(60);
}, 60_000);

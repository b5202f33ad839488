import { describe, expect, test } from "vitest";
import { parallel } from "#test/soak/parallel";
import { standIn } from "#test/soak/stand-in";
import { timeouts } from "#test/soak/timeouts";
import { startLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";

const report = (what: string, figures: object) => console.info(`${what}: ${JSON.stringify(figures)}`);

describe("many callers at once", () => {
  test("200 parallel extracts on at most 16 instances: every one is answered under its own id, in header, body, log and artifact", async () => {
    const model = await ModelServer.start({ model: "scripted" });
    const loop = await startLoop({ env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" } });
    try {
      const done = await parallel(loop, model, 200);
      report("200 parallel extracts", done);
      expect(done.direct + done.polled).toBe(200);
    } finally {
      await loop.close();
      await model.close();
    }
  });

  test("20 parallel extracts by the stand-in model server: every one ends with its own receipt's total", async () => {
    report("20 by the stand-in", await standIn(20));
  });

  test("50 calls that run out of time while sharp works: the loop lives, memory returns, nothing is stuck", async () => {
    report("50 timeouts", await timeouts(50));
  });
});

import { afterEach, beforeEach, expect, test } from "vitest";
import * as Readiness from "#core/readiness/readiness";
import { serverOf } from "#test/support/model-server/asking";
import * as ModelServer from "#test/support/model-server/model-server";

let model: ModelServer.ModelServer;
beforeEach(async () => {
  model = await ModelServer.start({ maxModelLen: 8192 });
});
afterEach(() => model.close());

const away = () => {
  throw new Error("not asked for here");
};
/** The check of the model server alone; nothing is cached between calls. */
const check = async () =>
  (
    await Readiness.check({
      model: () => ({
        ...serverOf(model),
        maxModelLen: undefined,
        maxTokens: undefined,
        maxImages: 4,
        look: true,
      }),
      ...{ bucket: away, db: away, queues: away, times: { probeTimeoutMs: 1_000, probeCacheMs: 0 } },
    })
  ).checks?.model_server;

test("The context of the model is what its server reports.", async () => {
  expect(await check()).toEqual({ ok: true, latency_ms: expect.any(Number), context_tokens: 8192 });
});

test("A model that vLLM does not list is reported as missing, with the names that it lists.", async () => {
  const data = Array.from({ length: 12 }, (_, n) => ({ id: `model-${n}`, owned_by: "vllm" }));
  model.models = {
    ...{ kind: "status", status: 200, contentType: "application/json" },
    body: JSON.stringify({ object: "list", data }),
  };
  const said = await check();
  expect(said).toMatchObject({ ok: false, error: "model_missing" });
  expect(said?.models).toEqual(data.slice(0, 10).map(({ id }) => id));
});

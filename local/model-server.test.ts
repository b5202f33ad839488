import { afterEach, beforeEach, expect, test } from "vitest";
import { notes } from "#local/model-server";
import * as ModelServer from "#test/support/model-server/model-server";

let model: ModelServer.ModelServer;
beforeEach(async () => {
  model = await ModelServer.start({ maxModelLen: 4096 });
});
afterEach(() => model.close());

const lists = (...cards: object[]) => {
  const body = JSON.stringify({ object: "list", data: cards });
  model.models = { kind: "status", status: 200, contentType: "application/json", body };
};
const said = (more: object = {}) =>
  notes({ VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted-model", ...more });

test("Nothing is reported about a server with the model and room for every task, or about the stand-in.", async () => {
  lists({ id: "scripted-model", owned_by: "vllm", max_model_len: 8192 });
  expect(await said()).toEqual([]);
  expect(await notes({})).toEqual([]);
});

test("A name that vLLM does not list is reported with the names that it lists.", async () => {
  lists({ id: "qwen", owned_by: "vllm" }, { id: "lora-1", owned_by: "vllm" });
  expect(await said()).toEqual(["wrong name: the server lists qwen, lora-1. Set VLLM_MODEL to one of them"]);
});

test("A small context is reported with the tasks for which it is too small.", async () => {
  expect(await said()).toEqual([
    "its context of 4,096 tokens is small for invoice_v1, items_light_v1, receipt_v1",
  ]);
});

test("A server that is away is reported with the reason.", async () => {
  await model.down();
  expect(await said()).toEqual(["it does not answer yet (connection_refused): calls wait for it"]);
});

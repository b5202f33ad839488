import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { usageOf } from "#core/vision/fault";
import * as Asking from "#test/support/model-server/asking";
import { failure } from "#test/support/model-server/asking";
import * as ModelServer from "#test/support/model-server/model-server";

/* The meaning of the end of an answer, and the tokens of incomplete answers. */

let model: ModelServer.ModelServer;

beforeEach(async () => {
  model = await ModelServer.start({ maxModelLen: 8192 });
});
afterEach(async () => {
  await model.close();
});

const ask = (...more: Parameters<typeof Asking.ask> extends [unknown, ...infer Rest] ? Rest : never) =>
  Asking.ask(model, ...more);

function script(...behaviors: ModelServer.Behavior[]): void {
  model.respond = (_request, n) => behaviors[Math.min(n, behaviors.length) - 1] ?? ModelServer.hang();
}

const half = '{"total": "12.0';

test.each(["length", "abort", "repetition", "tool_calls", "eos_token", "error"])(
  "a whole object is an answer, although it ends with %s",
  async (finishReason) => {
    script(ModelServer.text('{"total": "12.00"}  ', { finishReason }));
    const answer = await ask();
    expect([answer.value, answer.finishReason, answer.attempts.length]).toEqual([
      { total: "12.00" },
      finishReason,
      1,
    ]);
  },
);

test("white space behind a whole object is cut off, and takes nothing from it", async () => {
  script(ModelServer.text(`{"total": "12.00"}${" ".repeat(400)}`, { end: "hang" }));
  expect((await ask()).value).toEqual({ total: "12.00" });
  expect(model.requests).toHaveLength(1);
});

describe("an answer that stopped in the middle", () => {
  test.each(["stop", "eos", "repetition", "tool_calls", "brand_new_reason"])(
    "%s: another seed once, never without the schema",
    async (finishReason) => {
      script(ModelServer.text(half, { finishReason }));
      const error = await failure(ask());
      expect(error.code).toBe("invalid_model_output");
      expect(error.attempts.map(({ kind, response_format }) => [kind, response_format])).toEqual([
        ["first", "json_schema"],
        ["another_seed", "json_schema"],
      ]);
    },
  );

  test.each(["content_filter", "CONTENT_FILTER", "safety", "refusal"])(
    "%s: a withheld answer is not asked for again: one call",
    async (finishReason) => {
      script(ModelServer.text('{"total": null}', { finishReason }));
      const error = await failure(ask());
      expect([error.code, error.details]).toEqual([
        "invalid_model_output",
        { reason: `finish_${finishReason.toLowerCase()}` },
      ]);
      expect(model.requests).toHaveLength(1);
    },
  );

  test("error: a fault of the server, so the same question is asked again", async () => {
    script(ModelServer.text(half, { finishReason: "error" }), ModelServer.json({ total: "1" }));
    const answer = await ask();
    expect(answer.attempts.map(({ kind, error }) => [kind, error])).toEqual([
      ["first", "finish_error"],
      ["retry", undefined],
    ]);
    expect(new Set(model.requests.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  });
});

describe("abort: a server that is being shut down properly", () => {
  test("with its port closed it is an outage that costs no attempt, and the tokens of its partial answer are counted", async () => {
    model.models = ModelServer.html(502);
    const usage = { prompt_tokens: 900, completion_tokens: 40 };
    script(ModelServer.text(half, { finishReason: "abort", usage }));
    const error = await failure(ask());
    expect([error.code, error.details]).toEqual([
      "inference_unavailable",
      { reason: "model_server_shutdown" },
    ]);
    expect(error.attempts).toMatchObject([
      { status: 200, finish_reason: "abort", error: "finish_abort", usage },
    ]);
    expect(error.rawText).toBe(half);
  });

  test("if /v1/models answers, the question is repeated unchanged", async () => {
    script(ModelServer.text(half, { finishReason: "abort" }), ModelServer.json({ total: "1" }));
    const answer = await ask();
    expect(answer.attempts.map(({ kind }) => kind)).toEqual(["first", "retry"]);
    expect(new Set(model.requests.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(model.probes).toBe(1);
  });

  test("the picture gets no suspicion", async () => {
    script(ModelServer.text(half, { finishReason: "abort" }), ModelServer.json({ total: "1" }));
    expect((await ask({ endOnSuspect: true })).value).toEqual({ total: "1" });
  });

  test("a reachable server that interrupts every answer ends in a failure", async () => {
    script(ModelServer.text(half, { finishReason: "abort" }));
    const error = await failure(ask({ probeTimeoutMs: 2_000 }));
    expect([error.code, model.requests.length]).toEqual(["inference_failed", 5]);
  });

  test("without time for another call it is an outage, too, and the call goes to the queue", async () => {
    script(ModelServer.text(half, { finishReason: "abort" }));
    const backoff = { baseMs: 5_000, maxMs: 5_000 };
    const error = await failure(ask({ deadline: Date.now() + 1_000, backoff }));
    expect([error.code, model.requests.length]).toEqual(["inference_unavailable", 1]);
  });
});

describe("the tokens of incomplete calls", () => {
  test("cut off by our guard: counted up to there", async () => {
    script(ModelServer.endless("whitespace"), ModelServer.json({ total: "1" }));
    const answer = await ask();
    expect(answer.attempts[0]).toMatchObject({ error: "whitespace", usage: { prompt_tokens: 100 } });
    expect(answer.attempts[0]?.usage?.completion_tokens).toBeGreaterThan(5);
    expect(answer.usage).toEqual(usageOf(answer.attempts));
  });

  const usage = { prompt_tokens: 900, completion_tokens: 400 };
  const text = `{"total": "${"x".repeat(400)}`;

  test("ended by the deadline", async () => {
    script(ModelServer.text(text, { usage, chunkDelayMs: 40 }));
    const error = await failure(ask({ deadline: Date.now() + 500 }));
    expect(error.code).toBe("inference_timeout");
    expect(error.attempts[0]?.usage?.prompt_tokens).toBe(900);
    expect(error.attempts[0]?.usage?.completion_tokens).toBeGreaterThan(16);
    expect(error.attempts[0]?.usage?.completion_tokens).toBeLessThan(400);
  });

  test.each(["reset", "clean"] as const)("a connection that ends without a reason: %s", async (end) => {
    script(
      ModelServer.text(text, { usage, end, finishReason: null, chunkDelayMs: 2 }),
      ModelServer.json({ total: "1" }),
    );
    const answer = await ask();
    expect(answer.attempts[0]?.usage?.prompt_tokens).toBe(900);
    expect(answer.attempts[0]?.usage?.completion_tokens).toBeGreaterThan(0);
    expect(answer.usage.prompt_tokens).toBe(900 + 100);
  });

  test("a server without this option is asked without it, but still for the sum at the end", async () => {
    model.respond = ({ body }) =>
      body.stream_options?.continuous_usage_stats === undefined
        ? ModelServer.json({ total: "1" }, { usage })
        : ModelServer.error(
            422,
            "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options', 'continuous_usage_stats'), 'msg': 'Extra inputs are not permitted'}]",
          );
    expect((await ask()).usage).toEqual(usage);
    expect(model.requests.map(({ body }) => body.stream_options)).toEqual([
      { include_usage: true, continuous_usage_stats: true },
      { include_usage: true },
    ]);
    // Remembered.
    expect((await ask()).attempts).toHaveLength(1);
  });

  test("the log's event of a failed call has its tokens, and no text", async () => {
    script(ModelServer.text(text, { usage, chunkDelayMs: 40 }));
    const events: object[] = [];
    await failure(ask({ deadline: Date.now() + 300, onEvent: (event) => events.push(event) }));
    expect(events.at(-1)).toMatchObject({ event: "vllm_call_error", prompt_tokens: 900 });
    expect(JSON.stringify(events)).not.toContain("xx");
  });
});

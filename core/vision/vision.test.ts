import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as Asking from "#test/support/model-server/asking";
import { failure, picture, schema, until } from "#test/support/model-server/asking";
import * as ModelServer from "#test/support/model-server/model-server";

let model: ModelServer.ModelServer;

beforeEach(async () => {
  model = await ModelServer.start({ maxModelLen: 8192 });
});
afterEach(async () => {
  await model.close();
});

const ask = (...more: Parameters<typeof Asking.ask> extends [unknown, ...infer Rest] ? Rest : never) =>
  Asking.ask(model, ...more);
const seenClosed = () => Asking.seenClosed(model);

/** The script of a server: one behavior a call, the last one for all further calls. */
function script(...behaviors: ModelServer.Behavior[]): void {
  model.respond = (_request, n) => behaviors[Math.min(n, behaviors.length) - 1] ?? ModelServer.hang();
}

describe("a good answer", () => {
  test("the request is the one that vLLM needs: text first, picture as a data URL, strict schema, streamed", async () => {
    model.respond = () => ModelServer.json({ total: "12.00" });
    const answer = await ask();
    expect(answer.value).toEqual({ total: "12.00" });
    const [received] = model.requests;
    expect(received?.headers).toMatchObject({ authorization: "Bearer sk-test", "x-request-id": "req-1" });
    expect(received?.body).toEqual({
      model: "scripted-model",
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "Read the receipt." },
            { type: "image_url", image_url: { url: "data:image/png;base64,AQID+vv8" } },
          ],
        },
      ],
      temperature: 0,
      seed: 7,
      max_tokens: 512,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
      chat_template_kwargs: { enable_thinking: false },
      response_format: {
        type: "json_schema",
        json_schema: { name: "receipt_fields_v1", schema, strict: true },
      },
    });
    expect(received?.images[0]?.bytes).toEqual(Buffer.from(picture.bytes));
  });

  test("it comes with its raw text, usage, model and the record of its attempt", async () => {
    script(
      ModelServer.json(
        { total: "12.00" },
        { usage: { prompt_tokens: 900, completion_tokens: 12 }, model: "served-name" },
      ),
    );
    const answer = await ask();
    expect(answer).toMatchObject({
      rawText: '{"total":"12.00"}',
      finishReason: "stop",
      usage: { prompt_tokens: 900, completion_tokens: 12 },
      model: "served-name",
      logprobs: null,
    });
    expect(answer.attempts).toEqual([
      {
        n: 1,
        kind: "first",
        seed: 7,
        temperature: 0,
        max_tokens: 512,
        response_format: "json_schema",
        status: 200,
        finish_reason: "stop",
        ms: expect.any(Number),
        first_token_ms: expect.any(Number),
        usage: { prompt_tokens: 900, completion_tokens: 12 },
      },
    ]);
    await seenClosed();
    expect(model.requests[0]?.aborted).toBe(false);
  });

  test("without an API key no Authorization is sent", async () => {
    model.respond = () => ModelServer.json({ total: null });
    await ask({}, {}, { apiKey: undefined });
    expect(model.requests[0]?.headers.authorization).toBeUndefined();
  });

  test("probabilities are returned when they are asked for", async () => {
    const logprobs = [
      {
        token: "12",
        logprob: -0.01,
        top_logprobs: [
          { token: "12", logprob: -0.01 },
          { token: "72", logprob: -4.6 },
        ],
      },
    ];
    model.respond = () => ModelServer.json({ total: "12" }, { logprobs });
    const answer = await ask({}, { logprobs: true });
    expect(model.requests[0]?.body).toMatchObject({ logprobs: true, top_logprobs: 5 });
    expect(answer.logprobs).toEqual([
      {
        token: "12",
        logprob: -0.01,
        top: [
          { token: "12", logprob: -0.01 },
          { token: "72", logprob: -4.6 },
        ],
      },
    ]);
  });

  test("slow tokens within the silence limit are waited for", async () => {
    script(ModelServer.json({ total: "12.00" }, { chunkCharacters: 1, chunkDelayMs: 20 }));
    expect((await ask({}, {}, { readTimeoutMs: 200 })).value).toEqual({ total: "12.00" });
  });

  test("text in several languages survives pieces of any size", async () => {
    const value = { total: "合計 ¥1.280 – “ß” 🧾" };
    for (const chunkCharacters of [1, 3]) {
      script(ModelServer.json(value, { chunkCharacters }));
      expect((await ask()).value).toEqual(value);
    }
  });

  test("a server that falls silent after the finish reason has still answered", async () => {
    script(ModelServer.json({ total: "1" }, { end: "hang" }));
    const started = Date.now();
    expect((await ask({}, {}, { readTimeoutMs: 4_000 })).usage).toEqual({
      prompt_tokens: 100,
      completion_tokens: 4,
    });
    expect(Date.now() - started).toBeLessThan(2_500);
    await seenClosed();
    script(ModelServer.json({ total: "1" }, { end: "reset" }));
    expect((await ask()).value).toEqual({ total: "1" });
  });
});

describe("the ladder", () => {
  const good = ModelServer.json({ total: "12.00" });

  test.each([
    ["whitespace", ModelServer.endless("whitespace")],
    ["digits", ModelServer.endless("digits")],
    ["repetition", ModelServer.text(`{"total": "${"ha ".repeat(400)}`, { end: "hang" })],
    // Endless equal entries, from a server that ignores max_tokens.
    ["too_long", ModelServer.endless("ngram", 0)],
    ["repetition", ModelServer.text('{"total": "12.0', { finishReason: "repetition" })],
    ["finish_tool_calls", ModelServer.text('{"total": "12.0', { finishReason: "tool_calls" })],
    ["finish_other", ModelServer.text('{"total":"1', { finishReason: "Weird Thing!" })],
    ["no_object", ModelServer.text("I am sorry.")],
    ["half_object", ModelServer.text('{"total": "12.00"')],
    ["two_objects", ModelServer.text('{"total": "12.00"}\n{"total": "13.00"}')],
    ["invalid_json", ModelServer.text('{"total": 1,591,600}')],
    ["empty", ModelServer.text("")],
  ])("%s: the next rung is asked, and the record says why", async (reason, bad) => {
    script(bad, good);
    const answer = await ask();
    expect(answer.value).toEqual({ total: "12.00" });
    expect(answer.attempts.map(({ kind, error }) => [kind, error])).toEqual([
      ["first", reason],
      ["another_seed", undefined],
    ]);
    await seenClosed();
  });

  test("an endless answer is cut off early and its connection closed, so that the engine stops", async () => {
    script(ModelServer.endless("whitespace"), good);
    const started = Date.now();
    await ask();
    expect(Date.now() - started).toBeLessThan(1_500);
    await until(() => model.requests[0]?.endedAt !== undefined);
    expect(model.requests[0]?.aborted).toBe(true);
  });

  test("its rungs: another seed, no response_format; then invalid_model_output", async () => {
    script(ModelServer.text("no", { usage: { prompt_tokens: 10, completion_tokens: 1 } }));
    const error = await failure(ask());
    expect([error.code, error.status]).toEqual(["invalid_model_output", 502]);
    expect(error.details).toEqual({ reason: "no_object" });
    expect(error.rawText).toBe("no");
    expect(
      error.attempts.map(({ kind, seed, temperature, max_tokens, response_format }) => ({
        kind,
        seed,
        temperature,
        max_tokens,
        response_format,
      })),
    ).toEqual([
      { kind: "first", seed: 7, temperature: 0, max_tokens: 512, response_format: "json_schema" },
      { kind: "another_seed", seed: 8, temperature: 0.2, max_tokens: 512, response_format: "json_schema" },
      {
        kind: "without_response_format",
        seed: 9,
        temperature: 0.2,
        max_tokens: 512,
        response_format: "none",
      },
    ]);
    expect(model.requests).toHaveLength(3);
    expect(model.requests[2]?.body.response_format).toBeUndefined();
    expect(model.requests.map(({ body }) => body.max_tokens)).toEqual(
      error.attempts.map(({ max_tokens }) => max_tokens),
    );
  });

  test("text and picture stay the same on every rung, so that the server's caches can be used", async () => {
    script(ModelServer.text("no"));
    await failure(ask());
    const messages = model.requests.map(({ body }) => JSON.stringify(body.messages));
    expect(new Set(messages).size).toBe(1);
  });

  test("without a schema there is no rung without response_format", async () => {
    script(ModelServer.text("no"));
    const error = await failure(ask({}, { schema: undefined }));
    expect(error.attempts.map(({ response_format }) => response_format)).toEqual(["none", "none"]);
  });

  test("usage is the sum of all attempts, also of the useless ones", async () => {
    const usage = { prompt_tokens: 100, completion_tokens: 5 };
    script(ModelServer.text("no", { usage }), ModelServer.json({ total: "1" }, { usage }));
    expect((await ask()).usage).toEqual({ prompt_tokens: 200, completion_tokens: 10 });
  });

  test("fenced JSON is taken at once, and so is JSON that breaks the schema, because the ladder does not check it", async () => {
    script(ModelServer.text('```json\n{"total": "12.00"}\n```'), ModelServer.json({ wrong: true }));
    expect((await ask()).attempts).toHaveLength(1);
    expect((await ask()).value).toEqual({ wrong: true });
  });
});

describe("a picture that the server cannot open", () => {
  const refusal = ModelServer.error(400, "image file is truncated (46 bytes not processed)");
  const anew = { bytes: new Uint8Array([9]), mimeType: "image/jpeg" };

  test("is encoded again and asked about once more", async () => {
    script(refusal, ModelServer.json({ total: "1" }));
    const answer = await ask({ onPictureRefused: async () => [anew] });
    expect(answer.attempts.map(({ kind, error, status }) => [kind, error, status])).toEqual([
      ["first", "picture_refused", 400],
      ["reencoded_picture", undefined, 200],
    ]);
    expect(model.requests[1]?.images[0]).toEqual({ mimeType: "image/jpeg", bytes: Buffer.from([9]) });
  });

  test("is inference_failed if that one is refused, too, and at once if none can be made", async () => {
    script(refusal);
    for (const [onPictureRefused, calls] of [
      [async () => [anew], 2],
      [async () => undefined, 1],
      [undefined, 1],
    ] as const) {
      const error = await failure(ask({ onPictureRefused }));
      expect([error.code, error.details, error.attempts.length]).toEqual([
        "inference_failed",
        { reason: "picture_refused" },
        calls,
      ]);
    }
  });
});

test("200 calls side by side on one server do not mix, and leave nothing open", async () => {
  model.respond = ({ prompt }) => ModelServer.json({ total: prompt }, { delayMs: 5, chunkCharacters: 3 });
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) => ask({}, { prompt: `p${index}`, requestId: `r${index}` })),
  );
  expect(answers.map(({ value }) => value.total)).toEqual(
    Array.from({ length: 200 }, (_, index) => `p${index}`),
  );
  for (const { prompt, headers } of model.requests)
    expect(headers["x-request-id"]).toBe(prompt.replace("p", "r"));
  await seenClosed();
});

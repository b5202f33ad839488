import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as Asking from "#test/support/model-server/asking";
import { failure } from "#test/support/model-server/asking";
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
const good = { total: "12.00" };
const whole = JSON.stringify(good);
const fields = ["reasoning", "reasoning_content"] as const;

describe("thinking beside the answer", () => {
  test.each(fields)("%s is not part of the answer, whatever braces are in it", async (field) => {
    const thinking = { field, text: 'I see {"total": "11.00"}. No: }{' };
    model.respond = () => ModelServer.text(whole, { thinking });
    const answer = await ask();
    expect([answer.value, answer.rawText, answer.attempts.length]).toEqual([good, whole, 1]);
  });

  test.each(fields)("an answer that a server returns as %s is the answer", async (field) => {
    for (const text of [
      whole,
      ` \n${whole}\n`,
      `\`\`\`json\n${whole}\n\`\`\``,
      `<think>{"total":"1"}</think>${whole}`,
    ]) {
      for (const content of ["", "\n\n"]) {
        model.respond = () => ModelServer.text(content, { thinking: { field, text } });
        const answer = await ask();
        expect([answer.value, answer.rawText]).toEqual([good, text]);
        expect(answer.attempts[0]).toMatchObject({
          finish_reason: "stop",
          first_token_ms: expect.any(Number),
        });
      }
    }
  });

  test.each<[string, string, ModelServer.Behavior]>([
    ...fields.map((field): [string, string, ModelServer.Behavior] => [
      `${field} up to max_tokens`,
      "The total {maybe 12.00",
      ModelServer.text("", {
        thinking: { field, text: "The total {maybe 12.00" },
        finishReason: "length",
        usage: { prompt_tokens: 900, completion_tokens: 512 },
      }),
    ]),
    [
      "an object within thinking up to max_tokens",
      whole,
      ModelServer.text("", { thinking: { field: "reasoning", text: whole }, finishReason: "length" }),
    ],
    [
      "only a draft",
      `${whole}? No.`,
      ModelServer.text("", { thinking: { field: "reasoning", text: `${whole}? No.` } }),
    ],
    [
      "two drafts",
      `{"total":"1"} ${whole}`,
      ModelServer.text("", { thinking: { field: "reasoning", text: `{"total":"1"} ${whole}` } }),
    ],
    [
      "in the text, up to max_tokens",
      `<think>${whole}`,
      ModelServer.text(`<think>${whole}`, { finishReason: "length" }),
    ],
    [
      "in the text, without an end",
      `<think>I read ${whole}, or`,
      ModelServer.text(`<think>I read ${whole}, or`),
    ],
    [
      "in the text, with nothing behind it",
      "<think>12.00</think>\n",
      ModelServer.text("<think>12.00</think>\n"),
    ],
    [
      "begun in the prompt",
      "It is 12.00.\n</think>",
      ModelServer.text("It is 12.00.\n</think>", { finishReason: "length" }),
    ],
  ])(
    "that uses up the answer's tokens ends the question after one call, without a repeat: %s",
    async (_name, rawText, behavior) => {
      model.respond = () => behavior;
      const error = await failure(ask());
      expect(model.requests).toHaveLength(1);
      expect([error.code, error.status, error.retry]).toEqual(["invalid_model_output", 502, false]);
      expect(error.details).toEqual({ reason: "model_thinks" });
      expect(error.with({ artifact_rel: "x" }).retry).toBe(false);
      expect(error.rawText).toBe(rawText);
      expect(error.attempts.map((attempt) => attempt.error)).toEqual(["model_thinks"]);
    },
  );

  test("that repeats itself in the text ends the question, too", async () => {
    model.respond = () => ({ kind: "endless", start: "<think>", unit: "But wait. ", chunkDelayMs: 0 });
    const error = await failure(ask());
    expect([error.details?.reason, model.requests.length]).toEqual(["model_thinks", 1]);
  });

  test("an answer that began behind the thinking is judged as an answer", async () => {
    const half = ModelServer.text('<think>hm</think>{"total": "12', { finishReason: "length" });
    model.respond = () => half;
    const error = await failure(ask());
    expect([error.code, error.attempts[0]?.error]).toEqual(["answer_too_long", "length"]);
  });

  test("a failure that may be retried by the list of codes stays so", async () => {
    model.respond = () => ModelServer.text("no");
    expect((await failure(ask())).retry).toBe(true);
  });
});

describe("what was mended", () => {
  test("is in the record of its attempt", async () => {
    model.respond = () => ModelServer.text('{"total":"12.00",}');
    const answer = await ask();
    expect([answer.value, answer.rawText]).toEqual([good, '{"total":"12.00",}']);
    expect(answer.attempts[0]?.repaired).toEqual(["trailing_commas"]);
    model.respond = () => ModelServer.json(good);
    expect(Object.keys((await ask()).attempts[0] ?? {})).not.toContain("repaired");
  });
});

describe("a server that refuses to be asked not to think", () => {
  test.each<[string, number, string]>([
    ["OpenAI", 400, "Unrecognized request argument supplied: chat_template_kwargs"],
    ["OpenAI, newer", 400, "Unknown parameter: 'chat_template_kwargs'."],
    [
      "Mistral",
      422,
      "[{'type': 'extra_forbidden', 'loc': ['body', 'chat_template_kwargs'], 'msg': 'Extra inputs are not permitted'}]",
    ],
    [
      "Google",
      400,
      'Invalid JSON payload received. Unknown name \\"chat_template_kwargs\\": Cannot find field.',
    ],
    ["Groq", 400, "property 'chat_template_kwargs' is unsupported"],
    ["a JSON Schema", 400, "Additional properties are not allowed ('chat_template_kwargs' was unexpected)"],
    ["in words", 400, "This model does not support chat_template_kwargs"],
    ["vLLM with a tokenizer of Mistral's", 400, "chat_template is not supported for Mistral tokenizers."],
    [
      "transformers",
      400,
      "Kwargs ['enable_thinking'] are not supported by `MistralCommonBackend.apply_chat_template`.",
    ],
  ])("%s: is asked without it, once and from then on", async (_name, status, message) => {
    model.respond = ({ body }) =>
      body.chat_template_kwargs === undefined ? ModelServer.json(good) : ModelServer.error(status, message);
    const first = await ask();
    expect(first.value).toEqual(good);
    expect(first.attempts.map(({ kind }) => kind)).toEqual(["first", "without_field"]);
    expect(model.requests[1]?.body.response_format?.type).toBe("json_schema");
    expect((await ask()).attempts.map(({ kind }) => kind)).toEqual(["first"]);
  });
});

describe("a schema that the server refuses", () => {
  test.each<[string, number, string]>([
    ["vLLM, xgrammar", 400, "The provided JSON schema contains features not supported by xgrammar."],
    [
      "vLLM, xgrammar's own words",
      400,
      "Failed to transform json schema into a grammar: [07:15:12] Unsupported type",
    ],
    ["vLLM, guidance", 400, 'Grammar error: Unimplemented keys: ["uniqueItems"]'],
    ["vLLM, formats", 400, "Grammar error: Unknown format: iban"],
    ["vLLM, outlines", 400, "Failed to transform json schema into a regex: x"],
    ["vLLM, text", 400, "Invalid JSON grammar specification."],
    ["SGLang", 400, "Failed to compile json grammar"],
    ["llama.cpp", 400, "JSON schema conversion failed:\\nUnrecognized schema: {}"],
    ["llama.cpp, older", 500, "failed to parse grammar"],
    ["OpenAI", 400, "Invalid schema for response_format 'x': In context=(), 'uniqueItems' is not permitted."],
  ])("%s: is not sent again, nor asked without", async (_name, status, message) => {
    model.respond = () => ModelServer.error(status, message);
    const error = await failure(ask());
    expect([error.code, error.details?.reason]).toEqual(["inference_failed", "schema_refused"]);
    expect(error.fault?.schemaRefused).toBe(true);
    expect(model.requests).toHaveLength(1);
  });

  test("a server without constrained decoding is asked without it, in either spelling", async () => {
    model.respond = ({ body }) => {
      if (body.response_format !== undefined)
        return ModelServer.error(400, "'response_format.type' : json_schema is not supported");
      if ("structured_outputs" in body)
        return ModelServer.error(400, "Unrecognized request argument supplied: structured_outputs");
      return ModelServer.json(good);
    };
    expect((await ask()).attempts.map(({ response_format }) => response_format)).toEqual([
      "json_schema",
      "structured_outputs",
      "none",
    ]);
  });

  test("a server that knows only vLLM's own field is sent the schema in it", async () => {
    model.respond = ({ body }) =>
      body.response_format === undefined
        ? ModelServer.json(good)
        : ModelServer.error(400, "'response_format.type' : json_schema is not supported");
    expect((await ask()).attempts).toHaveLength(2);
    expect(model.requests[1]?.body).toMatchObject({ structured_outputs: { json: { type: "object" } } });
  });
});

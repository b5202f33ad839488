import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as Asking from "#test/support/model-server/asking";
import { failure } from "#test/support/model-server/asking";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Sheet from "#test/support/model-server/sheet";
import { notThePicture } from "#test/support/model-server/too-long";
import * as Vllm from "#test/support/model-server/vllm";

let model: ModelServer.ModelServer;
let house: Vllm.House;
const rows = (lines: number) => JSON.stringify(Vllm.receipt(lines));

beforeEach(async () => {
  house = { contextTokens: 8192 };
  model = await ModelServer.start({ maxModelLen: 8192 });
});
afterEach(async () => {
  vi.useRealTimers();
  await model.close();
});

const lists = (contextTokens: number) => {
  const data = [{ id: "scripted-model", object: "model", max_model_len: contextTokens }];
  const body = JSON.stringify({ object: "list", data });
  model.models = { kind: "status", status: 200, contentType: "application/json", body };
};

const ask = (wish: Sheet.Wish = {}) => Sheet.ask(model, wish);
const asked = () => model.requests.map(({ body }) => body.max_tokens ?? 0);
const pictures = async () => (await Promise.all(model.requests.map(Vllm.pictureTokens))).flat();
/** The server counts like vLLM, and answers with this many rows. */
const answers = (lines: number) => {
  model.respond = (request) => Vllm.answer(house, request, rows(lines));
};

describe("an answer that used up its tokens", () => {
  test("is asked for once more with all available room, and is complete then", async () => {
    house.contextTokens = 32_768;
    lists(32_768);
    answers(300);
    const answer = await ask();
    expect((answer.value.items as unknown[]).length).toBe(300);
    expect(answer.attempts.map(({ kind, error }) => [kind, error])).toEqual([
      ["first", "length"],
      ["larger_max_tokens", undefined],
    ]);
    const prompt = answer.attempts[0]?.usage?.prompt_tokens ?? 0;
    expect(asked()).toEqual([3_584, 32_768 - prompt]);
    // The same picture and seed: the answer begins as before, and the server has both in its caches.
    expect(new Set(model.requests.map(({ body }) => JSON.stringify(body.messages))).size).toBe(1);
    expect(new Set(model.requests.map(({ body }) => body.seed)).size).toBe(1);
  });

  test("that does not fit all the room ends at once, with the rows that were read", async () => {
    house.contextTokens = 32_768;
    lists(32_768);
    answers(2_000);
    const error = await failure(ask());
    expect([error.code, error.status, error.retry]).toEqual(["answer_too_long", 422, false]);
    expect(model.requests).toHaveLength(2);
    const kept = error.partial?.value.items as unknown[];
    expect(kept).toEqual(Vllm.receipt(2_000).items.slice(0, kept.length));
    expect(kept.length).toBeGreaterThan(500);
    expect(error.details).toEqual({
      rows: kept.length,
      max_tokens: asked()[1],
      context_tokens: 32_768,
    });
  });

  test("is not asked for again if there is no more room: no question is repeated at the same size", async () => {
    // A picture that leaves the answer exactly the task's number of tokens.
    answers(200);
    const error = await failure(ask({ size: [2480, 3508] }));
    expect(error.code).toBe("answer_too_long");
    expect(new Set(asked()).size).toBe(asked().length);
    expect(asked().length).toBeLessThanOrEqual(2);
  });

  test("without any object is not an answer, however large the room", async () => {
    house.contextTokens = 32_768;
    lists(32_768);
    model.respond = (request) => Vllm.answer(house, request, "I see a receipt. ".repeat(20_000));
    const error = await failure(ask({ size: [640, 640] }));
    expect(error.code).toBe("invalid_model_output");
    expect(model.requests.length).toBeLessThanOrEqual(2);
  });

  test.each(["", "   \n"])("without any text (%j) is final after one call", async (nothing) => {
    lists(32_768);
    model.respond = () =>
      ModelServer.text(nothing, {
        usage: { prompt_tokens: 4_000, completion_tokens: 3_584 },
        finishReason: "length",
      });
    const error = await failure(ask());
    expect([error.code, error.details, error.attempts.length]).toEqual([
      "invalid_model_output",
      { reason: "length" },
      1,
    ]);
  });

  test("grows by our own count if the server gives no usage", async () => {
    lists(32_768);
    model.respond = (_request, n) =>
      ModelServer.text(rows(200).slice(0, n === 1 ? 7_000 : undefined), {
        usage: null,
        finishReason: n === 1 ? "length" : "stop",
      });
    expect((await ask()).attempts.map(({ kind }) => kind)).toEqual(["first", "larger_max_tokens"]);
    expect(asked()[1]).toBeGreaterThan(10_000);
    expect(asked()[1]).toBeLessThan(32_768);
  });

  test("a longer answer that the operator allows is requested in the first call, and does not make the picture smaller", async () => {
    answers(10);
    await ask({ size: [896, 1152], mostTokens: 6_000 });
    await ask({ size: [896, 1152] });
    const [raised, usual] = asked();
    expect(usual).toBe(3_584);
    expect(raised).toBeGreaterThan(4_500);
    const [one, other] = await pictures();
    expect(one).toBe(other);
  });

  test("an operator's or a caller's limit is never passed", async () => {
    lists(32_768);
    house.contextTokens = 32_768;
    answers(200);
    const error = await failure(ask({ mostTokens: 1_000 }));
    expect([error.code, error.details?.max_tokens, asked()]).toEqual(["answer_too_long", 1_000, [1_000]]);
  });
});

describe("the usual length of an answer", () => {
  const usualTokens = 1_280;

  test("leaves a sheet of A4 more than 4,000 of 8,192 tokens, and an answer of that length one call", async () => {
    answers(20);
    const { attempts } = await ask({ usualTokens });
    expect(attempts).toHaveLength(1);
    expect((await pictures())[0]).toBeGreaterThan(4_000);
    expect(asked()[0]).toBeGreaterThanOrEqual(usualTokens);
  });

  test("is exceeded by a longer answer in a second call, with a smaller picture and the task's number of tokens", async () => {
    answers(60);
    const answer = await ask({ usualTokens });
    expect((answer.value.items as unknown[]).length).toBe(60);
    expect(answer.attempts.map(({ kind, error }) => [kind, error])).toEqual([
      ["first", "length"],
      ["smaller_picture", undefined],
    ]);
    expect(asked()[1]).toBeGreaterThanOrEqual(3_584);
  });

  test("is not used if the picture needs no more room: the task's number is requested at once", async () => {
    answers(60);
    expect((await ask({ usualTokens, size: [896, 1152] })).attempts).toHaveLength(1);
    expect(asked()).toEqual([3_584]);
  });

  test("costs no second call if the answer has no text", async () => {
    model.respond = () =>
      ModelServer.text("", {
        usage: { prompt_tokens: 6_000, completion_tokens: 1_280 },
        finishReason: "length",
      });
    expect((await failure(ask({ usualTokens }))).attempts).toHaveLength(1);
  });
});

test("VLLM_MAX_PIXELS limits a picture below what the context leaves, and is no reason for a second call", async () => {
  answers(60);
  expect((await ask({ maxPixels: 800_000 })).attempts).toHaveLength(1);
  const [tokens = 0] = await pictures();
  expect(tokens * 1_024).toBeLessThanOrEqual(800_000);
  expect(tokens * 1_024).toBeGreaterThan(700_000);
});

describe("a server's own counts", () => {
  test("are used for the next question, which needs no second call", async () => {
    house = { contextTokens: 4096, pictureRatio: 4 };
    answers(5);
    expect((await ask({ maxModelLen: 8192, maxTokens: 500 })).attempts).toHaveLength(2);
    expect((await ask({ maxModelLen: 8192, maxTokens: 500 })).attempts).toHaveLength(1);
    expect((await ask({ maxModelLen: 8192, maxTokens: 500, size: [1600, 1600] })).attempts).toHaveLength(1);
  });

  test("give the next picture the tokens that our estimate of the text had reserved", async () => {
    answers(5);
    await ask();
    await ask();
    const [first = 0, second = 0] = await pictures();
    expect(second - first).toBeGreaterThan(300);
    expect(1_700 + second + 3_584).toBeLessThanOrEqual(8_192);
  });
});

describe("equal rows", () => {
  const equal = (count: number) =>
    JSON.stringify({ items: Array.from({ length: count }, () => ({ name: "DOSE", price: "0,89" })) });

  test.each([28, 36, 120])("%i of them are so many items", async (count) => {
    model.respond = (request) => Vllm.answer(house, request, equal(count));
    const answer = await ask();
    expect([(answer.value.items as unknown[]).length, answer.attempts.length]).toEqual([count, 1]);
  });

  test("an endless list is a loop: it gets no more room; another seed gets half, then the question ends", async () => {
    lists(32_768);
    house.contextTokens = 32_768;
    model.respond = (request) => Vllm.answer(house, request, equal(5_000));
    const error = await failure(ask());
    expect([error.code, error.details, error.partial]).toEqual([
      "invalid_model_output",
      { reason: "repetition" },
      null,
    ]);
    expect(asked()).toEqual([3_584, 1_792]);
  });

  test("another seed that gets out of the loop is the answer", async () => {
    model.respond = (request, n) => Vllm.answer(house, request, n === 1 ? equal(5_000) : rows(12));
    expect(((await ask()).value.items as unknown[]).length).toBe(12);
  });
});

describe("a context that is smaller than assumed", () => {
  beforeEach(() => {
    house.contextTokens = 4096;
  });

  test("answers are cut silently: the server is asked for its context, the picture is made smaller, two calls", async () => {
    lists(4096);
    answers(20);
    // Text and picture fit; with the answer they do not.
    const answer = await ask({ maxModelLen: 8192, size: [1280, 1408] });
    expect((answer.value.items as unknown[]).length).toBe(20);
    expect(answer.attempts.map(({ kind, error }) => [kind, error])).toEqual([
      ["first", "length"],
      ["smaller_picture", undefined],
    ]);
    expect(model.probes).toBe(1);
    const [first = 0, second = 0] = await pictures();
    expect(second).toBeLessThan(first);
  });

  test("is remembered, whatever the setting says: the next question fits at once", async () => {
    lists(4096);
    answers(10);
    await ask({ maxModelLen: 16_384 });
    const before = model.requests.length;
    expect(before).toBe(2);
    const answer = await ask({ maxModelLen: 8192 });
    expect(answer.attempts).toHaveLength(1);
  });

  test("a server that came back with a smaller context within ten minutes is noticed by its answer", async () => {
    house.contextTokens = 8192;
    answers(10);
    await ask();
    house.contextTokens = 3072;
    lists(3072);
    const { attempts } = await ask();
    expect(attempts.map(({ kind }) => kind)).toEqual(["first", "smaller_picture"]);
    expect((await ask()).attempts).toHaveLength(1);
  });

  test("an answer that does not fit there either is answer_too_long after two calls, with its true context", async () => {
    lists(4096);
    answers(400);
    const error = await failure(ask({ maxModelLen: 8192, size: [1280, 1408] }));
    expect([error.code, model.requests.length]).toEqual(["answer_too_long", 2]);
    expect(error.details?.context_tokens).toBe(4096);
    expect(error.details?.rows).toBeGreaterThan(15);
  });

  test("a limit of the server that is not the context does not make later pictures smaller", async () => {
    house = { contextTokens: 32_768, mostTokens: 1_000 };
    lists(32_768);
    answers(100);
    const error = await failure(ask());
    expect(error.code).toBe("answer_too_long");
    expect(model.requests.length).toBeLessThanOrEqual(2);
    house = { contextTokens: 32_768 };
    const [before = 0] = await pictures();
    model.requests.length = 0;
    answers(10);
    await ask();
    expect((await pictures())[0]).toBe(before);
  });
});

describe("a question that the server refuses as too long", () => {
  test.each(Object.entries(ModelServer.contextTooLong))(
    "%s: two calls, the picture is smaller",
    async (_name, text) => {
      model.respond = (_request, n) =>
        n === 1 ? ModelServer.error(400, text) : ModelServer.json({ total: "1" });
      const { attempts } = await ask({ maxModelLen: 16_384 });
      expect(attempts.map(({ kind, error, status }) => [kind, error, status])).toEqual([
        ["first", "context_too_long", 400],
        ["smaller_picture", undefined, 200],
      ]);
      const [first = 0, second = 0] = await pictures();
      expect(second).toBeLessThan(first);
    },
  );

  test("Input length (N) exceeds …: both numbers are taken, and the second call fits", async () => {
    house.contextTokens = 4096;
    answers(10);
    const { attempts } = await ask({ maxModelLen: 16_384 });
    expect(attempts.map(({ error }) => error)).toEqual(["context_too_long", undefined]);
  });

  test.each([0.5, 1.3, 2, 5])(
    "a server that counts %f tokens where we count one: two calls",
    async (pictureRatio) => {
      house = { contextTokens: 4096, pictureRatio };
      answers(5);
      const { attempts } = await ask({ maxModelLen: 8192, maxTokens: 500 });
      expect(attempts.length).toBe(2);
      const last = (await pictures()).at(-1) ?? 0;
      // It uses the available room, and not only a fraction of it.
      expect(last * pictureRatio).toBeGreaterThan(1_000);
    },
  );

  test("max_tokens alone is not a fault of the picture: fewer tokens, the same picture", async () => {
    model.respond = (request, n) =>
      n === 1 ? ModelServer.error(400, notThePicture.answerAlone) : Vllm.answer(house, request, rows(5));
    house.contextTokens = 4096;
    const answer = await ask({ maxModelLen: 16_384, mostTokens: 5_000, size: [640, 960] });
    expect(answer.attempts.map(({ kind }) => kind)).toEqual(["first", "smaller_max_tokens"]);
    expect(new Set(await pictures()).size).toBe(1);
    expect(asked()[1]).toBeLessThan(4096);
    expect(asked()[1]).toBeGreaterThan(1_000);
  });

  test.each(["textAlone", "characters"] as const)(
    "%s: no smaller picture would help; the question ends after one call with `prompt_too_long`",
    async (name) => {
      model.respond = () => ModelServer.error(400, notThePicture[name]);
      const error = await failure(ask());
      expect([error.code, error.details?.reason, error.details?.context_tokens]).toEqual([
        "invalid_request",
        "prompt_too_long",
        4096,
      ]);
      expect(error.attempts).toHaveLength(1);
      expect(JSON.stringify(error.details)).not.toMatch(/700000|524288|4097/);
    },
  );

  test("if the server counts text only up to the room that the answer leaves, fewer tokens are requested, and the call fits", async () => {
    model.respond = (request, n) =>
      n === 1 ? ModelServer.error(400, notThePicture.stoppedByAnswer) : Vllm.answer(house, request, rows(3));
    house.contextTokens = 4096;
    expect((await ask({ maxModelLen: 8192, size: [640, 640] })).attempts).toHaveLength(2);
    expect(asked()[1]).toBeLessThan(3_584);
  });

  test("one that is always refused is inference_failed after three smaller pictures", async () => {
    model.respond = () => ModelServer.error(400, ModelServer.contextTooLong.llamaCpp);
    const error = await failure(ask());
    expect([error.code, error.details]).toEqual(["inference_failed", { reason: "context_too_long" }]);
    expect(error.attempts).toHaveLength(4);
    const sizes = await pictures();
    expect(sizes.toSorted((a, b) => b - a)).toEqual(sizes);
    expect(new Set(sizes).size).toBe(4);
  });

  test("if nothing can be changed, the question ends after one call", async () => {
    model.respond = () => ModelServer.error(400, ModelServer.contextTooLong.vllmMessages);
    expect((await failure(Asking.ask(model))).attempts).toHaveLength(1);
  });
});

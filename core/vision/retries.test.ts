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

/** The script of a server: one behavior a call, the last one for all further calls. */
function script(...behaviors: ModelServer.Behavior[]): void {
  model.respond = (_request, n) => behaviors[Math.min(n, behaviors.length) - 1] ?? ModelServer.hang();
}

describe("retries", () => {
  test.each([408, 425, 429, 500, 502, 503, 504])(
    "%i of the model server three times, then fine: answered",
    async (status) => {
      const bad = ModelServer.error(status, "try again");
      script(bad, bad, bad, ModelServer.json({ total: "1" }));
      const answer = await ask();
      expect(answer.attempts.map(({ kind, status: seen }) => [kind, seen])).toEqual([
        ["first", status],
        ["retry", status],
        ["retry", status],
        ["retry", 200],
      ]);
      expect(new Set(model.requests.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    },
  );

  test("their number is bounded: a permanent error is inference_failed after five calls", async () => {
    script(ModelServer.error(500, "engine dead"));
    const error = await failure(ask());
    expect([error.code, error.details, model.requests.length]).toEqual([
      "inference_failed",
      { reason: "model_server_status_500" },
      5,
    ]);
  });

  test("Retry-After is obeyed, as seconds and as a date", async () => {
    // A date has whole seconds only: two of them ahead are at least one.
    for (const header of [() => "1", () => new Date(Date.now() + 2_000).toUTCString()]) {
      const before = model.requests.length;
      model.respond = (_request, n) =>
        n === before + 1
          ? ModelServer.error(429, "slow down", { headers: { "retry-after": header() } })
          : ModelServer.json({ total: "1" });
      await ask();
      const [first, second] = model.requests.slice(before);
      expect((second?.at ?? 0) - (first?.endedAt ?? 0)).toBeGreaterThan(900);
    }
  });

  test("if a pause does not fit the deadline, the call ends at once: overload is `inference_unavailable`, with the server's time", async () => {
    script(ModelServer.error(503, "busy", { headers: { "retry-after": "20" } }));
    const started = Date.now();
    const error = await failure(ask({ deadline: Date.now() + 2_000 }));
    expect(Date.now() - started).toBeLessThan(1_500);
    expect([error.code, error.status, error.retryAfterS]).toEqual(["inference_unavailable", 503, 20]);
  });

  test("pauses grow, are capped, and vary", async () => {
    script(ModelServer.error(500, "x"));
    const times = async (random: () => number) => {
      const from = model.requests.length;
      await failure(ask({ backoff: { baseMs: 40, maxMs: 100 }, random }));
      const seen = model.requests.slice(from);
      return seen.slice(1).map((each, index) => each.at - (seen[index]?.endedAt ?? 0));
    };
    const [long, short] = [await times(() => 1), await times(() => 0)];
    // 40, 80, 100, 100 and half of each; a millisecond is lost to rounding at most.
    for (const [index, ms] of [40, 80, 100, 100].entries())
      expect(long[index]).toBeGreaterThanOrEqual(ms - 3);
    expect(long[3]).toBeLessThan(300);
    expect(short.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(long.reduce((sum, ms) => sum + ms, 0));
  });

  test("a refusal is final: one call, and its text is not passed on", async () => {
    script(ModelServer.error(400, "Failed to load image CANARY-TEXT"));
    const error = await failure(ask());
    expect([error.code, error.details, error.attempts.length]).toEqual([
      "inference_failed",
      { reason: "picture_refused" },
      1,
    ]);
    expect(JSON.stringify({ ...error, message: error.message })).not.toContain("CANARY");
    expect(model.probes).toBe(0);
  });

  test("an error event in the stream counts like its status", async () => {
    const event = (code: number, message: string): ModelServer.Behavior => ({
      kind: "status",
      status: 200,
      contentType: "text/event-stream",
      body: `data: ${JSON.stringify({ error: { message, type: "x", code } })}\n\ndata: [DONE]\n\n`,
    });
    script(event(500, "engine died"), ModelServer.json({ total: "1" }));
    expect((await ask()).attempts[0]).toMatchObject({ status: 500, error: "model_server_status_500" });
    model.respond = () => event(400, "bad image");
    expect((await failure(ask())).attempts).toHaveLength(1);
  });

  test("a field that the server does not know is left out, and remembered", async () => {
    model.respond = ({ body }) => {
      for (const field of ["stream_options", "response_format", "structured_outputs"]) {
        if (field in body) return ModelServer.error(400, `Unrecognized request argument supplied: ${field}`);
      }
      return ModelServer.json({ total: "1" });
    };
    const answer = await ask();
    expect(answer.attempts.map(({ kind, response_format }) => [kind, response_format])).toEqual([
      ["first", "json_schema"],
      ["without_field", "json_schema"],
      ["without_field", "structured_outputs"],
      ["without_field", "none"],
    ]);
    // The next question sends the schema again: one refusal must not remove the constraint for all callers.
    expect((await ask()).attempts.map(({ kind, response_format }) => [kind, response_format])).toEqual([
      ["first", "json_schema"],
      ["without_field", "structured_outputs"],
      ["without_field", "none"],
    ]);
    expect(model.requests.at(-3)?.body).not.toHaveProperty("stream_options");
  });

  test("a field is remembered only when the call without it was answered", async () => {
    model.respond = () => ModelServer.error(400, "extra field not permitted: seed, response_format");
    await failure(ask());
    model.respond = () => ModelServer.json({ total: "1" });
    expect((await ask()).attempts).toHaveLength(1);
    expect(model.requests.at(-1)?.body).toMatchObject({
      seed: expect.any(Number),
      response_format: { type: "json_schema" },
    });
  });
});

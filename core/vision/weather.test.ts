import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as Vision from "#core/vision/vision";
import * as Asking from "#test/support/model-server/asking";
import { failure, serverOf, until } from "#test/support/model-server/asking";
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

/** The script of a server: one behaviour a call, the last one for all further calls. */
function script(...behaviours: ModelServer.Behaviour[]): void {
  model.respond = (_request, n) => behaviours[Math.min(n, behaviours.length) - 1] ?? ModelServer.hang();
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

  test("they end: an error that does not go away is inference_failed after five calls", async () => {
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

  test("a pause that does not fit the deadline is not waited for: overload is unavailable, with the server's time", async () => {
    script(ModelServer.error(503, "busy", { headers: { "retry-after": "20" } }));
    const started = Date.now();
    const error = await failure(ask({ deadline: Date.now() + 2_000 }));
    expect(Date.now() - started).toBeLessThan(1_500);
    expect([error.code, error.status, error.retryAfterS]).toEqual(["inference_unavailable", 503, 20]);
  });

  test("pauses grow, are capped, and are never all alike", async () => {
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

  test("a refusal is final: one call, and none of its text comes out", async () => {
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
    const event = (code: number, message: string): ModelServer.Behaviour => ({
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
      for (const field of ["stream_options", "response_format"]) {
        if (field in body) return ModelServer.error(400, `Unrecognized request argument supplied: ${field}`);
      }
      return ModelServer.json({ total: "1" });
    };
    const answer = await ask();
    expect(answer.attempts.map(({ kind, response_format }) => [kind, response_format])).toEqual([
      ["first", "json_schema"],
      ["without_field", "json_schema"],
      ["without_field", "none"],
    ]);
    // The schema is asked for again: one refusal must not take the constraint from everybody.
    expect((await ask()).attempts.map(({ kind, response_format }) => [kind, response_format])).toEqual([
      ["first", "json_schema"],
      ["without_field", "none"],
    ]);
    expect(model.requests.at(-2)?.body).not.toHaveProperty("stream_options");
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

describe("weather", () => {
  /** Away: neither questions nor probes are answered by the model server. */
  const away = (behaviour: ModelServer.Behaviour) => {
    model.respond = () => behaviour;
    model.models = behaviour;
  };

  test.each([404, 502, 503, 504, 520, 524])(
    "a proxy's page %i, confirmed by the probe, is unavailable after one call",
    async (status) => {
      away(ModelServer.html(status));
      const started = Date.now();
      const error = await failure(ask());
      expect([error.code, error.status, error.retryAfterS]).toEqual(["inference_unavailable", 503, 5]);
      expect(error.details).toEqual({ reason: `proxy_status_${status}` });
      expect([model.requests.length, model.probes]).toEqual([1, 1]);
      expect(Date.now() - started).toBeLessThan(1_500);
    },
  );

  test("a refused connection is unavailable at once", async () => {
    await model.down();
    const error = await failure(ask());
    expect([error.code, error.details]).toEqual(["inference_unavailable", { reason: "connection_refused" }]);
    expect(error.fault && Vision.suspect(error.fault)).toBe(false);
  });

  test("a server that comes back is asked again as if nothing had been", async () => {
    await model.down();
    await failure(ask());
    await model.up();
    model.respond = () => ModelServer.json({ total: "1" });
    expect((await ask()).attempts).toHaveLength(1);
  });

  test("a server that speaks no TLS is unavailable", async () => {
    const error = await failure(ask({}, {}, { baseUrl: model.url.replace("http:", "https:") }));
    expect([error.code, error.details]).toEqual(["inference_unavailable", { reason: "connection_tls" }]);
  });

  test("a connection lost after the request was sent is unavailable, and a suspect", async () => {
    away(ModelServer.reset());
    const error = await failure(ask());
    expect([error.code, error.details]).toEqual(["inference_unavailable", { reason: "connection_lost" }]);
    expect(error.fault && Vision.suspect(error.fault)).toBe(true);
  });

  test("silence ends after the read timeout, not at the deadline; with a silent probe it is unavailable", async () => {
    away(ModelServer.hang());
    const started = Date.now();
    const error = await failure(ask({}, {}, { readTimeoutMs: 150 }));
    expect(Date.now() - started).toBeLessThan(1_500);
    expect([error.code, error.details]).toEqual(["inference_unavailable", { reason: "model_server_silent" }]);
    await seenClosed();
  });

  test("silence in mid-answer counts too, and what was said is kept", async () => {
    model.respond = () => ModelServer.text('{"total": "12', { finishReason: null, end: "hang" });
    model.models = ModelServer.html(502);
    const error = await failure(ask({}, {}, { readTimeoutMs: 150 }));
    expect([error.code, error.rawText]).toEqual(["inference_unavailable", '{"total": "12']);
    await seenClosed();
  });

  test("a model that is still loading is weather while the list does not name it", async () => {
    model.respond = () =>
      ModelServer.error(404, "The model `scripted-model` does not exist.", { type: "NotFoundError" });
    model.models = {
      kind: "status",
      status: 200,
      contentType: "application/json",
      body: '{"object":"list","data":[]}',
    };
    expect(await failure(ask())).toMatchObject({
      code: "inference_unavailable",
      details: { reason: "model_missing" },
    });
  });

  test("with a good probe it is not weather: the call is retried, and a passing fault passes", async () => {
    script(ModelServer.html(502), ModelServer.reset(), ModelServer.json({ total: "1" }));
    const answer = await ask();
    expect(answer.attempts.map(({ error }) => error)).toEqual([
      "proxy_status_502",
      "connection_lost",
      undefined,
    ]);
    expect(model.probes).toBe(2);
  });

  test("a picture that breaks every connection while the server lives is inference_failed", async () => {
    model.respond = () => ModelServer.reset();
    const error = await failure(ask());
    expect([error.code, error.attempts.length]).toEqual(["inference_failed", 5]);
  });

  test("a key that the server does not accept is weather; one that it accepts only for the list is a failure at once", async () => {
    away(ModelServer.error(401, "Unauthorized"));
    expect((await failure(ask())).code).toBe("inference_unavailable");
    model.models = "list";
    const error = await failure(ask());
    expect([error.code, error.attempts.length]).toEqual(["inference_failed", 1]);
  });
});

describe("half an answer", () => {
  test.each([
    ["a clean close after half an object", '{"total": "12', "clean"],
    ["a clean close after a whole object without finish_reason", '{"total": "12.00"}', "clean"],
    ["[DONE] without finish_reason", '{"total": "12.00"}', "done"],
    ["a reset after a whole object", '{"total": "12.00"}', "reset"],
  ] as const)(
    "%s is never a result: retried, then inference_failed with the text kept",
    async (_name, text, end) => {
      const half = ModelServer.text(text, { finishReason: null, end, usage: null });
      script(half, ModelServer.json({ total: "1" }));
      expect((await ask()).value).toEqual({ total: "1" });
      model.respond = () => half;
      const error = await failure(ask());
      expect([error.code, error.rawText, error.attempts.length]).toEqual(["inference_failed", text, 5]);
      expect(error.details).toEqual({ reason: end === "reset" ? "connection_lost" : "unfinished_answer" });
      await seenClosed();
    },
  );

  test("a flood of bytes is cut off, whatever it says", async () => {
    script({ kind: "flood" });
    const error = await failure(ask({ deadline: Date.now() + 20_000 }));
    expect([error.code, error.details]).toEqual(["inference_failed", { reason: "oversized_answer" }]);
    await seenClosed();
  });

  test("events that are no JSON are half an answer", async () => {
    const printed = vi.spyOn(console, "error");
    script({ kind: "status", status: 200, contentType: "text/event-stream", body: "data: {CANARY\n\n" });
    expect((await failure(ask())).code).toBe("inference_failed");
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
  });
});

describe("time", () => {
  test.each([
    ["hanging", ModelServer.hang()],
    [
      "endless at a slow pace",
      ModelServer.text("abcdefghij".repeat(1000), { chunkCharacters: 1, chunkDelayMs: 10 }),
    ],
    ["half an answer and silence", ModelServer.text('{"total"', { finishReason: null, end: "hang" })],
    ["slow to answer", ModelServer.json({ total: "1" }, { delayMs: 5_000 })],
  ])("%s: inference_timeout at the deadline, and the connection is closed", async (_name, behaviour) => {
    script(behaviour);
    const started = Date.now();
    const error = await failure(ask({ deadline: started + 250 }));
    expect(Date.now() - started).toBeLessThan(1_500);
    expect([error.code, error.status, error.details]).toEqual([
      "inference_timeout",
      504,
      { reason: "deadline" },
    ]);
    expect(error.attempts).toHaveLength(1);
    await seenClosed();
    expect(model.requests[0]?.aborted).toBe(true);
  });

  test("the caller's abort ends a call and a pause between calls alike", async () => {
    const controller = new AbortController();
    script(ModelServer.hang());
    const running = failure(ask({ signal: controller.signal }));
    await until(() => model.inFlight === 1);
    controller.abort();
    expect(await running).toMatchObject({ code: "inference_timeout", details: { reason: "aborted" } });
    await seenClosed();

    const second = new AbortController();
    model.respond = () => ModelServer.error(429, "later", { headers: { "retry-after": "3" } });
    const pausing = failure(ask({ signal: second.signal }));
    await until(() => model.requests.length === 2 && model.inFlight === 0);
    second.abort();
    expect((await pausing).code).toBe("inference_timeout");
  });

  test("a probe that the deadline cuts short does not make weather out of a lost deadline", async () => {
    script(ModelServer.hang());
    model.models = ModelServer.hang();
    const started = Date.now();
    const late = ask({ deadline: started + 300, probeTimeoutMs: 2_000 }, {}, { readTimeoutMs: 100 });
    expect((await failure(late)).code).toBe("inference_timeout");
    expect(Date.now() - started).toBeLessThan(1_500);
  });

  test("after the deadline, or with an aborted signal, nothing is sent", async () => {
    expect((await failure(ask({ deadline: Date.now() - 1 }))).code).toBe("inference_timeout");
    expect((await failure(ask({ signal: AbortSignal.abort() }))).code).toBe("inference_timeout");
    expect(model.requests).toHaveLength(0);
  });

  test("connecting has its own limit", async () => {
    // Accepts TCP, never answers TLS.
    const mute = createServer((socket) => socket.on("error", () => undefined).resume());
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    const { port } = mute.address() as { port: number };
    try {
      const started = Date.now();
      const error = await failure(
        ask({}, {}, { baseUrl: `https://127.0.0.1:${port}/v1`, connectTimeoutMs: 100 }),
      );
      expect(error).toMatchObject({
        code: "inference_unavailable",
        details: { reason: "connection_connect_timeout" },
      });
      expect(Date.now() - started).toBeLessThan(1_500);
    } finally {
      await new Promise((resolve) => mute.close(resolve));
    }
  });
});

describe("probe", () => {
  test("says what is served and for how long a context", async () => {
    expect(await Vision.probe(serverOf(model))).toEqual({
      ok: true,
      latencyMs: expect.any(Number),
      models: ["scripted-model"],
      maxModelLen: 8192,
    });
  });

  test.each([
    ["status_502", ModelServer.html(502)],
    ["status_401", ModelServer.error(401, "no")],
    ["not_a_model_server", ModelServer.html(200)],
    ["timeout", ModelServer.hang()],
    ["connection_lost", ModelServer.reset()],
  ])("%s is told as a code within its time", async (code, behaviour) => {
    model.models = behaviour;
    const started = Date.now();
    expect(await Vision.probe(serverOf(model), undefined, 200)).toMatchObject({
      ok: false,
      models: [],
      error: code,
    });
    expect(Date.now() - started).toBeLessThan(1_500);
  });

  test("a refused connection and an abort are answers too", async () => {
    await model.down();
    expect((await Vision.probe(serverOf(model))).error).toBe("connection_refused");
    expect((await Vision.probe(serverOf(model), AbortSignal.abort())).ok).toBe(false);
  });
});

describe("privacy", () => {
  test("no event, error or printed line has a prompt, an answer, a picture, a key or an address, in any fault", async () => {
    const canary = "CANARY7f3a";
    const lines: string[] = [];
    const spies = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation((...parts) => void lines.push(parts.map(String).join(" "))),
    );
    const said = `{"total": "${canary}"}`;
    const faults: ModelServer.Behaviour[] = [
      ModelServer.text(said),
      ModelServer.text(said + said),
      ModelServer.text(said, { finishReason: null, end: "reset" }),
      ModelServer.text(said, { finishReason: "length" }),
      ModelServer.error(400, canary),
      ModelServer.error(500, canary),
      ModelServer.error(429, canary, { headers: { "retry-after": canary } }),
      ModelServer.html(502),
      ModelServer.reset(),
      { kind: "status", status: 200, contentType: "text/event-stream", body: `data: {${canary}\n\n` },
      {
        kind: "status",
        status: 200,
        contentType: "text/event-stream",
        body: `data: {"error":{"message":"${canary}"}}\n\n`,
      },
    ];
    const image = { bytes: Buffer.from(canary), mimeType: "image/png" };
    for (const behaviour of faults) {
      model.respond = () => behaviour;
      const more = { prompt: canary, images: [image], schemaName: canary };
      const error = await ask({ onEvent: (event) => lines.push(JSON.stringify(event)) }, more, {
        apiKey: canary,
      }).then(
        () => undefined,
        (thrown: Vision.VisionError) => thrown,
      );
      if (error === undefined) continue;
      lines.push(
        JSON.stringify([error.message, error.details, error.fault, error.attempts, String(error.cause)]),
      );
      lines.push(String(error.stack));
    }
    for (const spy of spies) spy.mockRestore();
    expect(lines.length).toBeGreaterThan(60);
    const printed = lines.join("\n");
    expect(printed).not.toContain(canary);
    expect(printed).not.toContain(Buffer.from(canary).toString("base64").slice(0, 12));
    expect(printed).not.toContain("127.0.0.1");
  });
});

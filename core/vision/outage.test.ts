import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as Vision from "#core/vision/vision";
import * as Asking from "#test/support/model-server/asking";
import { failure, serverOf } from "#test/support/model-server/asking";
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

describe("an outage", () => {
  /** While the server is away, it answers neither questions nor probes. */
  const away = (behavior: ModelServer.Behavior) => {
    model.respond = () => behavior;
    model.models = behavior;
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

  test("a server that comes back is asked again as before", async () => {
    await model.down();
    await failure(ask());
    await model.up();
    model.respond = () => ModelServer.json({ total: "1" });
    expect((await ask()).attempts).toHaveLength(1);
  });

  test("a server without TLS is unavailable", async () => {
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

  test("silence in the middle of an answer counts, too, and the text so far is kept", async () => {
    model.respond = () => ModelServer.text('{"total": "12', { finishReason: null, end: "hang" });
    model.models = ModelServer.html(502);
    const error = await failure(ask({}, {}, { readTimeoutMs: 150 }));
    expect([error.code, error.rawText]).toEqual(["inference_unavailable", '{"total": "12']);
    await seenClosed();
  });

  test("a model that is still loading is an outage while the list does not name it", async () => {
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

  test("with a good probe it is not an outage: the call is retried, and a temporary fault ends", async () => {
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

  test("a key that the server does not accept is an outage; one that it accepts only for the list is a failure at once", async () => {
    away(ModelServer.error(401, "Unauthorized"));
    expect((await failure(ask())).code).toBe("inference_unavailable");
    model.models = "list";
    const error = await failure(ask());
    expect([error.code, error.attempts.length]).toEqual(["inference_failed", 1]);
  });
});

describe("probe", () => {
  test("returns the served models and their context length", async () => {
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
  ])("%s is reported as a code within its time", async (code, behavior) => {
    model.models = behavior;
    const started = Date.now();
    expect(await Vision.probe(serverOf(model), undefined, 200)).toMatchObject({
      ok: false,
      models: [],
      error: code,
    });
    expect(Date.now() - started).toBeLessThan(1_500);
  });

  test.each([
    ["vllm", false, "model_missing"],
    ["llamacpp", true, undefined],
    [undefined, true, undefined],
  ])("a list of %s without the configured name is ok: %s", async (owner, ok, error) => {
    model.models = {
      ...{ kind: "status", status: 200, contentType: "application/json" },
      body: JSON.stringify({ object: "list", data: [{ id: "a", owned_by: owner }, { id: "b" }] }),
    };
    const seen = await Vision.probe(serverOf(model));
    expect([seen.ok, seen.error, seen.models]).toEqual([ok, error, ["a", "b"]]);
  });

  test("a refused connection and an abort are answers too", async () => {
    await model.down();
    expect((await Vision.probe(serverOf(model))).error).toBe("connection_refused");
    expect((await Vision.probe(serverOf(model), AbortSignal.abort())).ok).toBe(false);
  });
});

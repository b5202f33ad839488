import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type * as Vision from "#core/vision/vision";
import * as Asking from "#test/support/model-server/asking";
import { failure, until } from "#test/support/model-server/asking";
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

  test("an endless answer is cut off, whatever its content", async () => {
    script({ kind: "flood" });
    const error = await failure(ask({ deadline: Date.now() + 20_000 }));
    expect([error.code, error.details]).toEqual(["inference_failed", { reason: "oversized_answer" }]);
    await seenClosed();
  });

  test("events that are not JSON make the answer incomplete", async () => {
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
  ])("%s: inference_timeout at the deadline, and the connection is closed", async (_name, behavior) => {
    script(behavior);
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

  test("a probe that is ended by the deadline does not turn a timeout into an outage", async () => {
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

describe("privacy", () => {
  test("no event, error or printed line has a prompt, an answer, a picture, a key or an address, in any fault", async () => {
    const canary = "CANARY7f3a";
    const lines: string[] = [];
    const spies = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation((...parts) => void lines.push(parts.map(String).join(" "))),
    );
    const said = `{"total": "${canary}"}`;
    const faults: ModelServer.Behavior[] = [
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
    for (const behavior of faults) {
      model.respond = () => behavior;
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

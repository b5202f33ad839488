import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError, type Code } from "#core/error";
import * as RunPod from "#core/pod/runpod";
import * as RunPodServer from "#test/support/runpod-server";

let server: RunPodServer.RunPodServer;
beforeEach(async () => {
  server = await RunPodServer.start();
});
afterEach(() => server.close());

const { apiKey, podId, problem } = RunPodServer;
const runpod = (more: Partial<RunPod.RunPod> = {}): RunPod.RunPod => ({
  apiUrl: server.url,
  apiKey,
  timeoutMs: 10_000,
  ...more,
});

async function failure(call: Promise<unknown>): Promise<AppError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error("no AppError", { cause: error });
  // No error contains the address, the key or the answer.
  expect(`${error.message} ${JSON.stringify(error.details ?? {})}`).not.toMatch(/127\.0\.0\.1|canary|rpa_/i);
  return error;
}

describe("a pod at RunPod", () => {
  test("only the listed fields of RunPod's answer are kept, and none of the pod's variables", async () => {
    server.status = "RUNNING";
    expect(await RunPod.get(runpod(), podId)).toEqual({
      id: podId,
      name: "ocrlty-gpu",
      status: "RUNNING",
      costPerHour: 0.44,
      gpu: { type: "NVIDIA GeForce RTX 4090", count: 1 },
      startedAt: "2026-11-28T12:02:00Z",
      locked: false,
    });
    expect(server.seen).toEqual([`GET /v2/pods/${podId}`]);
  });

  test.each(["PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED"])(
    "the state %s is passed on unchanged",
    async (status) => {
      server.status = status;
      expect((await RunPod.get(runpod(), podId)).status).toBe(status);
    },
  );

  test("a state that RunPod invents later is not an error", async () => {
    server.status = "HIBERNATED";
    expect((await RunPod.get(runpod(), podId)).status).toBe("UNKNOWN");
  });

  test("start and stop are one order each", async () => {
    expect((await RunPod.start(runpod(), podId)).status).toBe("STARTING");
    expect((await RunPod.stop(runpod(), podId)).status).toBe("EXITED");
    expect(server.seen).toEqual([
      `POST /v2/pods/${podId}/action start`,
      `POST /v2/pods/${podId}/action stop`,
    ]);
  });

  test.each([
    ["start", "RUNNING"],
    ["start", "PROVISIONING"],
    ["stop", "EXITED"],
  ] as const)("%s of a pod that is %s changes nothing and is not an error", async (verb, status) => {
    server.status = status;
    server.refuse = { orders: problem(409, "action is not valid in the current state") };
    const order = { start: RunPod.start, stop: RunPod.stop }[verb];
    expect((await order(runpod(), podId)).status).toBe(status);
  });

  test("a refused order has its reason, as far as it is known", async () => {
    server.status = "RUNNING";
    server.refuse = { orders: problem(409, "canary") };
    expect(await failure(RunPod.stop(runpod(), podId))).toMatchObject({
      code: "conflict",
      message: "RunPod refuses to stop the pod, which is RUNNING",
    });
    server.locked = true;
    expect((await failure(RunPod.stop(runpod(), podId))).message).toMatch(/it is locked/);
  });

  test.each([
    ["400", RunPodServer.noGpu],
    ["500", problem(500, "There are not enough free GPUs on the host machine to start this pod.")],
    ["no RFC 9457", { status: 400, body: '{"error":"not enough free GPUs on the host machine"}' }],
  ])("no free GPU is distinguished from every other refusal: %s", async (_form, orders) => {
    server.refuse = { orders };
    const error = await failure(RunPod.start(runpod(), podId));
    expect(error).toMatchObject({ code: "inference_unavailable", retry: true });
    expect(error.message).toMatch(/^no GPU is free/);
  });

  test.each<[string, RunPodServer.Refusal, Code, boolean]>([
    ["a key that RunPod does not know", problem(401, "canary"), "forbidden", false],
    ["a key that may not", problem(403, "canary"), "forbidden", false],
    ["no such pod", problem(404, "canary"), "not_found", false],
    ["too many questions", problem(429, "canary", { "retry-after": "12" }), "rate_limited", true],
    ["a fault of RunPod's", problem(500, "canary"), "inference_unavailable", true],
    ["a page of a proxy", { status: 502, body: "<html>canary</html>" }, "inference_unavailable", true],
    ["a page with status 200", { status: 200, body: "<html>canary</html>" }, "inference_unavailable", true],
    ["JSON about something else", { status: 200, body: '{"canary":1}' }, "inference_unavailable", true],
    [
      "the way to another address",
      { status: 302, body: "", headers: { location: "http://127.0.0.1:1/canary" } },
      "inference_unavailable",
      true,
    ],
  ])("%s: the error says so and quotes nothing, in all three verbs", async (_what, all, code, retry) => {
    server.refuse = { all };
    for (const verb of [RunPod.get, RunPod.start, RunPod.stop])
      expect(await failure(verb(runpod(), podId))).toMatchObject({ code, retry });
  });

  test("the wait that RunPod asks for is passed on to the caller", async () => {
    server.refuse = { all: problem(429, "slow down", { "retry-after": "12" }) };
    expect((await failure(RunPod.get(runpod(), podId))).retryAfterS).toBe(12);
  });

  test("a silent RunPod ends a verb at its deadline", async () => {
    server.refuse = { all: "silence" };
    const error = await failure(RunPod.start(runpod({ timeoutMs: 50 }), podId));
    expect(error).toMatchObject({
      code: "inference_unavailable",
      message: "RunPod did not answer in time",
    });
  });

  test("a refused connection is distinguished from a missing answer", async () => {
    const apiUrl = server.url;
    await server.close();
    const error = await failure(RunPod.get(runpod({ apiUrl }), podId));
    server = await RunPodServer.start();
    expect(error).toMatchObject({ code: "inference_unavailable", message: "RunPod cannot be reached" });
  });

  test("the caller can abort it, and gets its own reason back", async () => {
    server.refuse = { all: "silence" };
    const reason = new Error("enough");
    await expect(RunPod.get(runpod({ signal: AbortSignal.abort(reason) }), podId)).rejects.toBe(reason);
  });

  test.each(["", "..", "a/b", "a?b", "a%2fb", "a b", "a".repeat(65), "é"])(
    "an id that could change the path is refused before any call: %j",
    async (id) => {
      expect((await failure(RunPod.stop(runpod(), id))).code).toBe("invalid_request");
      expect(server.seen).toEqual([]);
    },
  );
});

test.each([
  ["https://xedezhzb9la3ye-8000.proxy.runpod.net/v1", "xedezhzb9la3ye"],
  ["https://xedezhzb9la3ye-8000.proxy.runpod.net/v1/", "xedezhzb9la3ye"],
  ["https://xedezhzb9la3ye-8001.proxy.runpod.net/v1", undefined],
  ["http://xedezhzb9la3ye-8000.proxy.runpod.net/v1", undefined],
  ["https://xedezhzb9la3ye-8000.proxy.runpod.net.example.com/v1", undefined],
  ["https://example.com/xedezhzb9la3ye-8000.proxy.runpod.net/v1", undefined],
  ["https://gpu.example.com/v1", undefined],
  ["http://127.0.0.1:8000/v1", undefined],
])("the pod behind %s is %s", (address, id) => {
  expect(RunPod.podIdOf(address)).toBe(id);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { startLambda } from "#local/lambda/fixtures/harness";
import type { Invocation, Lambda } from "#local/lambda/pool";

const echo = { handler: "local/lambda/fixtures/echo.handler" };
const actor = { handler: "local/lambda/fixtures/echo.actor" };
const broken = { handler: "local/lambda/fixtures/broken.handler" };

const running: Lambda[] = [];
const start: typeof startLambda = async (...args) => {
  const lambda = await startLambda(...args);
  running.push(lambda);
  return lambda;
};
afterEach(async () => {
  await Promise.all(running.splice(0).map((lambda) => lambda.close()));
});
afterAll(() => expect(running).toEqual([]));

function payload(outcome: Invocation): Record<string, never> {
  if (outcome.type !== "result") throw new Error(JSON.stringify(outcome));
  return JSON.parse(outcome.payload);
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("an instance", () => {
  test("sees Lambda's variables and its settings, and nothing of the loop's environment", async () => {
    vi.stubEnv("OF_THE_LOOP", "secret");
    const lambda = await start({ echo }, { env: { SETTING: "1" } });
    const { env, context } = payload(await lambda.invoke("echo", {})) as unknown as {
      env: Record<string, string>;
      context: Record<string, unknown>;
    };
    expect(env).toMatchObject({
      SETTING: "1",
      AWS_LAMBDA_FUNCTION_NAME: "echo",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
      AWS_REGION: "us-east-1",
      AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
      _X_AMZN_TRACE_ID: expect.stringMatching(/^Root=1-/),
    });
    expect(env).not.toHaveProperty("OF_THE_LOOP");
    expect(env).not.toHaveProperty("NODE_OPTIONS");
    expect(Object.keys(env).filter((name) => /vitest/i.test(name))).toEqual([]);
    expect(context).toMatchObject({
      functionName: "echo",
      functionVersion: "$LATEST",
      awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(context.remaining).toBeGreaterThan(4_000);
    expect(context.remaining).toBeLessThanOrEqual(5_000);
    vi.unstubAllEnvs();
  });

  test("is used again when it is free, the one used last first", async () => {
    const lambda = await start({ actor });
    const [a, b] = await Promise.all([
      lambda.invoke("actor", { act: "sleep", ms: 300 }),
      lambda.invoke("actor", { act: "sleep", ms: 1 }),
    ]);
    expect(a.pid).not.toBe(b.pid);
    for (let call = 0; call < 3; call += 1) {
      const again = await lambda.invoke("actor", {});
      expect(again).toMatchObject({ pid: a.pid, coldStart: false });
    }
  });

  test("survives a thrown error, which is reported by name and message", async () => {
    const lambda = await start({ actor });
    const failed = await lambda.invoke("actor", { act: "throw" });
    expect(failed).toMatchObject({
      type: "error",
      error: { errorType: "TypeError", errorMessage: "on purpose" },
    });
    expect(await lambda.invoke("actor", {})).toMatchObject({
      type: "result",
      pid: failed.pid,
      coldStart: false,
    });
  });

  test.each([["exit"], ["reject"]])(
    "that ends itself (%s) is a function error, and the next call gets a new one",
    async (act) => {
      const lambda = await start({ actor });
      const failed = await lambda.invoke("actor", { act });
      expect(failed).toMatchObject({ type: "error", error: { errorType: "Runtime.ExitError" } });
      expect(await lambda.invoke("actor", {})).toMatchObject({ type: "result", coldStart: true });
    },
  );

  test("that ends after its answer counts as answered", async () => {
    const lambda = await start({ actor });
    for (let call = 0; call < 5; call += 1) {
      expect(await lambda.invoke("actor", { act: "exit after answering" })).toMatchObject({ type: "result" });
      await vi.waitFor(() => expect(lambda.instances()).toEqual([]));
    }
  });

  test("that passes its timeout is killed, also in the middle of an endless loop", async () => {
    const lambda = await start({ actor: { ...actor, timeoutMs: 300 } });
    const late = await lambda.invoke("actor", { act: "spin", ms: 60_000 });
    expect(late.type).toBe("timeout");
    expect(late.durationMs).toBeLessThan(5_000);
    await vi.waitFor(() => expect(alive(late.pid)).toBe(false));
    expect(await lambda.invoke("actor", {})).toMatchObject({ type: "result", coldStart: true });
  });

  test("that does not load is a function error, with the reason in the log", async () => {
    const lambda = await start({ broken });
    expect(await lambda.invoke("broken", {})).toMatchObject({
      type: "error",
      error: { errorMessage: "module load failed on purpose" },
    });
    await vi.waitFor(() =>
      expect(lambda.log.map(({ line }) => line).join("\n")).toContain("module load failed on purpose"),
    );
    await vi.waitFor(() => expect(lambda.instances()).toEqual([]));
  });

  test("may answer 6 MB and no more", async () => {
    const lambda = await start({ actor });
    const limit = 6 * 1024 * 1024;
    const frame = JSON.stringify({ text: "" }).length;
    expect(await lambda.invoke("actor", { act: "large", bytes: limit - frame })).toMatchObject({
      type: "result",
    });
    expect(await lambda.invoke("actor", { act: "large", bytes: limit - frame + 1 })).toMatchObject({
      type: "error",
      error: { errorType: "Function.ResponseSizeTooLarge" },
    });
  });

  test("loses no printed line, and mixes no two lines", async () => {
    const lambda = await start({ actor });
    const texts = ["one", "two", "three"];
    await Promise.all(texts.map((text) => lambda.invoke("actor", { act: "print", text })));
    await lambda.close();
    for (const text of texts) {
      const lines = lambda.log.map(({ line }) => line).filter((line) => line.startsWith(`${text} `));
      expect(
        lines.filter((line) => /^\w+ \d+ é{500}$/.test(line)).map((line) => Number(line.split(" ")[1])),
      ).toEqual([...Array(200).keys()]);
      expect(lines).toContain(`${text} to stderr`);
      expect(lines).toContain(`${text} without an end`);
    }
  });
});

describe("a pool", () => {
  test("never has more processes than its maximum", async () => {
    const lambda = await start({ actor }, { pools: { http: 2 } });
    const calls = Array.from({ length: 8 }, async () => {
      const { pid } = await lambda.invoke("actor", { act: "sleep", ms: 20 });
      expect(lambda.instances().length).toBeLessThanOrEqual(2);
      return pid;
    });
    expect(new Set(await Promise.all(calls)).size).toBe(2);
  });

  test("serves waiting invocations in order", async () => {
    const lambda = await start({ actor, echo }, { pools: { http: 1 } });
    const order: number[] = [];
    const call = async (index: number) => {
      // Two functions that share one process, so each call ends the other's.
      await lambda.invoke(index % 3 === 0 ? "echo" : "actor", {});
      order.push(index);
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map(call));
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("ends an idle instance of another function when it is full", async () => {
    const lambda = await start({ a: actor, b: actor }, { pools: { http: 2 } });
    const [first] = await Promise.all([
      lambda.invoke("a", { act: "sleep", ms: 100 }),
      lambda.invoke("a", { act: "sleep", ms: 100 }),
    ]);
    expect(await lambda.invoke("b", {})).toMatchObject({ type: "result", coldStart: true });
    expect(
      lambda
        .instances()
        .map(({ functionName }) => functionName)
        .sort(),
    ).toEqual(["a", "b"]);
    expect(first.type).toBe("result");
  });

  test("keeps the pools of other functions apart", async () => {
    const lambda = await start(
      { http: actor, queue: { ...actor, pool: "queue" } },
      { pools: { http: 1, queue: 1 } },
    );
    const busy = lambda.invoke("http", { act: "sleep", ms: 5_000 });
    expect(await lambda.invoke("queue", {})).toMatchObject({ type: "result" });
    const [instance] = lambda.instances().filter(({ state }) => state === "busy");
    expect(lambda.killInstance(instance?.pid ?? 0)).toBe(true);
    expect(await busy).toMatchObject({ type: "error", error: { errorType: "Runtime.ExitError" } });
  });

  test("drops an invocation whose caller gave up while it waited: it never runs", async () => {
    const lambda = await start({ actor, echo }, { pools: { http: 1 } });
    const busy = lambda.invoke("actor", { act: "sleep", ms: 300 });
    const gaveUp = lambda.invoke("echo", {}, { signal: AbortSignal.timeout(50) });
    await expect(gaveUp).rejects.toThrow(/timeout/i);
    await busy;
    expect(payload(await lambda.invoke("echo", {}))).toMatchObject({ calls: 1 });
  });

  test("swaps its code without dropping a call in flight", async () => {
    const lambda = await start({ actor });
    const other = await startLambda({ actor: echo });
    running.push(other);
    const inFlight = lambda.invoke("actor", { act: "sleep", ms: 400 });
    await vi.waitFor(() => expect(lambda.instances()).toMatchObject([{ state: "busy" }]));
    const built = await import("#local/bundle/bundle").then(({ bundle }) =>
      bundle({ handlers: { actor: echo.handler } }),
    );
    built.release();
    const code = built.functions.actor;
    if (code === undefined) throw new Error("not bundled");
    lambda.swap({
      runtimeFile: built.runtimeFile,
      functions: { actor: { ...code, memoryMb: 256, timeoutMs: 5_000, pool: "http" } },
    });
    expect(payload(await lambda.invoke("actor", { new: true }))).toMatchObject({ event: { new: true } });
    expect(await inFlight).toMatchObject({ type: "result" });
    await vi.waitFor(() => expect(lambda.instances().length).toBe(1));
  });

  test("lets busy instances finish when it closes, kills them after the grace time, and leaves no process", async () => {
    const lambda = await start({ actor });
    const short = lambda.invoke("actor", { act: "sleep", ms: 200 });
    const long = lambda.invoke("actor", { act: "sleep", ms: 60_000 });
    await vi.waitFor(() => expect(lambda.instances().filter(({ state }) => state === "busy").length).toBe(2));
    await sleep(100);
    const pids = lambda.instances().map(({ pid }) => pid);
    await lambda.close(600);
    expect(await short).toMatchObject({ type: "result" });
    expect(await long).toMatchObject({ type: "error" });
    expect(pids.filter(alive)).toEqual([]);
    await expect(lambda.invoke("actor", {})).rejects.toThrow("being stopped");
  });
});

test("kill -9 of the loop ends every instance, also one in an endless loop", async () => {
  const program = `
    const { startLambda } = await import("#local/lambda/fixtures/harness");
    const lambda = await startLambda({ actor: { handler: "local/lambda/fixtures/echo.actor", timeoutMs: 60000 } });
    void lambda.invoke("actor", { act: "sleep", ms: 60000 });
    void lambda.invoke("actor", { act: "spin", ms: 60000 });
    setInterval(() => {
      const busy = lambda.instances().filter(({ state }) => state === "busy");
      if (busy.length === 2) console.log(JSON.stringify(busy.map(({ pid }) => pid)));
    }, 200);
  `;
  const loop = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program],
    {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: new URL("../..", import.meta.url),
    },
  );
  const [line] = await once(loop.stdout, "data");
  const pids: number[] = JSON.parse(String(line).split("\n")[0] ?? "");
  expect(pids.filter(alive)).toEqual(pids);
  await sleep(300);
  loop.kill("SIGKILL");
  await vi.waitFor(() => expect(pids.filter(alive)).toEqual([]), { timeout: 3_000 });
});

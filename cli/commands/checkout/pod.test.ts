import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { run } from "#cli/program";
import { withLinks } from "#cli/server/links";
import { type Context, exit } from "#cli/terminal/context";
import { packageRoot } from "#local/home/home";
import * as ModelServer from "#test/support/model-server/model-server";
import * as RunPodServer from "#test/support/runpod-server";

const { podId } = RunPodServer;
const vllmKey = "canary-of-the-model-server";
let runpod: RunPodServer.RunPodServer;
let model: ModelServer.ModelServer;
let env: Record<string, string>;

beforeEach(async () => {
  runpod = await RunPodServer.start();
  model = await ModelServer.start({ apiKey: vllmKey });
  env = {
    RUNPOD_API_KEY: RunPodServer.apiKey,
    RUNPOD_API_URL: runpod.url,
    POD_ID: podId,
    VLLM_BASE_URL: model.url,
    VLLM_API_KEY: vllmKey,
    // Polls every 10 ms, for at most 1.8 s.
    OCRLTY_TIME_SCALE: "0.002",
  };
});
afterEach(async () => {
  await runpod.close();
  await model.close();
});

interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

async function pod(args: string[], more: { signal?: AbortSignal; onSay?: () => void } = {}): Promise<Ended> {
  let stdout = "";
  let stderr = "";
  const context: Context = {
    env: withLinks(env),
    cwd: tmpdir(),
    signal: more.signal ?? new AbortController().signal,
    out: (text) => {
      stdout += text;
    },
    say: (line) => {
      stderr += `${line}\n`;
      more.onSay?.();
    },
    stdin: async () => Buffer.alloc(0),
  };
  const status = await run(["pod", ...args], context);
  isDiscreet(stdout + stderr);
  return { status, stdout, stderr };
}

/** No output contains a key, one of the pod's variables, or an address. */
function isDiscreet(text: string): void {
  expect(text).not.toMatch(/canary|rpa_|127\.0\.0\.1/i);
}

describe("pod status", () => {
  test("one row says what RunPod and what the model server say", async () => {
    runpod.status = "RUNNING";
    const { status, stdout, stderr } = await pod(["status"]);
    expect({ status, stderr }).toEqual({ status: exit.ok, stderr: "" });
    expect(stdout.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["POD", "RUNPOD", "GPU", "USD/H", "SINCE (UTC)", "MODEL SERVER"],
      [podId, "RUNNING", "1 × NVIDIA GeForce RTX 4090", "0.44", "2026-11-28 12:02", "serves scripted-model"],
      [""],
    ]);
    expect(runpod.seen).toEqual([`GET /v2/pods/${podId}`]);
  });

  test("a pod that is off has no cost and no start time, and its server is away", async () => {
    model.models = ModelServer.html(502);
    const { status, stdout } = await pod(["status", "--json"]);
    expect({ status, answer: JSON.parse(stdout) }).toEqual({
      status: exit.ok,
      answer: {
        pod: podId,
        name: "ocrlty-gpu",
        status: "EXITED",
        gpu: "NVIDIA GeForce RTX 4090",
        gpu_count: 1,
        cost_per_hour_usd: 0,
        since: null,
        locked: false,
        model_server: { ok: false, latency_ms: expect.any(Number), models: [], error: "status_502" },
      },
    });
  });

  test("without the address of a model server only RunPod is asked", async () => {
    delete env.VLLM_BASE_URL;
    expect(JSON.parse((await pod(["status", "--json"])).stdout)).toMatchObject({ model_server: null });
    expect((await pod(["status"])).stdout).toMatch(/VLLM_BASE_URL is not set/);
    expect(model.probes).toBe(0);
  });
});

describe("pod start", () => {
  test("it sends the order and waits only with --wait", async () => {
    model.models = ModelServer.html(404);
    expect(await pod(["start"])).toEqual({
      status: exit.ok,
      stdout: `${podId} (STARTING, 0.44 USD/h): started; its model server answers in some minutes\n`,
      stderr: "",
    });
    expect(model.probes).toBe(0);
  });

  test("--wait ends with 0 as soon as the model server serves, and tells what changes meanwhile once", async () => {
    model.models = ModelServer.html(404);
    let looks = 0;
    runpod.onLook = () => {
      looks += 1;
      if (looks === 2) runpod.status = "RUNNING";
      if (looks === 3) model.models = ModelServer.html(502);
      if (looks === 5) model.models = "list";
    };
    const { status, stdout, stderr } = await pod(["start", "--wait"]);
    expect({ status, stdout, stderr: stderr.split("\n") }).toEqual({
      status: exit.ok,
      stdout: `${podId} (RUNNING, 0.44 USD/h): its model server serves scripted-model\n`,
      stderr: [
        "waiting: RunPod says STARTING, the model server is away (status_404)",
        "waiting: RunPod says RUNNING, the model server is away (status_404)",
        "waiting: RunPod says RUNNING, the model server is away (status_502)",
        "",
      ],
    });
    expect(runpod.seen.filter((line) => line.startsWith("POST"))).toEqual([
      `POST /v2/pods/${podId}/action start`,
    ]);
  });

  test("--wait ends with 1 when the time is over, and leaves the pod on", async () => {
    model.models = ModelServer.html(502);
    env.OCRLTY_TIME_SCALE = "0.0002";
    const { status, stdout, stderr } = await pod(["start", "--wait", "--json"]);
    expect(status).toBe(exit.items);
    expect(JSON.parse(stdout)).toMatchObject({ model_server: { ok: false, error: "status_502" } });
    expect(stderr).toMatch(/did not answer in time; the pod stays on/);
    expect(runpod.status).toBe("STARTING");
  });

  test.each(["ERROR", "TERMINATED", "EXITED"])(
    "--wait does not sit out its time for a pod that went down again: %s",
    async (state) => {
      model.models = ModelServer.html(502);
      env.OCRLTY_TIME_SCALE = "0.01";
      runpod.onLook = () => {
        runpod.status = state;
      };
      const { status, stderr } = await pod(["start", "--wait"]);
      expect(status).toBe(exit.items);
      expect(stderr).toMatch(/the pod went down again/);
    },
  );

  test("--wait goes on while RunPod itself is away for once", async () => {
    model.models = ModelServer.html(502);
    let looks = 0;
    runpod.onLook = () => {
      looks += 1;
      runpod.refuse = { all: RunPodServer.problem(500, "canary") };
      if (looks === 3) model.models = "list";
    };
    expect((await pod(["start", "--wait"])).status).toBe(exit.ok);
    expect(looks).toBe(3);
  });

  test("Ctrl-C ends the waiting, not the pod", async () => {
    model.models = ModelServer.html(502);
    env.OCRLTY_TIME_SCALE = "1";
    const interrupted = new AbortController();
    const { status, stdout, stderr } = await pod(["start", "--wait"], {
      signal: interrupted.signal,
      onSay: () => interrupted.abort(),
    });
    expect({ status, stdout }).toEqual({ status: exit.interrupted, stdout: "" });
    expect(stderr).toMatch(/no longer waiting; the pod stays on/);
    expect(runpod.seen.filter((line) => line.includes("stop"))).toEqual([]);
  });

  test("a machine without a free GPU is one line and status 2", async () => {
    runpod.refuse = { orders: RunPodServer.noGpu };
    expect(await pod(["start", "--wait"])).toEqual({
      status: exit.failed,
      stdout: "",
      stderr:
        "error: no GPU is free on the machine that keeps the pod: try again later, or make a new pod (docs/gpu.md)\n",
    });
  });

  test("nothing is started if --wait could not work", async () => {
    env.VLLM_BASE_URL = "https://another0pod-8000.proxy.runpod.net/v1";
    const another = await pod(["start", "--wait", "--pod", podId]);
    expect(another.status).toBe(exit.failed);
    expect(another.stderr).toMatch(/VLLM_BASE_URL is another pod's: set it \(secret VllmBaseUrl, deploy\)/);
    delete env.VLLM_BASE_URL;
    const none = await pod(["start", "--wait"]);
    expect(none.status).toBe(exit.failed);
    expect(none.stderr).toMatch(/VLLM_BASE_URL is not set: there is nothing to wait for/);
    expect(runpod.seen).toEqual([]);
  });
});

describe("pod stop", () => {
  test("it says that waiting work is kept", async () => {
    runpod.status = "RUNNING";
    expect(await pod(["stop"])).toEqual({
      status: exit.ok,
      stdout: `${podId} (EXITED, 0.00 USD/h): stopped; waiting work stays in the queue and does not fail\n`,
      stderr: "",
    });
    expect(runpod.seen).toEqual([`POST /v2/pods/${podId}/action stop`]);
  });
});

describe("the choice of the pod and the key", () => {
  test("the address of the model server is enough to find the pod", async () => {
    delete env.POD_ID;
    env.VLLM_BASE_URL = `https://${podId}-8000.proxy.runpod.net/v1`;
    expect((await pod(["stop"])).status).toBe(exit.ok);
    expect(runpod.seen).toEqual([`POST /v2/pods/${podId}/action stop`]);
  });

  test("--pod wins over POD_ID", async () => {
    env.POD_ID = "another0pod";
    expect((await pod(["stop", "--pod", podId])).status).toBe(exit.ok);
  });

  test("if POD_ID and the address name two pods, the command does nothing unless --pod chooses one", async () => {
    env.VLLM_BASE_URL = "https://another0pod-8000.proxy.runpod.net/v1";
    const { status, stderr } = await pod(["stop"]);
    expect({ status, stderr }).toEqual({
      status: exit.failed,
      stderr: "error: POD_ID and VLLM_BASE_URL name different pods: choose one with --pod\n",
    });
    expect(runpod.seen).toEqual([]);
    const named = await pod(["start", "--pod", podId]);
    expect(named.status).toBe(exit.ok);
    expect(named.stderr).toBe("note: VLLM_BASE_URL is the address of another pod\n");
  });

  test.each<[string, (env: Record<string, string>) => void, string[], RegExp]>([
    [
      "no key",
      (env) => delete env.RUNPOD_API_KEY,
      ["status"],
      /^error: RUNPOD_API_KEY is not set: .*RunpodApiKey.*\n$/,
    ],
    ["no pod", (env) => delete env.POD_ID, ["status"], /^error: which pod\? .*--pod.*POD_ID.*\n$/],
    ["a path for a pod", () => undefined, ["stop", "--pod", "../x"], /^error: .*letters, digits.*\n$/],
    [
      "a wrong key",
      (env) => {
        env.RUNPOD_API_KEY = "rpa_other";
      },
      ["stop"],
      /^error: RunPod does not know this API key.*\n$/,
    ],
    [
      "an unknown pod",
      () => undefined,
      ["stop", "--pod", "another0pod"],
      /^error: RunPod has no pod of this id.*\n$/,
    ],
    [
      "a key in clear over the network",
      (env) => {
        env.RUNPOD_API_URL = "http://example.com/v2";
      },
      ["stop"],
      /^error: RUNPOD_API_URL is not valid: it takes an address that begins with https:.*\n$/,
    ],
  ])("%s is refused in one line, with status 2", async (_what, change, args, line) => {
    change(env);
    const { status, stdout, stderr } = await pod(args);
    expect({ status, stdout }).toEqual({ status: exit.failed, stdout: "" });
    expect(stderr).toMatch(line);
  });

  test("under sst shell the program finds key, address and pod in the stage's links, whatever is exported", async () => {
    const { RUNPOD_API_KEY, VLLM_BASE_URL, VLLM_API_KEY, ...rest } = env;
    const links = {
      App: { name: "ocrlty", stage: "production" },
      Pod: { type: "sst.sst.Linkable", RUNPOD_API_KEY },
      Model: { type: "sst.sst.Linkable", VLLM_BASE_URL, VLLM_API_KEY },
    };
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [join(packageRoot, "scripts/launch.mjs"), "ocrlty", "pod", "start", "--wait"],
      {
        env: {
          PATH: process.env.PATH,
          SystemRoot: process.env.SystemRoot,
          ...rest,
          RUNPOD_API_KEY: "rpa_of_somebody",
          VLLM_BASE_URL: "http://127.0.0.1:9/v1",
          ...Object.fromEntries(
            Object.entries(links).map(([name, link]) => [`SST_RESOURCE_${name}`, JSON.stringify(link)]),
          ),
        },
      },
    );
    isDiscreet(stdout + stderr);
    expect(stdout).toBe(`${podId} (STARTING, 0.44 USD/h): its model server serves scripted-model\n`);
    expect(runpod.seen).toEqual([`POST /v2/pods/${podId}/action start`]);
  });
});

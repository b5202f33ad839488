/*
 * A real vLLM (test/soak/vllm): smoke, every task, a batch whose server is killed and comes back, an answer that is
 * aborted, what is too long, a family that thinks, pictures by address, and the proxy of docs/gpu.md. The answers of
 * the scripted servers of other tests are compared with it.
 */
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Task from "#core/task/task";
import { packageRoot } from "#local/home/home";
import { ended } from "#test/soak/parallel";
import * as Shapes from "#test/soak/vllm/shapes";
import * as Vllm from "#test/soak/vllm/vllm";
import * as Batches from "#test/support/batches/batches";
import { startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";

const missing = await Vllm.install();
if (missing !== undefined) console.warn(`skipped: no vLLM here: ${missing}`);

const run = promisify(execFile);
const ports = { plain: 8_311, thinks: 8_312, proxy: 8_313, long: 8_314 };
const tasks = Task.list().map(({ id }) => id);
const settings = (server: Vllm.Server, url = server.url) => ({
  VLLM_BASE_URL: url,
  VLLM_API_KEY: server.key,
  VLLM_MODEL: server.name,
});
const plain: Vllm.Options = { name: "Qwen/Qwen3-VL-8B-Instruct", port: ports.plain };

interface Answered {
  readonly status: string;
  readonly model: string;
  readonly schema_ok: boolean;
  readonly usage: { prompt_tokens: number; completion_tokens: number; attempts: number };
}

/** Reads a sample by a task, waiting in the queue if it takes longer than a call may. */
async function extracted(loop: TestLoop, task_id: string): Promise<Answered> {
  const request_id = `${task_id}-${Math.random().toString(36).slice(2)}`;
  const image_base64 = (await readFile(join(packageRoot, "samples", "aldi.jpg"))).toString("base64");
  const first = await loop.call("/v1/extract", { json: { image_base64, task_id, request_id } });
  const answer = await ended(loop, request_id, first);
  expect(answer.status, answer.text).toBe(200);
  return answer.body as Answered;
}

describe.skipIf(missing !== undefined)(`vLLM ${Vllm.version}, Qwen3-VL`, () => {
  let server: Vllm.Server;
  let batches: Batches.Batches;

  beforeAll(async () => {
    server = await Vllm.start(plain);
    batches = await Batches.open({ env: settings(server) });
  }, 900_000);
  afterAll(async () => {
    await batches?.close();
    await server?.stop();
  });

  test("every call of the API works: npm run smoke has no failure", async () => {
    const { loop } = batches;
    const smoke = ["smoke", "--url", loop.url, "--key", loop.apiKey];
    const { stdout } = await run(process.execPath, [join(packageRoot, "scripts", "launch.mjs"), ...smoke], {
      maxBuffer: 1e8,
      timeout: 900_000,
    });
    console.info(stdout.trim().split("\n").at(-1));
    expect(stdout).toMatch(/\d+ ok, 0 failed/);
  });

  test.each(tasks)(
    "%s: one call, an answer that fits its schema, and the tokens that the server counts",
    async (task) => {
      const answer = await extracted(batches.loop, task);
      expect(answer).toMatchObject({ status: "succeeded", schema_ok: true, model: plain.name });
      expect(answer.usage.attempts).toBe(1);
      // A picture's tokens and the prompt's text: the server counts, and the product repeats its number.
      expect(answer.usage.prompt_tokens).toBeGreaterThan(300);
    },
  );

  test("the scripted servers of the tests have its answers' shapes and its errors' texts", async () => {
    const scripted = await ModelServer.start({ model: plain.name, apiKey: server.key, maxModelLen: 8_192 });
    try {
      await Shapes.compare(
        { url: server.url, key: server.key },
        { url: scripted.url, key: server.key },
        plain.name,
      );
    } finally {
      await scripted.close();
    }
  });

  test("a batch whose server is killed and comes back: nothing is lost, and no attempt is counted", async () => {
    const keys = await batches.keys(24);
    await batches.create({ keys, run_id: "killed", concurrency: 4 });
    const some = async () => (await batches.row("killed")).succeeded;
    await expect.poll(some, { timeout: 300_000, interval: 200 }).toBeGreaterThanOrEqual(4);
    await server.kill();
    const waits = async () => (await batches.run("killed")).waiting_for;
    await expect.poll(waits, { timeout: 120_000, interval: 500 }).toBe("model_server");
    server = await Vllm.start(plain);
    const done = await batches.ended("killed", 600_000);
    expect(done.counts).toMatchObject({ succeeded: keys.length, failed: 0 });
    const items = await batches.verify("killed");
    // A lost connection after the picture was sent makes the item a suspect, and does not count as an attempt.
    expect(items.map(({ attempts }) => attempts)).toEqual(keys.map(() => 1));
  });

  test("an answer that the server aborts when it stops is asked for again, and is complete then", async () => {
    const keys = await batches.keys(4);
    await batches.create({ keys, run_id: "stopped", concurrency: 4, task_id: "receipt_v1" });
    await expect
      .poll(async () => (await batches.run("stopped")).counts.running, { timeout: 60_000, interval: 50 })
      .toBeGreaterThan(0);
    await server.stop();
    server = await Vllm.start(plain);
    expect((await batches.ended("stopped", 600_000)).counts).toMatchObject({ succeeded: 4, failed: 0 });
    await batches.verify("stopped");
  });

  const nginx = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : undefined;
  test.skipIf(nginx === undefined)(
    "behind the proxy of docs/gpu.md pictures are read and other paths are protected (needs nginx)",
    async () => {
      const dir = await mkdtemp(join(tmpdir(), "ocrlty-nginx-"));
      const conf = (await readFile(join(packageRoot, "docs", "gpu", "nginx.conf"), "utf8"))
        .replaceAll("127.0.0.1:8001", `127.0.0.1:${ports.plain}`)
        .replace(/listen .*8000[^;]*;/g, `listen 127.0.0.1:${ports.proxy};`)
        .replace(/^pid .*$/m, "")
        .replace(/^user .*$/m, "");
      await writeFile(
        join(dir, "nginx.conf"),
        `daemon off;\npid ${dir}/pid;\nerror_log ${dir}/error.log;\n${conf}`,
      );
      const child = spawn(nginx ?? "", ["-p", dir, "-c", join(dir, "nginx.conf")], { stdio: "ignore" });
      const url = `http://127.0.0.1:${ports.proxy}`;
      const loop = await startLoop({ env: settings(server, `${url}/v1`) });
      try {
        await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), {
          timeout: 20_000,
        });
        expect(await extracted(loop, "receipt_v1")).toMatchObject({ status: "succeeded" });
        for (const path of ["/invocations", "/tokenize", "/pause"])
          expect((await fetch(`${url}${path}`, { method: "POST" })).status, path).toBe(404);
      } finally {
        await loop.close();
        child.kill();
        await rm(dir, { recursive: true, force: true });
      }
    },
  );
});

describe.skipIf(missing !== undefined)(
  `vLLM ${Vllm.version}, a family that thinks and answers without end`,
  () => {
    let server: Vllm.Server;
    let loop: TestLoop;
    const name = "Qwen/Qwen3.5-9B";

    beforeAll(async () => {
      server = await Vllm.start({
        name,
        port: ports.thinks,
        thinks: true,
        flags: ["--max-model-len", "4096"],
      });
      loop = await startLoop({ env: settings(server) });
    }, 900_000);
    afterAll(async () => {
      await loop?.close();
      await server?.stop();
    });

    test("thinking is switched off by its profile: one call, and nothing of it in the answer", async () => {
      const answer = await extracted(loop, "receipt_fields_v1");
      expect(answer).toMatchObject({ status: "succeeded", schema_ok: true, model: name });
      expect(answer.usage.attempts).toBe(1);
      expect(answer.usage.completion_tokens).toBeLessThan(200);
      // Its own log of the request has the switch; without it the same server thinks.
      const thinks = await Shapes.chat(
        { url: server.url, key: server.key },
        { model: name, max_tokens: 60, stream: false },
      );
      const { choices } = thinks.body as { choices: [{ message: { reasoning?: string | null } }] };
      expect(choices[0].message.reasoning ?? "").not.toBe("");
    });

    test("a picture of 48 megapixels fits a context of 4,096 tokens at the first call", async () => {
      const picture = await sharp({
        create: { width: 8_000, height: 6_000, channels: 3, background: "#eee" },
      })
        .composite([{ input: Buffer.from(await base64(1), "base64"), left: 100, top: 100 }])
        .jpeg()
        .toBuffer();
      const first = await loop.call("/v1/extract", {
        json: { image_base64: picture.toString("base64"), task_id: "payment_v1", request_id: "large" },
      });
      const { body } = await ended(loop, "large", first);
      expect(body).toMatchObject({ status: "succeeded", usage: { attempts: 1 } });
    });
  },
);

describe.skipIf(missing !== undefined)(`vLLM ${Vllm.version}, answers that do not end`, () => {
  let server: Vllm.Server;
  let loop: TestLoop;
  const contextTokens = 4_096;

  beforeAll(async () => {
    const flags = ["--max-model-len", String(contextTokens)];
    server = await Vllm.start({ name: plain.name, port: ports.long, answers: "long", flags });
    loop = await startLoop({ env: settings(server) });
  }, 900_000);
  afterAll(async () => {
    await loop?.close();
    await server?.stop();
  });

  test("an answer that uses up its tokens ends with a named error, after few calls", async () => {
    const image_base64 = await base64(1);
    const first = await loop.call("/v1/extract", {
      json: { image_base64, task_id: "payment_v1", request_id: "endless" },
    });
    const { body } = await ended(loop, "endless", first);
    const { status, error } = body as { status: string; error: { code: string } };
    // Its text is noise and is not printed.
    expect({ status, code: error.code }).toEqual({ status: "failed", code: "answer_too_long" });
    const artifact = (await loop.call("/v1/debug/artifacts/endless")).body as { attempts: unknown[] };
    expect(artifact.attempts.length).toBeLessThanOrEqual(4);
  });

  test("a prompt that is too long is refused with the same text as by the scripted servers", async () => {
    const target = { url: server.url, key: server.key };
    const words = (said: Shapes.Said) =>
      (said.body as { error: { message: string } }).error.message.replace(/\d+/g, "N");
    const image = await sharp({ create: { width: 3_200, height: 3_200, channels: 3, background: "#eee" } })
      .jpeg()
      .toBuffer();
    const url = `data:image/jpeg;base64,${image.toString("base64")}`;
    const content = [{ type: "image_url", image_url: { url } }];
    const tooLarge = await Shapes.chat(target, {
      ...{ model: plain.name, max_tokens: 10, messages: [{ role: "user", content }] },
    });
    expect(tooLarge.status).toBe(400);
    expect(words(tooLarge)).toBe(ModelServer.contextTooLong.vllmInputLength.replace(/\d+/g, "N"));
    const tooMany = await Shapes.chat(target, { model: plain.name, max_tokens: 5_000 });
    expect(tooMany.status).toBe(400);
    expect(words(tooMany)).toContain(
      "max_tokens=N cannot be greater than max_model_len=N. Please request fewer",
    );
  });
});

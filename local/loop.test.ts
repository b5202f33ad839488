import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { App } from "#local/app";
import { HeldError } from "#local/home/lock";
import { type Loop, type LoopOptions, start } from "#local/loop";
import type { FunctionSpec } from "#spec/functions";
import { startLoop } from "#test/support/loop";

// Bundlings on one machine run in turns, and other tests' loops may come first.
vi.setConfig({ testTimeout: 120_000 });

const spec = (name: string, links: FunctionSpec["links"] = []): FunctionSpec => ({
  handler: `local/lambda/fixtures/${name}`,
  memoryMb: 256,
  timeoutMs: 5_000,
  links,
});
const everything = ["database", "bucket", "queues", "model", "webhook"] as const;
const app: App = {
  functions: { echo: spec("echo.handler", everything), http: spec("echo.http") },
  table: { routes: [{ method: "POST", path: "/http", function: "http" }], defaultFunction: "echo" },
};

/** Stands for a real model server, because the stand-in takes half a second to start and is not tested here. */
let model: Server;
let env: Record<string, string>;
beforeAll(async () => {
  model = createServer((_request, response) => response.end("{}"));
  await new Promise<void>((resolve) => model.listen(0, "127.0.0.1", resolve));
  env = { VLLM_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1` };
});
afterAll(() => new Promise((resolve) => model.close(resolve)));

const running: Loop[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((loop) => loop.close(0)));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "ocrlty loop "));
  folders.push(made);
  return made;
}
async function run(options: Partial<LoopOptions> & { home: string }): Promise<Loop> {
  const loop = await start({ port: 0, env, app, log: () => undefined, ...options });
  running.push(loop);
  return loop;
}
async function seenBy(loop: Loop): Promise<Record<string, string>> {
  const response = await fetch(`${loop.url}/anything`);
  return ((await response.json()) as { env: Record<string, string> }).env;
}

describe("a loop", () => {
  test("gives its functions the settings that they need, and no others that the caller did not set", async () => {
    const loop = await run({
      home: folder(),
      timeScale: 0.5,
      env: { ...env, LOG_LEVEL: "DEBUG", HOME_OF_SECRETS: "x" },
    });
    const seen = await seenBy(loop);
    expect(seen).toMatchObject({
      OCRLTY_STAGE: "local",
      OCRLTY_TIME_SCALE: "0.5",
      DEBUG_MODE: "1",
      LOG_LEVEL: "DEBUG",
      VLLM_BASE_URL: env.VLLM_BASE_URL,
      S3_BUCKET: "ocrlty",
      S3_ENDPOINT_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      S3_FORCE_PATH_STYLE: "1",
      DATABASE_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      DATABASE_AUTH_TOKEN: expect.any(String),
      API_KEY_PEPPER: readFileSync(join(loop.home, "pepper"), "utf8").trim(),
      WEBHOOK_SECRET: readFileSync(join(loop.home, "webhook-secret"), "utf8").trim(),
    });
    expect(seen).not.toHaveProperty("HOME_OF_SECRETS");
    expect(seen).not.toHaveProperty("VLLM_MODEL");
  });

  test("hides from a function the settings that it is not linked to, as the deployment does", async () => {
    const links = ["bucket"] as const;
    const linked: App = { ...app, functions: { ...app.functions, echo: spec("echo.handler", links) } };
    const pod = { RUNPOD_API_KEY: "key", POD_ID: "pod", RUNPOD_API_URL: "https://api.example.com" };
    const seen = await seenBy(await run({ home: folder(), app: linked, env: { ...env, ...pod } }));
    expect(seen).toMatchObject({ OCRLTY_STAGE: "local", S3_BUCKET: "ocrlty", AWS_REGION: "us-east-1" });
    // No function is linked to the pod: only an operator may switch the GPU.
    for (const name of [
      "DATABASE_URL",
      "API_KEY_PEPPER",
      "VLLM_BASE_URL",
      "WEBHOOK_SECRET",
      ...Object.keys(pod),
    ])
      expect(seen).not.toHaveProperty(name);
  });

  test("keeps its key, pepper and bucket credentials over a restart", async () => {
    const home = folder();
    const first = await run({ home });
    const before = await seenBy(first);
    expect(readFileSync(first.apiKeyPath, "utf8").trim()).toBe(first.apiKey);
    await first.close();
    const second = await run({ home });
    const after = await seenBy(second);
    expect(second.apiKey).toBe(first.apiKey);
    for (const name of ["API_KEY_PEPPER", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "WEBHOOK_SECRET"])
      expect(after[name]).toBe(before[name]);
  });

  test.skipIf(process.platform === "win32")("keeps its secrets from other users", async () => {
    const loop = await run({ home: folder() });
    for (const name of ["api-key", "pepper", "s3-credentials.json"])
      expect(statSync(join(loop.home, name)).mode & 0o777).toBe(0o600);
  });

  test("serves DATA_ROOT, else the home's own folder, as data/shared/ under the prefix", async () => {
    const keysOf = async (loop: Loop) => {
      const seen = await seenBy(loop);
      const client = new S3Client({
        endpoint: seen.S3_ENDPOINT_URL ?? "",
        region: "us-east-1",
        forcePathStyle: true,
        credentials: {
          accessKeyId: seen.S3_ACCESS_KEY_ID ?? "",
          secretAccessKey: seen.S3_SECRET_ACCESS_KEY ?? "",
        },
      });
      const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: seen.S3_BUCKET }));
      client.destroy();
      return (Contents ?? []).map(({ Key }) => Key);
    };
    const pictures = folder();
    writeFileSync(join(pictures, "a.jpg"), "x");
    const warnings: string[] = [];
    const warn = (line: string) => void warnings.push(line);
    const given = { ...env, S3_PREFIX: "/team/", DATA_ROOT: pictures };
    expect(await keysOf(await run({ home: folder(), env: given, warn }))).toEqual(["team/data/shared/a.jpg"]);
    expect(warnings).toEqual([]);

    const home = folder();
    mkdirSync(join(home, "data", "shared"), { recursive: true });
    writeFileSync(join(home, "data", "shared", "b.jpg"), "x");
    expect(await keysOf(await run({ home }))).toEqual(["data/shared/b.jpg"]);
    const gone = { ...env, DATA_ROOT: join(pictures, "gone") };
    expect(await keysOf(await run({ home: folder(), env: gone, warn }))).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining("DATA_ROOT: there is no folder")]);
  });

  test("makes a new key when the file is lost, and revokes the old one", async () => {
    const home = folder();
    const first = await run({ home });
    await first.close();
    rmSync(first.apiKeyPath);
    const second = await run({ home });
    expect(second.apiKey).toMatch(/^ocrlty_/);
    expect(second.apiKey).not.toBe(first.apiKey);
    await second.close();
    // A key that is still valid would be kept.
    writeFileSync(first.apiKeyPath, `${first.apiKey}\n`);
    expect((await run({ home })).apiKey).not.toBe(first.apiKey);
  });

  test("writes its address into its folder while it runs", async () => {
    const loop = await run({ home: folder() });
    const file = join(loop.home, "url");
    expect(readFileSync(file, "utf8").trim()).toBe(loop.url);
    await loop.close();
    expect(existsSync(file)).toBe(false);
  });

  test("refuses a second loop in its folder, and the first goes on", async () => {
    const loop = await run({ home: folder() });
    await expect(run({ home: loop.home })).rejects.toThrow(HeldError);
    expect((await fetch(loop.url)).status).toBe(200);
    expect(existsSync(join(loop.home, "url"))).toBe(true);
  });

  test("reports a wrong pepper and a wrong setting, and releases the folder", async () => {
    const home = folder();
    await (await run({ home })).close();
    await expect(
      run({ home, env: { ...env, API_KEY_PEPPER: "another pepper of 16 and more" } }),
    ).rejects.toThrow("API_KEY_PEPPER is not the one");
    await expect(run({ home, env: { ...env, LOG_FORMAT: "xml" } })).rejects.toThrow(
      "LOG_FORMAT is not valid: it takes json or text",
    );
    await run({ home });
  });

  test("answers calls that come while it starts, when it has started", async () => {
    const home = folder();
    const first = await run({ home });
    const port = Number(new URL(first.url).port);
    await first.close();
    const starting = run({ home, port });
    const early = await vi.waitFor(() => fetch(`http://127.0.0.1:${port}/`), { timeout: 5_000, interval: 5 });
    expect(early.status).toBe(200);
    await starting;
  });

  test("reloads its code and routes without dropping a call in flight", async () => {
    const loop = await run({ home: folder() });
    const slow = fetch(`${loop.url}/http`, {
      method: "POST",
      body: JSON.stringify({ sleepMs: 800 }),
      headers: { "content-type": "application/json" },
    });
    await vi.waitFor(() => expect(loop.lambda.instances().some(({ state }) => state === "busy")).toBe(true));
    await loop.reload({
      functions: { http: spec("echo.http") },
      table: { routes: [], defaultFunction: "http" },
    });
    expect(await (await fetch(`${loop.url}/new`)).json()).toMatchObject({
      routeKey: "$default",
      rawPath: "/new",
    });
    expect((await slow).status).toBe(200);
  });
});

describe("the log", () => {
  test("is JSON lines in the folder; errors are also printed in short", async () => {
    const warnings: string[] = [];
    const loop = await run({ home: folder(), log: "file", warn: (line) => warnings.push(line) });
    await fetch(`${loop.url}/http`, {
      method: "POST",
      body: JSON.stringify({ crash: true }),
      headers: { "content-type": "application/json" },
    });
    const lines = readFileSync(loop.logPath ?? "", "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: "ERROR",
        event: "function_error",
        function: "http",
        error_type: "Runtime.ExitError",
      }),
    );
    expect(warnings).toEqual([
      expect.stringMatching(/^ERROR function_error function=http error_type=Runtime\.ExitError/),
    ]);
  });
});

test("the stand-in model server answers when no other is named, and comes back at its address when it dies", async () => {
  const loop = await run({ home: folder(), env: {} });
  const { VLLM_BASE_URL: url, VLLM_MODEL: model } = await seenBy(loop);
  const models = () => fetch(`${url}/models`).then((response) => response.json());
  expect(await models()).toMatchObject({ data: [expect.objectContaining({ id: model })] });
  const pid = loop.modelPid();
  process.kill(pid ?? 0, "SIGKILL");
  await vi.waitFor(() => expect(loop.modelPid()).not.toBe(pid), { timeout: 10_000 });
  await vi.waitFor(models, { timeout: 10_000 });
});

/** Its messages go to one function, and those that fail to another. */
function queueSpec(name: string, deadLetter: string) {
  const subscription = { batchSize: 1, maxConcurrency: 2, partialResponses: true };
  return {
    fifo: false,
    visibilityTimeoutSeconds: 30,
    retentionSeconds: 3_600,
    maxReceiveCount: 3,
    subscription: { ...subscription, function: name, maxConcurrencySetting: "WORK_MAX_CONCURRENCY" },
    deadLetter: { ...subscription, function: deadLetter },
  };
}

const work: App = {
  functions: { echo: spec("echo.handler"), work: spec("queue.handler"), tick: spec("queue.slow") },
  table: { routes: [], defaultFunction: "echo" },
  queues: { work: queueSpec("work", "absent"), other: queueSpec("absent", "absent") },
  schedules: {
    tick: { function: "tick", rate: "rate(1 minute)" },
    absent: { function: "absent", rate: "rate(1 minute)" },
  },
};
/** The same queues, without the functions of their messages. */
const idle: App = {
  ...work,
  functions: { echo: spec("echo.handler"), deadOnly: spec("queue.handler") },
  queues: { work: queueSpec("absent", "deadOnly") },
};

/** Sends a message as a function of the loop would. */
async function send(loop: Loop, body: object): Promise<void> {
  const { AWS_ENDPOINT_URL_SQS: endpoint, WORK_QUEUE_URL: QueueUrl, AWS_REGION: region } = await seenBy(loop);
  const client = new SQSClient({
    endpoint: endpoint ?? "",
    region: region ?? "",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
  });
  await client.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(body) }));
  client.destroy();
}

test("queues and the clock call the functions that exist; messages that were sent survive the loop", async () => {
  const home = folder();
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const first = await run({ home, app: idle, log });
  await send(first, { name: "sent-before" });
  await first.close();
  const second = await run({
    home,
    app: work,
    log,
    timeScale: 1 / 120,
    env: { ...env, WORK_MAX_CONCURRENCY: "3" },
  });
  await vi.waitFor(() => expect(lines.join("\n")).toContain('"name":"sent-before"'), { timeout: 5_000 });
  await vi.waitFor(() =>
    expect(second.lambda.instances().map(({ functionName }) => functionName)).toEqual(
      expect.arrayContaining(["tick", "work"]),
    ),
  );
  await expect(
    run({ home: folder(), app: work, env: { ...env, WORK_MAX_CONCURRENCY: "1" } }),
  ).rejects.toThrow(
    "WORK_MAX_CONCURRENCY is not valid: it takes a whole number from 2 to 1,000, in digits alone",
  );
});

test("the test helper ends its loop and removes its folder", async () => {
  const loop = await startLoop({ env, app });
  const { body, status } = await loop.call("/http", { json: { hello: "you" } });
  expect({ body, status }).toMatchObject({
    status: 200,
    body: { body: '{"hello":"you"}', headers: { "x-api-key": loop.apiKey } },
  });
  writeFileSync(join(loop.home, "something"), "");
  await loop.close();
  expect(existsSync(loop.home)).toBe(false);
  await expect(fetch(loop.url)).rejects.toThrow("fetch failed");
});

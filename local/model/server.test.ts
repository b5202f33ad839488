import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import OpenAI from "openai";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as FileText from "#core/reading/told/file-text";
import { start } from "#local/model/server";

const samples = new URL("../../samples/", import.meta.url);
const totals = {
  type: "object",
  properties: { total: { type: ["string", "null"] }, tip: { type: ["string", "null"] } },
  required: ["total", "tip"],
  additionalProperties: false,
};
const API_KEY = "test-key";

/** Two rows of a sample: read in a fraction of a second. */
let slip: string;
/** A whole sample, which keeps the engine busy for seconds. */
let long: string;
let server: Awaited<ReturnType<typeof start>>;
let client: OpenAI;

const dataUrl = (bytes: Buffer) => `data:image/jpeg;base64,${bytes.toString("base64")}`;

beforeAll(async () => {
  const lidl = await readFile(new URL("lidl.jpg", samples));
  const { width, height } = await sharp(lidl).metadata();
  const part = { left: 0, top: Math.round(height * 0.34), width, height: Math.round(height * 0.12) };
  slip = dataUrl(await sharp(lidl).extract(part).jpeg().toBuffer());
  long = dataUrl(await readFile(new URL("aldi.jpg", samples)));
  server = await start({ apiKey: API_KEY });
  client = new OpenAI({ baseURL: server.url, apiKey: API_KEY, maxRetries: 0 });
});

afterAll(() => server.close());

function body(picture = slip, extra: object = {}) {
  return {
    model: "local-ocr",
    messages: [
      {
        role: "user" as const,
        content: [
          { type: "text" as const, text: "Copy the total." },
          { type: "image_url" as const, image_url: { url: picture } },
        ],
      },
    ],
    response_format: {
      type: "json_schema" as const,
      json_schema: { name: "totals", schema: totals, strict: true },
    },
    ...extra,
  };
}

function post(payload: unknown, options: { key?: string; url?: string; signal?: AbortSignal } = {}) {
  return fetch(`${options.url ?? server.url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${options.key ?? API_KEY}` },
    body: typeof payload === "string" ? payload : JSON.stringify(payload),
    signal: options.signal ?? null,
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("a chat completion", () => {
  it("fills the schema with what is printed, and null for what is not", async () => {
    const answer = await client.chat.completions.create(body());
    const [choice] = answer.choices;
    expect(choice?.message.content).toBe('{"total":"7,16","tip":null}');
    expect(choice?.finish_reason).toBe("stop");
    expect(answer.model).toBe("local-ocr");
    expect(answer.usage?.prompt_tokens).toBeGreaterThan(100);
    expect(answer.usage?.completion_tokens).toBeGreaterThan(5);
  });

  it("takes text of the file beside a picture in which words are missing", async () => {
    const blank = await sharp({ create: { width: 400, height: 200, channels: 3, background: "#ffffff" } })
      .jpeg()
      .toBuffer();
    const payload = body(dataUrl(blank));
    const text = FileText.said([{ page: 1, lines: ["Noodle house", "Total 8.40"] }], "0".repeat(64)) ?? "";
    const [message] = payload.messages;
    const answer = await client.chat.completions.create({
      ...payload,
      messages: [{ role: "user", content: [...(message?.content ?? []), { type: "text", text }] }],
    });
    expect(answer.choices[0]?.message.content).toBe('{"total":"8.40","tip":null}');
  });

  it("is the same when it is streamed, and ends with the reason, the usage and [DONE]", async () => {
    const response = await post(body(slip, { stream: true, stream_options: { include_usage: true } }));
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const events = (await response.text()).trimEnd().split("\n\n");
    expect(events.pop()).toBe("data: [DONE]");
    const chunks = events.map((event) => JSON.parse(event.slice("data: ".length)));
    const usage = chunks.pop();
    expect(usage).toMatchObject({ choices: [], usage: { total_tokens: expect.any(Number) } });
    expect(chunks.at(-1)?.choices[0].finish_reason).toBe("stop");
    expect(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("")).toBe(
      '{"total":"7,16","tip":null}',
    );
    expect(chunks.length).toBeGreaterThan(4);
  });

  it("gives the engine's own confidence as logprobs of the value, and none for text that follows from the schema", async () => {
    const answer = await client.chat.completions.create(body(slip, { logprobs: true, top_logprobs: 2 }));
    const tokens = answer.choices[0]?.logprobs?.content ?? [];
    expect(tokens.map((token) => token.token).join("")).toBe(answer.choices[0]?.message.content);
    expect(tokens[0]).toMatchObject({ token: "{", logprob: 0 });
    const value = tokens.find((token) => token.token === "7,16");
    expect(Math.exp(value?.logprob ?? 0)).toBeGreaterThan(0.5);
    expect(value?.logprob).toBeLessThan(0);
    expect(value?.top_logprobs).toHaveLength(1);
  });

  it("stops at max_completion_tokens and says so", async () => {
    const answer = await client.chat.completions.create(body(slip, { max_completion_tokens: 3 }));
    expect(answer.choices[0]?.finish_reason).toBe("length");
    expect(answer.usage?.completion_tokens).toBe(3);
  });

  it("gives the recognized text without a schema, and JSON for field names in the prompt", async () => {
    const image = { type: "image_url" as const, image_url: { url: slip } };
    const ask = async (text: string) => {
      const content = [{ type: "text" as const, text }, image];
      const answer = await client.chat.completions.create({
        model: "local-ocr",
        messages: [{ role: "user", content }],
      });
      return answer.choices[0]?.message.content ?? "";
    };
    expect(await ask("What does it say?")).toMatch(/zu zahlen.*7,16/);
    expect(JSON.parse(await ask('Answer JSON with "total" and "change".'))).toMatchObject({ total: "7,16" });
  });

  it("reads every picture of a message", async () => {
    const request = body();
    request.messages[0]?.content.push({ type: "image_url", image_url: { url: slip } });
    const one = await client.chat.completions.create(body());
    const two = await client.chat.completions.create(request);
    expect(two.usage?.prompt_tokens).toBeGreaterThan((one.usage?.prompt_tokens ?? 0) * 1.5);
    expect(JSON.parse(two.choices[0]?.message.content ?? "")).toMatchObject({ total: "7,16" });
  });
});

describe("a refused request has vLLM's status and shape", () => {
  const broken = `data:image/jpeg;base64,${Buffer.from("no picture at all").toString("base64")}`;
  it.each([
    ["broken JSON", "{", 400, /not valid JSON/],
    ["no messages", { model: "local-ocr", messages: [] }, 400, /messages/],
    ["another model", { ...body("data:,"), model: "gpt" }, 404, /The model `gpt` does not exist\./],
    ["bytes that are no picture", () => body(broken), 400, /image/],
    ["an address instead of data", () => body("https://127.0.0.1/receipt.jpg"), 400, /data URL/],
    ["data that is not base64", () => body("data:image/png;base64,%%%%"), 400, /base64/],
    ["top_logprobs alone", () => body(slip, { top_logprobs: 2 }), 400, /logprobs/],
    ["stream options without a stream", () => body(slip, { stream_options: {} }), 400, /stream/],
    ["more than the context", () => body(slip, { max_tokens: 8150 }), 400, /maximum context length is 8192/],
  ])("%s", async (_, payload, status, message) => {
    const response = await post(typeof payload === "function" ? payload() : payload);
    const answer = (await response.json()) as { error: { message: string; code: number; type: string } };
    expect(response.status).toBe(status);
    expect(answer.error).toMatchObject({ code: status, type: expect.any(String) });
    expect(answer.error.message).toMatch(message);
  });

  it("a wrong key is refused under /v1, health is open", async () => {
    expect((await post(body(), { key: "wrong" })).status).toBe(401);
    expect((await fetch(server.url.replace("/v1", "/health"))).status).toBe(200);
    expect(
      (await fetch(`${server.url}/nothing`, { headers: { authorization: `Bearer ${API_KEY}` } })).status,
    ).toBe(404);
  });

  it("the model list names the model and its context", async () => {
    const [model] = (await client.models.list()).data;
    expect(model).toMatchObject({ id: "local-ocr", max_model_len: 8192 });
  });
});

describe("the OCR process", () => {
  it("is replaced after a crash: the request in hand fails with 500, the next one is answered", async () => {
    const failing = post(body(long));
    await until(() => server.ocr().running === 1);
    const pid = server.ocr().pid;
    process.kill(pid ?? 0, "SIGKILL");
    const response = await failing;
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ error: { code: 500, type: "InternalServerError" } });
    const next = await client.chat.completions.create(body());
    expect(next.choices[0]?.message.content).toContain("7,16");
    expect(server.ocr().pid).not.toBe(pid);
  });

  it("refuses at once a request that would wait too long, and says when to retry", async () => {
    const gone = new AbortController();
    const inside = Array.from({ length: 9 }, () => post(body(long), { signal: gone.signal }));
    await until(() => server.ocr().running === 1 && server.ocr().waiting === 8);
    const refused = await post(body());
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    gone.abort();
    await Promise.allSettled(inside);
    await until(() => server.ocr().waiting === 0);
    expect((await post(body())).status).toBe(200);
  });

  it("drops a waiting request whose client has gone and stops a running one", async () => {
    const running = new AbortController();
    const waiting = new AbortController();
    const first = post(body(long), { signal: running.signal });
    await until(() => server.ocr().running === 1);
    const second = post(body(long), { signal: waiting.signal });
    await until(() => server.ocr().waiting === 1);
    waiting.abort();
    await expect(second).rejects.toThrow();
    await until(() => server.ocr().waiting === 0);
    const third = post(body());
    running.abort();
    await expect(first).rejects.toThrow();
    expect((await third).status).toBe(200);
  });

  it("sleeps when idle and wakes for the next picture; closing ends it", async () => {
    const drowsy = await start({ idleSleepMs: 1 });
    try {
      expect((await post(body(), { url: drowsy.url })).status).toBe(200);
      await until(() => drowsy.ocr().pid === undefined);
      expect((await post(body(), { url: drowsy.url })).status).toBe(200);
      expect(drowsy.ocr().starts).toBe(2);
    } finally {
      await drowsy.close();
    }
    expect(drowsy.ocr().pid).toBeUndefined();
  });
});

describe("the server as a process of its own", () => {
  const isAlive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  async function launch(): Promise<{ child: ChildProcess; url: string }> {
    const child = fork(fileURLToPath(new URL("./main.ts", import.meta.url)), [], {
      env: { ...process.env, PORT: "0", NODE_OPTIONS: "" },
      execArgv: ["--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    const [{ url }] = await once(child, "message");
    return { child, url };
  }

  it("ends the OCR process when it is killed, and ends when its parent disconnects", async () => {
    const killed = await launch();
    let log = "";
    killed.child.stderr?.on("data", (data) => {
      log += data;
    });
    const failing = post(body(long), { url: killed.url }).catch(() => undefined);
    const ready = /ocr process (\d+) ready/;
    await until(() => ready.test(log));
    const pid = Number(ready.exec(log)?.[1]);
    killed.child.kill("SIGKILL");
    await failing;
    await until(() => !isAlive(pid));

    const left = await launch();
    left.child.disconnect();
    await once(left.child, "exit");
    expect(left.child.exitCode).toBe(0);
  });
});

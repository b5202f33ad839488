/**
 * What debugging may change about a call, who may use it, and what the docs' commands do with a picture: end to end.
 */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "@libsql/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Database from "#core/db/database";
import * as Key from "#core/key/key";
import { type Answer, type CallOptions, startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";

const fields = {
  total: "12.00",
  subtotal: "10.00",
  tax: "2.00",
  service: null,
  discount: null,
  cash: null,
  card: null,
  change: null,
};
const pepper = "pepper-for-tests-of-debugging";

let loop: TestLoop;
let model: ModelServer.ModelServer;
/** A key without debug:run. */
let client: string;

beforeAll(async () => {
  model = await ModelServer.start({ respond: () => ModelServer.json(fields), maxModelLen: 8192 });
  loop = await startLoop({
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", API_KEY_PEPPER: pepper },
  });
  const db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
  client = (await Key.create(db, pepper, { keyId: "client-1", role: "client" })).api_key;
  db.client.close();
});
afterAll(async () => {
  await loop?.close();
  await model?.close();
});

const call = (path: string, options?: CallOptions) => loop.call(path, options);
const extract = (json: Record<string, unknown>, options: CallOptions = {}) =>
  call("/v1/extract", { ...options, json });
const bodyOf = (answer: Answer) => answer.body as Record<string, unknown>;
const errorOf = (answer: Answer) =>
  (answer.body as { error: { code: string; message: string; details: Record<string, unknown> } }).error;
const issuesOf = (answer: Answer) => errorOf(answer).details.issues as { path: string; message: string }[];

/** Requests that must not reach the model. */
async function withoutModel(run: () => Promise<Answer>): Promise<Answer> {
  const before = model.requests.length;
  const answer = await run();
  expect(model.requests.length).toBe(before);
  return answer;
}

/** How the model was asked, according to the artifact in the bucket. */
async function requestOf(requestId: string): Promise<Record<string, unknown>> {
  const answer = await call(`/v1/debug/artifacts/${requestId}`);
  expect(answer.status).toBe(200);
  return (answer.body as { request: Record<string, unknown> }).request;
}

describe("debug", () => {
  const nullable = { type: ["string", "null"] };
  const object = (properties: Record<string, unknown>) => ({
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  });
  const debug = {
    prompt_override: "Read the total, canary-prompt-4711.",
    schema_override: object({ total: { ...nullable, format: "x-money" }, vendor: nullable }),
    temperature: 0.7,
    max_tokens: 99,
  };
  const answered = { total: "12.00", vendor: "SHOP" };

  test("asks with the caller's prompt, schema, temperature and max_tokens, and checks the answer by that schema", async () => {
    model.respond = () => ModelServer.json(answered);
    const answer = await extract({ image_base64: await base64(51), request_id: "debug-1", debug });
    const sent = model.requests.at(-1);
    expect(sent?.prompt).toBe(debug.prompt_override);
    expect(sent?.body).toMatchObject({ temperature: 0.7, max_tokens: 99 });
    expect(sent?.body.response_format?.json_schema?.schema).toEqual(
      object({ total: nullable, vendor: nullable }),
    );
    expect(answer.body).toMatchObject({
      result: answered,
      schema_ok: true,
      normalized: { total: { value: "12" } },
      checks: [],
    });
    const plain = bodyOf(await extract({ image_base64: await base64(51), request_id: "debug-2" }));
    expect(bodyOf(answer).prompt_sha256).not.toBe(plain.prompt_sha256);
    expect(bodyOf(answer).schema_sha256).not.toBe(plain.schema_sha256);
    expect(await requestOf("debug-1")).toMatchObject({
      temperature: 0.7,
      max_tokens: 99,
      debug,
    });
    expect(await requestOf("debug-2")).not.toHaveProperty("debug");
    model.respond = () => ModelServer.json({ total: "twelve", other: 1 });
    const wrong = bodyOf(await extract({ image_base64: await base64(51), request_id: "debug-3", debug }));
    expect(wrong).toMatchObject({
      status: "succeeded",
      schema_ok: false,
      result: { total: "twelve", other: 1 },
      normalized: {},
    });
    expect((wrong.schema_errors as { path: string }[]).map(({ path }) => path).toSorted()).toEqual([
      "",
      "total",
      "vendor",
    ]);
    model.respond = () => ModelServer.json(fields);
    expect(loop.lines.join("\n")).not.toContain("canary-prompt-4711");
  });

  test("is part of the payload: the same id with other options is a conflict", async () => {
    const json = { image_base64: await base64(52), request_id: "debug-same", debug: { temperature: 0.5 } };
    expect((await extract(json)).status).toBe(200);
    expect((await withoutModel(() => extract(json))).headers.get("idempotent-replayed")).toBe("true");
    for (const other of [{ temperature: 0.6 }, { temperature: 0.5, max_tokens: 300 }, undefined]) {
      expect((await withoutModel(() => extract({ ...json, debug: other }))).status).toBe(409);
    }
  });

  test("is passed on when the call becomes 202", async () => {
    model.respond = () => ModelServer.json(answered);
    const json = { image_base64: await base64(53), request_id: "debug-later", debug };
    expect((await extract(json, { headers: { prefer: "respond-async" } })).status).toBe(202);
    await expect
      .poll(async () => (await call("/v1/extracts/debug-later")).status, { timeout: 15_000 })
      .toBe(200);
    model.respond = () => ModelServer.json(fields);
    const sent = model.requests.at(-1);
    expect(sent?.prompt).toBe(debug.prompt_override);
    expect(sent?.body).toMatchObject({ temperature: 0.7, max_tokens: 99 });
    expect((await call("/v1/extracts/debug-later")).body).toMatchObject({
      schema_ok: true,
      result: answered,
    });
    expect(await requestOf("debug-later")).toMatchObject({ debug });
  });

  test("needs the scope debug:run, even when it is empty", async () => {
    for (const options of [debug, {}]) {
      const answer = await withoutModel(async () =>
        extract({ image_base64: await base64(), debug: options }, { key: client }),
      );
      expect([answer.status, errorOf(answer).code]).toEqual([403, "forbidden"]);
      expect(errorOf(answer).details).toEqual({
        reason: "scope_missing",
        field: "debug",
        required_scopes: ["debug:run"],
      });
    }
  });

  const deep = (depth: number): unknown => (depth === 0 ? nullable : object({ a: deep(depth - 1) }));
  const many = () =>
    object(Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`p${n}`, nullable])));
  const hostile: [string, unknown, string][] = [
    ["an empty schema", { schema_override: {} }, "debug.schema_override"],
    ["10,000 properties", { schema_override: many() }, "debug.schema_override"],
    ["a depth of 100", { schema_override: deep(100) }, "debug.schema_override.properties.a"],
    [
      "a recursive $ref",
      { schema_override: object({ a: { $ref: "#" } }) },
      "debug.schema_override.properties.a",
    ],
    [
      "a catastrophic regular expression",
      { schema_override: object({ a: { type: "string", pattern: "^(4711+)+$" } }) },
      "debug.schema_override.properties.a",
    ],
    ["a schema that is a list", { schema_override: [] }, "debug.schema_override"],
    ["a prompt of 21 KB", { prompt_override: "4711 ".repeat(4_200) }, "debug.prompt_override"],
    ["a temperature of 3", { temperature: 3 }, "debug.temperature"],
    ["no tokens", { max_tokens: 0 }, "debug.max_tokens"],
    ["an unknown option", { seed: 4711 }, "debug.seed"],
  ];
  test.each(hostile)("with %s is refused at once, before anybody is asked", async (_name, options, path) => {
    const startedAt = Date.now();
    const answer = await withoutModel(async () => extract({ image_base64: await base64(), debug: options }));
    expect(Date.now() - startedAt).toBeLessThan(3_000);
    expect([answer.status, errorOf(answer).code]).toEqual([400, "invalid_request"]);
    for (const issue of issuesOf(answer)) expect(issue.path.startsWith(path), issue.path).toBe(true);
    expect(answer.text).not.toContain("4711");
  });

  test("with more max_tokens than the model's context has room for is refused", async () => {
    const answer = await withoutModel(async () =>
      extract({ image_base64: await base64(54), debug: { max_tokens: 9_000 } }),
    );
    expect([answer.status, errorOf(answer).code]).toEqual([400, "invalid_request"]);
  });
});

describe("without DEBUG_MODE", () => {
  let closed: TestLoop;
  beforeAll(async () => {
    closed = await startLoop({ env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", DEBUG_MODE: "0" } });
  });
  afterAll(() => closed?.close());

  test("image_url and debug are refused with the reason, also to an admin; uploads are for everybody", async () => {
    const image_base64 = await base64();
    for (const [field, json] of Object.entries({
      image_url: { image_url: "https://pictures.example/4711.png" },
      debug: { image_base64, debug: { temperature: 1 } },
    })) {
      const answer = await withoutModel(() => closed.call("/v1/extract", { json }));
      expect([answer.status, errorOf(answer).code]).toEqual([403, "forbidden"]);
      expect(errorOf(answer).details).toEqual({ reason: "debug_mode_off", field });
      expect(answer.text).not.toContain("4711");
    }
    expect((await closed.call("/v1/uploads", { json: { mime_type: "image/png", bytes: 9 } })).status).toBe(
      201,
    );
  });
});

describe("the docs' commands, as they are typed", () => {
  const root = dirname(import.meta.dirname);
  const blocksOf = (page: string, from: string) => {
    const text = fs.readFileSync(join(root, page), "utf8").replaceAll("\r\n", "\n");
    const section = text.slice(text.indexOf(`\n## ${from}\n`)).split(/\n## /)[1] ?? "";
    return [...section.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);
  };
  /** The printed lines; undefined without a POSIX shell or curl. */
  async function typed(block: string): Promise<string | undefined> {
    // Address and key are the test's own.
    const commands = block.replace(/^URL=.*$/gm, "");
    const ours = { OCRLTY_URL: loop.url, OCRLTY_API_KEY: loop.apiKey };
    const env = { ...process.env, ...ours, URL: loop.url, KEY: loop.apiKey };
    const shell = promisify(execFile)("sh", ["-ec", `command -v curl >&2 || exit 127\n${commands}`], {
      cwd: root,
      env,
    });
    const ran = await shell.catch((thrown: { code?: unknown; stderr?: string }) => thrown);
    if ("code" in ran && (ran.code === "ENOENT" || ran.code === 127)) return undefined;
    if (!("stdout" in ran)) throw new Error(`it failed: ${JSON.stringify(ran)}`);
    return ran.stdout;
  }

  test("README's first calls send a form and the picture itself", async () => {
    const [first = ""] = blocksOf("README.md", "Call it");
    expect(first).toContain("-F file=@samples/cord-bali.jpg");
    expect(first).toContain("--data-binary @samples/cord-bali.jpg");
    const printed = await typed(first);
    if (printed === undefined) return;
    expect(printed.match(/"request_id":"first-1"/g)).toHaveLength(2);
    expect(printed).toContain('"task_id":"payment_v1"');
    expect(printed).not.toContain('"error"');
  });

  test("the three lines for large files announce a picture, put it and have it read", async () => {
    const [recipe = ""] = blocksOf("docs/large-files.md", "Three lines");
    expect(recipe.trim().split("\n")).toHaveLength(4);
    const printed = await typed(recipe);
    if (printed === undefined) return;
    expect(JSON.parse(printed)).toMatchObject({ request_id: "large-1", status: "succeeded", result: fields });
  });
});

/** Limits of keys, and the answers of `GET /v1/usage`, over HTTP against the whole stack. */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { useLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";

const execute = promisify(execFile);

let model: ModelServer.ModelServer;
const loop = useLoop(async () => {
  model = await ModelServer.start({ model: "scripted" });
  return {
    // Several instances count together; sixteen cold starts would prove nothing more.
    httpInstances: 4,
    env: {
      ...{ VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", GPU_COST_PER_HOUR: "36" },
      CREDENTIALS_EXPIRE: "S3_SECRET_ACCESS_KEY=2021-01-31",
    },
  };
});
afterAll(() => model?.close());
beforeEach(() => {
  model.respond = () => ModelServer.json(fields, { usage: { prompt_tokens: 100, completion_tokens: 10 } });
});

const fields = { total: "12.00", subtotal: "10.00", tax: "2.00" };

/**
 * `keys VERB …` of the command line on the database of the running loop. It runs in a process of its own, as it
 * always does: two SQLite libraries in one process do not see each other's locks.
 */
async function keys(...args: string[]): Promise<Record<string, unknown>> {
  const program = resolve(import.meta.dirname, "../cli/ocrlty.ts");
  const launched = pathToFileURL(resolve(import.meta.dirname, "../scripts/launched.ts")).href;
  const { stdout } = await execute(
    process.execPath,
    [`--import=${launched}`, program, "keys", ...args, "--json", "--db", `${loop().home}/ocrlty.db`],
    { env: { ...process.env, OCRLTY_HOME: loop().home, API_KEY_PEPPER: "" } },
  );
  return JSON.parse(stdout);
}

const newKey = async (keyId: string, ...limits: string[]) =>
  String((await keys("create-key", "--key-id", keyId, "--role", "client", ...limits)).api_key);

const extract = async (key: string, id: string, seed = 1) =>
  loop().call("/v1/extract", { key, json: { image_base64: await base64(seed), request_id: id } });

interface Report {
  items: Record<string, unknown>[];
  total: Record<string, number | null>;
}
const usage = async (key: string, query = "") =>
  (await loop().call(`/v1/usage${query}`, { key })).body as Report;

const errorOf = (answer: { body: unknown }) =>
  (answer.body as { error: { code: string; message: string; details: Record<string, unknown> } }).error;

/** At the end of a day or minute the test would get the allowance of two. */
const leaves = (ms: number, of: number) =>
  vi.waitFor(() => expect(of - (Date.now() % of)).toBeGreaterThan(ms), {
    timeout: ms + 2_000,
    interval: 200,
  });
beforeAll(() => leaves(30_000, 24 * 3_600_000), 40_000);

test("GET /readyz stays 200 when secrets end, and tells only admins which", async () => {
  const key = await newKey("ends", "--expires", "40d");
  await keys("update-key", "--key-id", "ends", "--expires", "9d");
  const [asAdmin, asClient] = [await loop().call("/readyz"), await loop().call("/readyz", { key })];
  expect([asAdmin.status, asClient.status]).toEqual([200, 200]);
  expect(asAdmin.body).toMatchObject({
    ok: true,
    expiries: {
      ok: false,
      settings: [{ name: "S3_SECRET_ACCESS_KEY", expires_at: "2021-01-31T00:00:00.000Z", state: "ended" }],
      keys: [{ name: "ends", days_left: 8 }],
    },
  });
  expect(asClient.body).toMatchObject({ ok: true, checks: { database: { ok: true } } });
  expect(asClient.body).not.toHaveProperty("expiries");
});

test("of 200 parallel calls at 100 a minute exactly 100 succeed; the others get 429 with `Retry-After`", async () => {
  const key = await newKey("minute", "--requests-per-minute", "100");
  await leaves(5_000, 60_000);
  const answers = await Promise.all(Array.from({ length: 200 }, () => loop().call("/v1/me", { key })));
  const refused = answers.filter(({ status }) => status === 429);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
  expect(refused).toHaveLength(100);
  for (const answer of refused) {
    expect(errorOf(answer)).toMatchObject({
      code: "rate_limited",
      details: { limit: "requests_per_minute", allowed: 100 },
    });
    const seconds = Number(answer.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(60);
  }
  // draft-ietf-httpapi-ratelimit-headers-11, in order of arrival: 99 are left after the first, 0 for the refused one.
  const left = answers.map(({ headers }) =>
    Number(/^"requests_per_minute";r=(\d+);t=[1-9]\d?$/.exec(headers.get("ratelimit") ?? "")?.[1]),
  );
  expect(left.toSorted((a, b) => b - a)).toEqual([
    ...Array.from({ length: 100 }, (_, i) => 99 - i),
    ...Array.from({ length: 100 }, () => 0),
  ]);
  for (const { headers } of answers)
    expect(headers.get("ratelimit-policy")).toBe('"requests_per_minute";q=100;w=60');
  expect((await loop().call("/v1/me")).headers.get("ratelimit")).toBeNull();
  // This key may also make the public calls.
  expect((await loop().call("/health", { key })).status).toBe(200);
  expect((await loop().call("/v1/me")).status).toBe(200);
}, 30_000);

test("HEAD has the status and the headers of each GET, and no body; only pages have page headers", async () => {
  const paths = [
    "/health",
    "/docs",
    "/docs/quickstart",
    "/docs/quickstart.md",
    "/openapi.json",
    "/v1/me",
    "/v1/tasks",
    "/v1/runs",
    "/v1/extracts",
    "/v1/runs/none",
    "/v1/none",
  ];
  for (const path of paths) {
    const [head, got] = [await loop().call(path, { method: "HEAD" }), await loop().call(path)];
    expect([head.status, head.text], path).toEqual([got.status, ""]);
    expect(head.headers.get("content-type"), path).toBe(got.headers.get("content-type"));
    for (const { headers } of [head, got]) {
      expect(headers.get("x-content-type-options"), path).toBe("nosniff");
      expect(headers.get("strict-transport-security"), path).toMatch(/max-age/);
      const page = /^\/docs(\/\w+)?$/.test(path);
      for (const name of ["permissions-policy", "cross-origin-opener-policy", "x-frame-options"])
        expect(headers.has(name), `${path} ${name}`).toBe(page);
    }
  }
  const wrong = await loop().call("/v1/me", { method: "DELETE" });
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET,HEAD"]);
});

test("a number in a query is digits, and a cursor holds a time that exists: anything else is 400", async () => {
  const late = Buffer.from('[8640000000000001,"x"]').toString("base64url");
  for (const list of ["/v1/runs", "/v1/extracts", "/v1/debug/artifacts"])
    for (const query of ["limit=1e2", "limit=%201", "limit=0x10", "limit=201", "limit=", `cursor=${late}`])
      expect((await loop().call(`${list}?${query}`)).status, `${list}?${query}`).toBe(400);
});

test("an extract over the day's items is refused, leaves nothing behind and never reaches the model", async () => {
  const key = await newKey("items", "--items-per-day", "1");
  expect((await extract(key, "first")).status).toBe(200);
  const asked = model.requests.length;
  const refused = await extract(key, "second", 2);
  expect(refused.status).toBe(429);
  expect(errorOf(refused)).toMatchObject({
    code: "rate_limited",
    details: { limit: "items_per_day", allowed: 1, used: 1 },
  });
  const seconds = Number(refused.headers.get("retry-after"));
  expect(seconds).toBe(errorOf(refused).details.retry_after_s);
  expect(Math.abs(seconds * 1_000 - (86_400_000 - (Date.now() % 86_400_000)))).toBeLessThan(5_000);
  expect((await loop().call("/v1/extracts/second", { key })).status).toBe(404);
  const day = new Date().toISOString().slice(0, 10);
  const artifact = (id: string) => loop().call(`/v1/debug/artifacts/${id}?key_id=items&date=${day}`);
  expect([(await artifact("first")).status, (await artifact("second")).status]).toEqual([200, 404]);
  // A stored answer is not a new item.
  const replayed = await extract(key, "first");
  expect([replayed.status, replayed.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
  expect(model.requests.length).toBe(asked);
  expect((await usage(key)).total).toMatchObject({ items: 1, model_calls: 1 });
});

test("usage is the sum of the answers: a key's own, or that of all keys for an admin, with a price", async () => {
  const key = await newKey("reader");
  const answers = [await extract(key, "a"), await extract(key, "b", 2)];
  const inferenceMs = answers.reduce(
    (sum, { body }) => sum + (body as { timings_ms: { inference: number } }).timings_ms.inference,
    0,
  );
  const today = new Date().toISOString().slice(0, 10);
  const sums = {
    ...{ items: 2, pages: 2 },
    prompt_tokens: 200,
    completion_tokens: 20,
    model_calls: 2,
    model_seconds: inferenceMs / 1_000,
    image_bytes:
      Buffer.from(await base64(1), "base64").length + Buffer.from(await base64(2), "base64").length,
    cost: inferenceMs / 100_000,
    cost_provisional: false,
  };
  expect(await usage(key)).toMatchObject({
    to: today,
    group_by: "day",
    items: [{ day: today, ...sums }],
    total: sums,
  });
  expect((await usage(key, "?group_by=task")).items).toEqual([{ task_id: "receipt_fields_v1", ...sums }]);
  expect((await usage(loop().apiKey, "?key_id=reader&group_by=key")).items).toEqual([
    { key_id: "reader", ...sums },
  ]);
  const everybody = (await usage(loop().apiKey, "?group_by=key")).items.map((item) => item.key_id);
  expect(everybody).toEqual(expect.arrayContaining(["reader", "items"]));
  expect((await loop().call("/v1/usage?key_id=items", { key })).status).toBe(404);
});

test("an attempt that failed has used the model too; a repeat of it is not a second item", async () => {
  const key = await newKey("failing");
  model.respond = () => ({
    kind: "text",
    text: "no json",
    usage: { prompt_tokens: 5, completion_tokens: 1 },
  });
  const failed = await extract(key, "hard");
  expect([failed.status, errorOf(failed).code]).toEqual([502, "invalid_model_output"]);
  const first = (await usage(key)).total;
  const calls = first.model_calls ?? 0;
  expect(calls).toBeGreaterThan(0);
  expect(first).toMatchObject({ items: 1, prompt_tokens: 5 * calls, completion_tokens: calls });
  model.respond = () => ModelServer.json(fields, { usage: { prompt_tokens: 100, completion_tokens: 10 } });
  expect((await extract(key, "hard")).status).toBe(200);
  expect((await usage(key)).total).toMatchObject({
    items: 1,
    model_calls: calls + 1,
    prompt_tokens: 5 * calls + 100,
    completion_tokens: calls + 10,
  });
});

test.each([
  ["from=2026-13-01", "from"],
  ["from=yesterday", "from"],
  ["to=2026-1-1", "to"],
  ["from=2026-02-01&to=2026-01-01", "from"],
  ["from=2020-01-01&to=2026-01-01", "from"],
  ["group_by=hour", "group_by"],
])("usage?%s is 400 and names the parameter", async (query, path) => {
  const answer = await loop().call(`/v1/usage?${query}`);
  expect(answer.status).toBe(400);
  expect(errorOf(answer)).toMatchObject({ code: "invalid_request", details: { issues: [{ path }] } });
});

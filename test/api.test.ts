import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type * as Database from "#core/db/database";
import * as Key from "#core/key/key";
import * as Routes from "#spec/routes";
import { bodyOf, errorOf, fields, type NewKey, type Rig, start } from "#test/support/api-rig";
import { badBodies } from "#test/support/bad-bodies";
import type { Answer, CallOptions, TestLoop } from "#test/support/loop";
import { mistakes } from "#test/support/mistakes";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64, picture } from "#test/support/pictures";

let rig: Rig;
let loop: TestLoop;
let model: ModelServer.ModelServer;
let db: Database.Db;

beforeAll(async () => {
  rig = await start();
  ({ loop, model, db } = rig);
});
afterAll(() => rig?.close());

const call = (path: string, options?: CallOptions) => loop.call(path, options);
const extract = (json: Record<string, unknown>, options?: CallOptions) => rig.extract(json, options);
const newKey = (keyId: string, more?: NewKey) => rig.newKey(keyId, more);
const withoutModel = <T>(run: () => Promise<T>) => rig.withoutModel(run);

describe("routes that need no key", () => {
  test("GET /health returns version, stage and model, and probes no service", async () => {
    const answer = await call("/health", { key: null });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      ok: true,
      version: "0.1.0",
      stage: "local",
      auth_enabled: true,
      debug_mode: true,
      model: "scripted",
    });
  });

  test("GET /readyz says without a key only whether all is ready, and with a key which service is not", async () => {
    expect((await call("/readyz", { key: null })).body).toEqual({ ok: true });
    const { checks } = bodyOf(await call("/readyz")) as {
      checks: Record<string, { ok: boolean; latency_ms: number }>;
    };
    const { conditional_writes, ...probed } = checks;
    for (const check of Object.values(probed))
      expect(check).toMatchObject({ ok: true, latency_ms: expect.any(Number) });
    expect(Object.keys(probed).toSorted()).toEqual(["database", "model_server", "queue", "storage"]);
    expect(conditional_writes?.ok).toBe(true);
  });

  test("while the database is away /health answers, and /readyz reports the outage although the key cannot be checked", async () => {
    rig.databaseAway = true;
    try {
      const unknown = `ocrlty_00000000_${"y".repeat(43)}`;
      expect((await call("/health", { key: unknown })).status).toBe(200);
      const told = await vi.waitFor(async () => {
        const answer = await call("/readyz", { key: unknown });
        expect(answer.status).toBe(503);
        return bodyOf(answer);
      }, 15_000);
      const database = { ok: false, latency_ms: expect.any(Number), error: "unavailable" };
      expect(told).toMatchObject({ checks: { database, storage: { ok: true } } });
      for (const key of [null, "not-a-key"])
        expect(bodyOf(await call("/readyz", { key }))).toEqual({ ok: false });
    } finally {
      rig.databaseAway = false;
    }
  });
});

describe("keys", () => {
  test("every route that needs a key refuses missing, malformed, unknown, revoked and expired keys with the same answer", async () => {
    const revoked = await newKey("revoked");
    await Key.revoke(db, "revoked");
    const expired = await newKey("expired", { expires: { at: new Date(Date.now() - 1_000) } });
    const unknown = `ocrlty_00000000_${"x".repeat(43)}`;
    const guarded = Routes.routes.filter((route) => route.access !== "public");
    expect(guarded.length).toBeGreaterThanOrEqual(5);
    const messages = new Set<string>();
    for (const { method, path } of guarded) {
      for (const key of ["nonsense", unknown, revoked, expired, null]) {
        const answer = await call(path.replace(/\{\w+\}/, "some-id"), {
          method,
          key,
          ...(method === "GET" ? {} : { json: {} }),
        });
        expect(answer.status, `${method} ${path}`).toBe(401);
        expect(answer.headers.get("www-authenticate")).toBe("Bearer");
        const { code, message } = errorOf(answer);
        expect(code).toBe("unauthorized");
        if (key === null) expect(message).toContain("send the header `Authorization: Bearer YOUR_KEY`");
        else messages.add(message);
      }
    }
    expect([...messages]).toEqual(["this API key is unknown, revoked or expired"]);
  });

  test("GET /v1/me answers who is calling, with either header", async () => {
    const key = await newKey("me-1", { role: "debugger" });
    const scopes = ["extract:run", "debug:run", "extracts:delete"];
    const expected = { key_id: "me-1", role: "debugger", scopes };
    expect((await call("/v1/me", { key })).body).toEqual(expected);
    expect((await call("/v1/me", { key: null, headers: { authorization: `Bearer ${key}` } })).body).toEqual(
      expected,
    );
  });

  test("a key without the scope gets the name of the scope that it needs", async () => {
    const key = await newKey("narrow", { scopes: ["runs:delete"] });
    const answer = await extract({}, { key });
    expect(answer.status).toBe(403);
    expect(errorOf(answer)).toMatchObject({
      code: "forbidden",
      details: { required_scopes: ["extract:run"] },
    });
  });
});

describe("every answer", () => {
  test("has the caller's X-Request-ID, or a new one if that is invalid", async () => {
    const own = await call("/v1/me", { headers: { "x-request-id": "trace-1.a_B" } });
    expect(own.headers.get("x-request-id")).toBe("trace-1.a_B");
    const other = await call("/v1/me", { headers: { "x-request-id": "../etc" } });
    expect(other.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("has security headers and is not cached", async () => {
    for (const path of ["/health", "/nope", "/v1/me"]) {
      const { headers } = await call(path, { key: null });
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("strict-transport-security")).toContain("max-age");
      expect(headers.get("cache-control")).toBe("no-store");
    }
  });

  test("unknown paths are 404 and wrong methods 405, in our own shape", async () => {
    expect(errorOf(await call("/v2/extract"))).toMatchObject({ code: "not_found" });
    const wrong = await call("/v1/extract", { method: "PUT", body: "x" });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("POST");
    expect(errorOf(wrong)).toMatchObject({
      code: "method_not_allowed",
      request_id: wrong.headers.get("x-request-id"),
      doc_url: `${loop.url}/docs/errors#method_not_allowed`,
    });
  });

  test("browsers may call from allowed origins only, errors included", async () => {
    const preflight = await call("/v1/extract", {
      method: "OPTIONS",
      key: null,
      headers: { origin: "https://app.example", "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("X-API-Key");
    const refused = await call("/v1/me", { key: null, headers: { origin: "https://app.example" } });
    const originOf = ({ headers }: Answer) => headers.get("access-control-allow-origin");
    expect([preflight, refused].map(originOf)).toEqual(Array(2).fill("https://app.example"));
    const stranger = await call("/health", { key: null, headers: { origin: "https://evil.example" } });
    expect(stranger.headers.has("access-control-allow-origin")).toBe(false);
    for (const { headers } of [preflight, refused, stranger, await call("/health")])
      expect(headers.get("vary")).toBe("Origin");
  });
});

describe("tasks", () => {
  test("are listed, and shown one by one with the schema that answers are checked against", async () => {
    const { items } = bodyOf(await call("/v1/tasks")) as {
      items: { task_id: string; schema_sha256: string }[];
    };
    expect(items.map((item) => item.task_id)).toContain("receipt_fields_v1");
    for (const { task_id, schema_sha256 } of items) {
      const task = bodyOf(await call(`/v1/tasks/${task_id}`)) as {
        schema: { properties: object };
        schema_sha256: string;
        fields: { path: string }[];
      };
      expect(task.schema_sha256).toBe(schema_sha256);
      expect(task.fields.length).toBeGreaterThan(3);
      expect(Object.keys(task.schema.properties)).toEqual(
        expect.arrayContaining([task.fields[0]?.path.split(/[.[]/)[0]]),
      );
    }
    expect((await call("/v1/tasks/no_such_task")).status).toBe(404);
  });
});

describe("POST /v1/extract", () => {
  test("answers the checked result, and stores an artifact with the record of the attempt", async () => {
    const image = await picture(77);
    const answer = await call("/v1/extract", {
      json: { image_base64: `data:image/png;base64,${image.toString("base64")}`, request_id: "whole-1" },
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      request_id: "whole-1",
      task_id: "receipt_fields_v1",
      status: "succeeded",
      result: fields,
      schema_ok: true,
      normalized: { total: { value: "12" } },
      checks: [{ id: "total_is_sum_of_parts", ok: true }],
      model: "scripted",
      usage: { attempts: 1 },
    });
    const body = bodyOf(answer) as { artifact_rel: string; created_at: string };
    expect(body.artifact_rel).toBe(`extracts/${body.created_at.slice(0, 10)}/local-admin/whole-1.json`);

    const stored = await call("/v1/extracts/whole-1");
    expect(stored.status).toBe(200);
    expect(stored.body).toEqual({ ...body, raw: JSON.stringify(fields) });
  });

  test("asks the model once, with our schema, the picture as it came, and a fixed seed", async () => {
    const before = model.requests.length;
    const image = await picture(78);
    await call("/v1/extract", { json: { image_base64: image.toString("base64") } });
    expect(model.requests.length).toBe(before + 1);
    const sent = model.requests.at(-1);
    expect(sent?.headers.authorization).toBe("Bearer model-key");
    expect(sent?.body).toMatchObject({ model: "scripted", stream: true, temperature: 0, seed: 1 });
    expect(sent?.body.response_format).toMatchObject({
      type: "json_schema",
      json_schema: { name: "receipt_fields_v1", strict: true },
    });
    expect(sent?.images[0]?.bytes.equals(image)).toBe(true);
  });

  test("the same id and payload give the same answer without a second model call; another payload is a conflict", async () => {
    const first = await extract({ request_id: "twice" });
    const again = await withoutModel(() => extract({ request_id: "twice" }));
    expect(again.status).toBe(200);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.body).toEqual(first.body);
    const other = await withoutModel(async () =>
      extract({ request_id: "twice", image_base64: await base64(2) }),
    );
    expect(other.status).toBe(409);
    expect(errorOf(other)).toMatchObject({ code: "conflict", details: { reason: "id_reused" } });
  });

  test("an Idempotency-Key does the same for calls without an id", async () => {
    const headers = { "idempotency-key": "order-4711" };
    const first = await extract({}, { headers });
    const again = await withoutModel(() => extract({}, { headers }));
    expect(again.body).toEqual(first.body);
    expect((await withoutModel(() => extract({ task_id: "payment_v1" }, { headers }))).status).toBe(409);
  });

  test("a repeated X-Request-ID gets an extract of its own: proxies repeat headers", async () => {
    const headers = { "x-request-id": "proxy-1" };
    const first = bodyOf(await extract({}, { headers }));
    const second = bodyOf(await extract({ image_base64: await base64(3) }, { headers }));
    expect(first.request_id).toBe("proxy-1");
    expect(second.request_id).not.toBe("proxy-1");
  });

  test("ids belong to the key: another key's are unknown, and may be used by everyone", async () => {
    const key = await newKey("other-1");
    await extract({ request_id: "mine" });
    expect((await call("/v1/extracts/mine", { key })).status).toBe(404);
    expect((await call("/v1/extracts/mine?key_id=local-admin", { key })).status).toBe(404);
    expect((await extract({ request_id: "mine" }, { key })).status).toBe(200);
    expect((await call("/v1/extracts/mine?key_id=other-1")).status).toBe(200);
    expect(bodyOf(await call("/v1/extracts/mine", { key }))).not.toHaveProperty("raw");
  });

  test("twenty racers on one new id: one model call, and the others get the URL to poll", async () => {
    const before = model.requests.length;
    model.respond = () => ModelServer.json(fields, { delayMs: 300 });
    const json = { image_base64: await base64(9), request_id: "raced" };
    const answers = await Promise.all(Array.from({ length: 20 }, () => call("/v1/extract", { json })));
    model.respond = () => ModelServer.json(fields);
    expect(model.requests.length - before).toBe(1);
    const running = answers.filter((answer) => answer.status === 202);
    expect(answers.filter((answer) => answer.status === 200).length + running.length).toBe(20);
    for (const answer of running) {
      expect(answer.body).toEqual({ request_id: "raced", status: "running", poll_url: "/v1/extracts/raced" });
      expect(answer.headers.get("location")).toBe("/v1/extracts/raced");
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    }
  });

  test("JSON that breaks the schema is kept, and the answer has the errors", async () => {
    model.respond = () => ModelServer.json({ ...fields, total: 12, extra: "x" });
    const answer = await extract({ image_base64: await base64(10) });
    model.respond = () => ModelServer.json(fields);
    expect(answer.status).toBe(200);
    const body = bodyOf(answer) as { schema_ok: boolean; schema_errors: { path: string }[]; result: object };
    expect(body.schema_ok).toBe(false);
    expect(body.schema_errors.map((error) => error.path)).toContain("total");
    expect(body.result).toMatchObject({ total: 12, extra: "x" });
  });

  test("a failure that may be retried is recorded beside the id, and the same call tries again", async () => {
    model.respond = () => ModelServer.text("the total is 12");
    const json = { image_base64: await base64(11), request_id: "second-try" };
    const failed = await call("/v1/extract", { json });
    expect(failed.status).toBe(502);
    expect(errorOf(failed).code).toBe("invalid_model_output");
    expect(errorOf(failed).details.artifact_rel).toMatch(/second-try~attempt-1\.json$/);
    const stored = await call("/v1/extracts/second-try");
    expect(stored.body).toMatchObject({ status: "failed", error: { code: "invalid_model_output" } });
    model.respond = () => ModelServer.json(fields);
    const again = await call("/v1/extract", { json });
    expect(again.status).toBe(200);
    expect(again.headers.get("idempotent-replayed")).toBeNull();
    expect((await call("/v1/extracts/second-try")).body).toMatchObject({ status: "succeeded" });
  });

  test("a picture that is cut off is a final failure: it is recorded, and a repeat gets the same answer without a model call", async () => {
    const image = await picture(12);
    const json = {
      image_base64: image.subarray(0, image.length - 900).toString("base64"),
      request_id: "broken",
    };
    const first = await withoutModel(() => call("/v1/extract", { json }));
    expect(first.status).toBe(400);
    expect(errorOf(first)).toMatchObject({
      code: "invalid_image",
      details: { artifact_rel: expect.stringMatching(/\/broken\.json$/) },
    });
    const again = await call("/v1/extract", { json });
    expect(again.status).toBe(400);
    expect(errorOf(again).message).toBe(errorOf(first).message);
  });
});

describe("bad input", () => {
  test.each(mistakes)(
    "the error says what to change: $name",
    async ({ path = "/v1/extract", options, ...wanted }) => {
      const answer = await withoutModel(async () => call(path, options));
      const { code, message, param, doc_url, details } = errorOf(answer);
      expect({ status: answer.status, message }).toEqual({
        status: wanted.status,
        message: wanted.told + message.slice(wanted.told.length),
      });
      expect(param).toBe(wanted.param);
      if (wanted.reason !== undefined) expect(details).toMatchObject({ reason: wanted.reason });
      expect(doc_url).toBe(`${loop.url}/docs/errors#${code}`);
      expect(answer.text).not.toContain("zq-");
    },
  );

  test.each(badBodies)("%s", async (_name, options, status, code) => {
    const answer = await withoutModel(async () => call("/v1/extract", await options()));
    expect(answer.status).toBe(status);
    expect(errorOf(answer).code).toBe(code);
    expect(errorOf(answer).request_id).toBe(answer.headers.get("x-request-id"));
    // No answer contains the input or internals; a random id may contain any digits.
    expect(answer.text.replace(errorOf(answer).request_id, "")).not.toMatch(
      /4711|node_modules|\.ts:|at .*\(/,
    );
  });

  test("a body over the platform's limit is refused by the gateway, in its words", async () => {
    const answer = await call("/v1/extract", { json: { image_base64: "A".repeat(7_000_000) } });
    expect(answer.status).toBe(413);
    expect(answer.body).toEqual({ message: "Request Entity Too Large" });
  });

  test("hostile ids in paths are not found", async () => {
    for (const id of ["..%2F..%2Fetc", "a~1~2", "%00", "x".repeat(500), "%F0%9F%A7%BE"]) {
      expect((await call(`/v1/extracts/${id}`)).status, id).toBe(404);
    }
  });
});

describe("logs", () => {
  test("each call has a start and an end with its request id and duration, the model call and the bucket too", async () => {
    await extract({ image_base64: await base64(20) }, { headers: { "x-request-id": "logged-1" } });
    await expect
      .poll(() => loop.events("request_end").some((event) => event.request_id === "logged-1"))
      .toBe(true);
    const mine = loop.events().filter((event) => event.request_id === "logged-1");
    expect(mine.map((event) => event.event)).toEqual([
      "request_start",
      "vllm_call_start",
      "vllm_call_end",
      "s3_put",
      "request_end",
    ]);
    for (const event of mine.filter(({ event }) => /_end$|put/.test(String(event))))
      expect(event.duration_ms).toBeTypeOf("number");
  });
});

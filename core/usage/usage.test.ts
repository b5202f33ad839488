import { type SQL, sql } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Database from "#core/db/database";
import type { Principal } from "#core/key/key";
import * as Allowance from "#core/usage/allowance";
import * as Usage from "#core/usage/usage";
import { type KeyLimits, noLimits } from "#spec/key-limits";
import { silent } from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let db: Database.Db;

beforeAll(async () => {
  database = await TestDatabase.start();
  db = database.db;
  await db.client.execute("CREATE TABLE work (id TEXT PRIMARY KEY, items INTEGER NOT NULL)");
});
afterAll(() => database.close());
beforeEach(async () => {
  for (const table of ["usage", "request_count", "work"]) await db.client.execute(`DELETE FROM "${table}"`);
});

const noon = new Date("2026-11-23T12:00:00.000Z");
const user = (limits: Partial<KeyLimits>, keyId = "client-1"): Allowance.User => ({
  keyId,
  limits: { ...noLimits, ...limits },
});
const nothing = { promptTokens: 0, completionTokens: 0, modelCalls: 0, modelMs: 0, imageBytes: 0, pages: 0 };
const always = sql`true`;

const settle = async (calls: Promise<unknown>[]) => {
  const results = await Promise.allSettled(calls);
  return {
    passed: results.filter((result) => result.status === "fulfilled").length,
    errors: results.flatMap((result) => (result.status === "rejected" ? [result.reason] : [])),
  };
};

/** Accepts work of this many items as the creation of a run does: one batch, which is refused as a whole. */
async function accept(who: Allowance.User, id: string, items: number, now = noon): Promise<boolean> {
  const allowed: SQL = Allowance.allows(who, items, now) ?? always;
  const results = await Database.batch(db, [
    Database.statement(sql`INSERT INTO work (id, items) SELECT ${id}, ${items} WHERE ${allowed}`),
    Usage.countItems({ keyId: who.keyId, taskId: "receipt_v1", items, now }, sql`changes() = 1`),
  ]);
  return results[0]?.rowsAffected === 1;
}

async function use(more: Partial<Usage.Used>, now = noon, keyId = "client-1", taskId = "receipt_v1") {
  await Database.batch(db, [Usage.record({ keyId, taskId, ...nothing, ...more, now }, always)]);
}

describe("calls a minute", () => {
  test("of 200 parallel calls at a limit of 100 exactly 100 pass; the others get Retry-After", async () => {
    const limited = user({ requestsPerMinute: 100 });
    const at = new Date("2026-11-23T12:00:20.500Z");
    const { passed, errors } = await settle(
      Array.from({ length: 200 }, () => Allowance.countRequest(db, limited, at)),
    );
    expect(passed).toBe(100);
    expect(errors).toHaveLength(100);
    for (const error of errors) {
      expect(error).toMatchObject({
        code: "rate_limited",
        status: 429,
        retryAfterS: 40,
        details: { limit: "requests_per_minute", allowed: 100, used: 100, retry_after_s: 40 },
      });
    }
  });

  test("the next minute, and another key, start from zero", async () => {
    const one = user({ requestsPerMinute: 1 });
    await Allowance.countRequest(db, one, noon);
    await expect(Allowance.countRequest(db, one, noon)).rejects.toMatchObject({ code: "rate_limited" });
    expect(await Allowance.countRequest(db, user({ requestsPerMinute: 3 }, "client-2"), noon)).toEqual({
      quota: 3,
      left: 2,
      resetS: 60,
    });
    await Allowance.countRequest(db, one, new Date(noon.getTime() + 60_000));
  });

  test("a key without the limit asks the database for nothing", async () => {
    const nowhere = {} as Database.Db;
    await Allowance.countRequest(nowhere, user({ itemsPerDay: 1 }), noon);
    await expect(Allowance.countRequest(nowhere, user({ requestsPerMinute: 1 }), noon)).rejects.toThrow();
  });

  test("counts older than an hour are swept, the others are not", async () => {
    const limited = user({ requestsPerMinute: 1 });
    const before = (minutes: number) => new Date(noon.getTime() - minutes * 60_000);
    for (const minutes of [120, 61, 60, 1, 0]) await Allowance.countRequest(db, limited, before(minutes));
    await Allowance.sweep(db, noon);
    const { rows } = await db.client.execute("SELECT minute FROM request_count ORDER BY minute");
    const minute = noon.getTime() / 60_000;
    expect(rows.map((row) => Number(row.minute) - minute)).toEqual([-60, -1, 0]);
  });
});

describe("items and model seconds a day", () => {
  test("parallel batches never pass a limit together, and each is accepted or refused whole", async () => {
    const limited = user({ itemsPerDay: 95 });
    const accepted = await Promise.all(Array.from({ length: 30 }, (_, i) => accept(limited, `run-${i}`, 10)));
    expect(accepted.filter(Boolean)).toHaveLength(9);
    const { rows } = await db.client.execute(
      "SELECT (SELECT sum(items) FROM work) AS work, (SELECT sum(items) FROM usage) AS used",
    );
    expect(rows[0]).toMatchObject({ work: 90, used: 90 });
    expect(await accept(limited, "too-many", 6)).toBe(false);
    expect(await accept(limited, "fits", 5)).toBe(true);
    expect(await Allowance.refusal(db, limited, 96, noon)).toMatchObject({
      code: "forbidden",
      retryAfterS: undefined,
      details: { limit: "items_per_day", allowed: 95, requested: 96 },
    });
    expect(await Allowance.refusal(db, limited, 1, noon)).toMatchObject({
      code: "rate_limited",
      retryAfterS: 12 * 3_600,
      details: { limit: "items_per_day", allowed: 95, used: 95, requested: 1, retry_after_s: 43_200 },
    });
  });

  test("items of all tasks count together, those of other keys do not", async () => {
    const limited = user({ itemsPerDay: 2 });
    for (const [keyId, taskId] of [
      ["client-1", "payment_v1"],
      ["client-1", "invoice_v1"],
      ["client-2", "invoice_v1"],
    ] as const)
      await Database.batch(db, [Usage.countItems({ keyId, taskId, items: 1, now: noon }, always)]);
    expect(await accept(limited, "third", 1)).toBe(false);
    expect(await accept(user({ itemsPerDay: 2 }, "client-2"), "second", 1)).toBe(true);
  });

  test("a day ends at midnight UTC, and its usage no longer counts", async () => {
    const limited = user({ itemsPerDay: 1, modelSecondsPerDay: 1 });
    const last = new Date("2026-11-23T23:59:59.999Z");
    const first = new Date("2026-11-24T00:00:00.000Z");
    expect(await accept(limited, "a", 1, last)).toBe(true);
    await use({ modelMs: 5_000 }, last);
    expect(await accept(limited, "b", 1, last)).toBe(false);
    expect((await Allowance.refusal(db, limited, 1, last)).retryAfterS).toBe(1);
    expect(await accept(limited, "c", 1, first)).toBe(true);
    expect((await Allowance.refusal(db, limited, 1, first)).retryAfterS).toBe(86_400);
  });

  test("nothing new begins once the model's seconds are used up", async () => {
    const limited = user({ modelSecondsPerDay: 10 });
    await use({ modelMs: 9_999 });
    expect(await accept(limited, "a", 1_000)).toBe(true);
    await use({ modelMs: 1 });
    expect(await accept(limited, "b", 1)).toBe(false);
    expect(await Allowance.refusal(db, limited, 1, noon)).toMatchObject({
      details: { limit: "model_seconds_per_day", allowed: 10, used: 10, retry_after_s: 43_200 },
    });
  });

  test("a key without daily limits has no condition", () => {
    expect(Allowance.allows(user({ requestsPerMinute: 1, maxRunItems: 1 }), 1e6, noon)).toBeUndefined();
  });

  test("days without calls are not recorded", async () => {
    const used = { ...nothing, modelCalls: 1, modelMs: 1 };
    await Database.batch(db, [
      Database.statement(sql`UPDATE work SET items = 1 WHERE id = 'not-there'`),
      Usage.record({ keyId: "client-1", taskId: "receipt_v1", ...used, now: noon }, sql`changes() = 1`),
      Database.statement(sql`UPDATE work SET items = 1 WHERE id = 'not-there'`),
      Usage.countItems({ keyId: "client-1", taskId: "receipt_v1", items: 1, now: noon }, sql`changes() = 1`),
    ]);
    expect((await db.client.execute("SELECT * FROM usage")).rows).toEqual([]);
  });
});

test("a run that is too large is refused without a time to come back", () => {
  const limited = user({ maxRunItems: 100 });
  expect(Allowance.overRunSize(limited, 100)).toBeUndefined();
  expect(Allowance.overRunSize(user({}), 1e6)).toBeUndefined();
  const error = Allowance.overRunSize(limited, 101);
  expect(error).toMatchObject({
    code: "forbidden",
    retry: false,
    retryAfterS: undefined,
    details: { limit: "max_run_items", allowed: 100, requested: 101 },
  });
  expect(error?.details).not.toHaveProperty("retry_after_s");
});

describe("the report of usage", () => {
  const client: Principal = { keyId: "client-1", role: "client", scopes: ["extract:run"], limits: noLimits };
  const admin: Principal = { ...client, keyId: "boss", scopes: ["admin:all_keys"] };
  const asked = {
    ...Usage.period({ from: undefined, to: undefined }, noon),
    groupBy: "day" as const,
    keyId: undefined,
    gpuCostPerHour: undefined,
    log: silent,
  };
  const day = (n: number) => new Date(noon.getTime() - n * 24 * 3_600_000);

  beforeEach(async () => {
    await use({
      promptTokens: 100,
      completionTokens: 10,
      modelCalls: 1,
      modelMs: 1_500,
      imageBytes: 9,
      pages: 3,
    });
    await use({
      promptTokens: 100,
      completionTokens: 10,
      modelCalls: 2,
      modelMs: 2_000,
      imageBytes: 9,
      pages: 1,
    });
    await use({ modelMs: 500, modelCalls: 1 }, day(1), "client-1", "payment_v1");
    await use({ modelMs: 7_000, modelCalls: 1 }, noon, "client-2");
    await use({ modelMs: 1_000_000, modelCalls: 1 }, day(30));
    await accept(user({}), "items", 12);
  });

  test("a key sees its own days, with their sum, and no older ones", async () => {
    const none = {
      items: 0,
      pages: 0,
      prompt_tokens: 0,
      completion_tokens: 0,
      image_bytes: 0,
      cost: null,
      cost_provisional: false,
    };
    const today = {
      items: 12,
      pages: 4,
      prompt_tokens: 200,
      completion_tokens: 20,
      model_calls: 3,
      model_seconds: 3.5,
      image_bytes: 18,
      cost: null,
      cost_provisional: false,
    };
    const report = await Usage.list(db, client, asked);
    expect(report).toEqual({
      from: "2026-10-25",
      to: "2026-11-23",
      group_by: "day",
      items: [
        { day: "2026-11-22", ...none, model_calls: 1, model_seconds: 0.5 },
        { day: "2026-11-23", ...today },
      ],
      total: { ...today, model_calls: 4, model_seconds: 4 },
      unallocated: null,
      stored: { bytes: 0, objects: 0, measured_at: null },
    });
    expect(Usage.Report.parse(report)).toEqual(report);
  });

  test("by task and by key; both ends count; an hour of the GPU has its price", async () => {
    const both = { ...asked, from: "2026-11-22", to: "2026-11-22", gpuCostPerHour: 3_600 };
    expect(await Usage.list(db, client, { ...both, groupBy: "task" })).toMatchObject({
      items: [{ task_id: "payment_v1", model_seconds: 0.5, cost: 0.5 }],
      total: { model_seconds: 0.5, cost: 0.5 },
    });
    expect(await Usage.list(db, admin, { ...asked, groupBy: "key" })).toMatchObject({
      items: [
        { key_id: "client-1", model_seconds: 4 },
        { key_id: "client-2", model_seconds: 7 },
      ],
      total: { model_seconds: 11 },
    });
  });

  test("only the scope admin:all_keys sees another key's, and a key that has used nothing sees nothing", async () => {
    await expect(Usage.list(db, client, { ...asked, keyId: "client-2" })).rejects.toMatchObject({
      code: "not_found",
    });
    expect((await Usage.list(db, client, { ...asked, keyId: "client-1" })).total.model_seconds).toBe(4);
    expect((await Usage.list(db, admin, { ...asked, keyId: "client-2" })).total.model_seconds).toBe(7);
    const nobody = await Usage.list(db, { ...client, keyId: "client-3" }, asked);
    expect(nobody).toMatchObject({ items: [], total: { items: 0, model_seconds: 0 } });
  });

  test("days in the wrong order, or more than 400, are refused", () => {
    expect(Usage.period({ from: "2026-11-24", to: undefined }, day(-1))).toEqual({
      from: "2026-11-24",
      to: "2026-11-24",
    });
    expect(Usage.period({ from: "2024-01-01", to: "2025-02-03" }, noon).from).toBe("2024-01-01");
    for (const [from, to] of [
      ["2026-11-24", "2026-11-23"],
      ["2024-01-01", "2025-02-04"],
    ] as const) {
      expect(() => Usage.period({ from, to }, noon)).toThrow(
        expect.objectContaining({
          code: "invalid_request",
          details: { issues: [expect.objectContaining({ path: "from" })] },
        }),
      );
    }
  });
});

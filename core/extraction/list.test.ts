import { afterAll, beforeAll, expect, test } from "vitest";
import { list } from "#core/extraction/list";
import type { Principal } from "#core/key/key";
import { noLimits } from "#spec/key-limits";
import * as TestBucket from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";
import { extractTable } from "./extract.sql.ts";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;

const start = Date.parse("2026-11-23T12:00:00Z");
const kinds = ["succeeded", "failed", "queued", "running", "retryable"] as const;

beforeAll(async () => {
  database = await TestDatabase.start();
  const row = (i: number, keyId: string, more: Partial<typeof extractTable.$inferInsert> = {}) => ({
    keyId,
    requestId: `r-${String(i).padStart(4, "0")}`,
    taskId: i % 2 === 0 ? "receipt_fields_v1" : "payment_v1",
    payloadHash: "h",
    status: kinds[i % kinds.length] as (typeof kinds)[number],
    // Groups of three extracts have the same time.
    createdAt: new Date(start + Math.floor(i / 3)),
    token: 1,
    leaseUntil: new Date(0),
    ...more,
  });
  const rows = [
    ...Array.from({ length: 50 }, (_, i) => row(i, "a")),
    row(50, "a", { status: "running", leaseUntil: new Date(Date.now() + 60_000) }),
    row(51, "b", { status: "succeeded" }),
  ];
  await database.db.query.insert(extractTable).values(rows);
});
afterAll(() => database.close());

const principal = (keyId: string, scopes: Principal["scopes"] = ["extract:run"]): Principal => ({
  keyId,
  role: "client",
  scopes,
  limits: noLimits,
});

async function all(query: Partial<Parameters<typeof list>[1]>): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await list(database.db, {
      principal: principal("a"),
      log: TestBucket.silent,
      keyId: undefined,
      taskId: undefined,
      status: undefined,
      limit: 7,
      ...query,
      cursor,
    });
    expect(page.items.length).toBeLessThanOrEqual(query.limit ?? 7);
    ids.push(...page.items.map(({ request_id }) => request_id));
    if (page.next_cursor === null) return { ids, pages };
    cursor = page.next_cursor;
  }
}

test("pages show each of the key's extracts once, newest first, and no one else's", async () => {
  const { ids, pages } = await all({});
  expect(ids).toEqual(Array.from({ length: 51 }, (_, i) => `r-${String(50 - i).padStart(4, "0")}`));
  expect(pages).toBe(8);
});

test("status and task filter it; an extract without a worker has failed", async () => {
  const of = async (status: "running" | "succeeded" | "failed") => (await all({ status })).ids.length;
  expect([await of("succeeded"), await of("running"), await of("failed")]).toEqual([10, 11, 30]);
  expect((await all({ taskId: "payment_v1", status: "succeeded" })).ids).toHaveLength(5);
});

test("only admin:all_keys reads another key's list, and invalid cursors are reported", async () => {
  await expect(all({ keyId: "b" })).rejects.toMatchObject({ code: "not_found" });
  const admin = principal("a", ["admin:all_keys"]);
  expect((await all({ keyId: "b", principal: admin })).ids).toEqual(["r-0051"]);
  const query = { principal: admin, log: TestBucket.silent, keyId: undefined, taskId: undefined };
  for (const place of ["", "x", '[8640000000000001,"r"]', '[-1,"r"]', "[1]", "null"]) {
    const cursor = Buffer.from(place).toString("base64url");
    await expect(
      list(database.db, { ...query, status: undefined, limit: 1, cursor }),
      place,
    ).rejects.toMatchObject({ code: "invalid_request" });
  }
});

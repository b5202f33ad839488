import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Database from "#core/db/database";
import * as Claim from "#core/extraction/claim";
import { extractTable } from "#core/extraction/extract.sql";
import * as Row from "#core/extraction/row";
import * as Turn from "#core/extraction/turn";
import { noLimits } from "#spec/key-limits";
import * as TestDatabase from "#test/support/test-database";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
beforeAll(async () => {
  database = await TestDatabase.start();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.db.query.delete(extractTable);
});

const at = (ms: number) => new Date(Date.now() + ms);
const minuteMs = 60_000;

type Given = Partial<typeof extractTable.$inferInsert>;
/** Extracts of one key, each in line a millisecond longer than the next. */
async function given(keyId: string, count: number, more: Given = {}): Promise<void> {
  const rows = Array.from({ length: count }, (_, i) => ({
    ...{ keyId, requestId: `${more.status ?? "queued"}-${i}`, taskId: "receipt_v1", payloadHash: "hash" },
    ...{ status: "queued" as const, createdAt: at(-minuteMs), token: 1, leaseUntil: at(-minuteMs) },
    notBefore: at(-minuteMs + i),
    input: {
      ...{ source: "inline" as const, declaredMimeType: null, objectKey: "k", etag: null },
      ...{ temporary: true, debug: null, principalRole: "client" },
    },
    ...more,
  }));
  await database.db.query.insert(extractTable).values(rows);
}
const inFlight = (keyId: string, count: number, leaseUntil = at(minuteMs)) =>
  given(keyId, count, { status: "running", leaseUntil });

/** The extract that a message of this extract leads to, as `key/request`. */
async function taken(keyId: string, requestId = "queued-0"): Promise<string | undefined> {
  const { row } = await Claim.claimQueued(database.db, { keyId, requestId }, at(minuteMs));
  return row && `${row.keyId}/${row.requestId}`;
}

describe("whose turn it is", () => {
  test("is the key's with the fewest in flight, whichever extract the message was sent for", async () => {
    await given("large", 60);
    await inFlight("large", 3);
    await given("small", 1);
    expect(await taken("large", "queued-7")).toBe("small/queued-0");
    expect(await taken("small")).toBe("large/queued-0");
  });

  test("alternates between keys: of 60 of one key and 3 of another those 3 are among the first 6", async () => {
    await given("large", 60);
    await given("small", 3);
    const first = [];
    for (let i = 0; i < 6; i += 1) first.push(await taken("large", `queued-${i}`));
    expect(first.filter((each) => each?.startsWith("small/"))).toHaveLength(3);
  });

  test("is all of one key's while no other key waits, the longest in line first", async () => {
    await given("only", 3);
    await inFlight("only", 10);
    const order = [await taken("only", "queued-2"), await taken("only", "queued-2"), await taken("only")];
    expect(order).toEqual(["only/queued-0", "only/queued-1", "only/queued-2"]);
    expect(await taken("only")).toBeUndefined();
  });

  test("belongs first to an extract whose worker died", async () => {
    await given("waiting", 5);
    await inFlight("dead", 1, at(-1));
    expect(await taken("waiting")).toBe("dead/running-0");
    expect(await Row.find(database.db, "dead", "running-0")).toMatchObject({ token: 2, claims: 1 });
  });

  test("does not come before its time, apart from the difference between clocks", async () => {
    await given("later", 1, { notBefore: at(10_000) });
    expect(await taken("later")).toBeUndefined();
    await given("soon", 1, { notBefore: at(500) });
    expect(await taken("soon")).toBe("soon/queued-0");
  });

  test("skips extracts that wait for the model server; only its own message starts one, since it may be faster than the row", async () => {
    await given("away", 2, { waitingFor: "model_server" });
    await given("other", 1);
    expect(await taken("away", "queued-1")).toBe("other/queued-0");
    expect(await taken("other")).toBeUndefined();
    expect(await taken("away", "queued-1")).toBe("away/queued-1");
  });

  test("comes for an extract that an older version queued, by its own message", async () => {
    await given("old", 1, { notBefore: null });
    expect(await taken("old")).toBe("old/queued-0");
  });

  test("comes for an answer that waits for the bucket, by any message", async () => {
    await given("kept", 1);
    const leaseUntil = at(minuteMs);
    const { row } = await Claim.claimQueued(
      database.db,
      { keyId: "kept", requestId: "queued-0" },
      leaseUntil,
    );
    const ending = { status: "queued", artifactRel: null, pendingArtifact: "{}" } as const;
    const error = { errorCode: "storage_unavailable", errorMessage: "away" } as const;
    await Row.commit(database.db, row as Row.Row, { ...ending, ...error }, undefined);
    expect(await taken("another")).toBe("kept/queued-0");
  });

  test("is never given twice: twenty workers at once take twenty extracts", async () => {
    for (const key of ["a", "b", "c"]) await given(key, 10);
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => taken("a", `queued-${i % 10}`)));
    expect(new Set(all).size).toBe(20);
    expect(all).not.toContain(undefined);
  });
});

test("the choice reads one row a key in line and those in flight, however many there are", async () => {
  await given("a", 2);
  const turn = Turn.next({ keyId: "a", requestId: "queued-0" }, Date.now());
  const { sql, params } = Database.statement(turn).toSQL();
  const plan = await database.db.client.execute({
    sql: `EXPLAIN QUERY PLAN SELECT ${sql}`,
    args: params as (string | number)[],
  });
  const details = plan.rows.map(({ detail }) => String(detail));
  expect(
    details.filter((detail) => /^SCAN extract(?! USING (COVERING )?INDEX extract_in_)/.test(detail)),
  ).toEqual([]);
  expect(details.join("\n")).toContain("extract_in_line");
  expect(details.join("\n")).toContain("extract_in_flight");
});

test("hand-overs are counted by key: another key's slow pictures hand nothing of ours over", async () => {
  await given("slow", 9, { handedOverAt: at(-1) });
  const outlook = async (keyId: string) => {
    const wish = { keyId, requestId: "new", taskId: "t", payloadHash: "h", leaseUntil: at(minuteMs) };
    const how = { mustBeNew: false, handoverWindowMs: minuteMs, limits: noLimits };
    const { outlook: seen } = await Claim.claim(database.db, wish, how);
    await database.db.query
      .delete(extractTable)
      .where(and(eq(extractTable.keyId, keyId), eq(extractTable.requestId, "new")));
    return seen.recentHandovers;
  };
  expect(await outlook("slow")).toBe(9);
  expect(await outlook("quick")).toBe(0);
});

import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Claim from "#core/extraction/claim";
import * as Row from "#core/extraction/row";
import type { Used } from "#core/usage/usage";
import { usageTable } from "#core/usage/usage.sql";
import { type KeyLimits, noLimits } from "#spec/key-limits";
import * as TestDatabase from "#test/support/test-database";
import { extractTable } from "./extract.sql.ts";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;

beforeAll(async () => {
  database = await TestDatabase.start();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.db.query.delete(extractTable);
  await database.db.query.delete(usageTable);
});

const later = () => new Date(Date.now() + 60_000);
type Wish = Parameters<typeof Claim.claim>[1];
const wish = (requestId: string, more: Partial<Wish> = {}): Wish => ({
  keyId: "client-1",
  requestId,
  taskId: "receipt_v1",
  payloadHash: "hash",
  leaseUntil: later(),
  ...more,
});
const claim = (wanted: Wish, limits: Partial<KeyLimits> = {}, mustBeNew = false) =>
  Claim.claim(database.db, wanted, {
    mustBeNew,
    handoverWindowMs: 60_000,
    limits: { ...noLimits, ...limits },
  });
const ours = async (wanted: Wish, limits: Partial<KeyLimits> = {}): Promise<Row.Row> => {
  const { claim: got } = await claim(wanted, limits);
  if (got?.kind !== "ours") throw new Error(`it is ${got?.kind}`);
  return got.row;
};
const used = async () => {
  const rows = await database.db.query.select().from(usageTable).where(eq(usageTable.keyId, "client-1"));
  const { keyId: _, day: __, taskId: ___, ...sums } = rows[0] ?? { keyId: "", day: "", taskId: "" };
  expect(rows.length).toBeLessThan(2);
  return sums;
};
const spent: Used = {
  promptTokens: 100,
  completionTokens: 10,
  modelCalls: 1,
  modelMs: 1_500,
  imageBytes: 7,
  pages: 1,
};
const succeeded: Row.Ending = { status: "succeeded", artifactRel: "a", schemaOk: true };
const failed = (status: "failed" | "retryable" | "queued"): Row.Ending => ({
  status,
  artifactRel: null,
  errorCode: "inference_failed",
  errorMessage: "no",
});

test("of twenty calls at once under a limit of eight in flight, eight begin, the others are told to retry in a second, and a repeat is recognized", async () => {
  const limits = { maxInFlight: 8 };
  const calls = Array.from({ length: 20 }, (_, i) => claim(wish(`f-${i}`), limits));
  const results = await Promise.allSettled(calls);
  const begun = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.claim] : []));
  expect(begun.map((each) => each?.kind)).toEqual(Array(8).fill("ours"));
  const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  for (const error of refused)
    expect(error).toMatchObject({
      ...{ code: "rate_limited", retryAfterS: 1 },
      details: { limit: "max_in_flight", allowed: 8 },
    });
  expect((await claim(wish(begun[0]?.row.requestId ?? ""), limits)).claim?.kind).toBe("running");
  if (begun[0] !== undefined) await Row.commit(database.db, begun[0].row, succeeded, spent);
  expect((await claim(wish("f-next"), limits)).claim?.kind).toBe("ours");
  expect((await claim(wish("another", { keyId: "client-2" }), limits)).claim?.kind).toBe("ours");
});

describe("a key's daily limits", () => {
  test("of 200 parallel extracts at 100 a day exactly 100 get a row and are counted", async () => {
    const calls = Array.from({ length: 200 }, (_, i) => claim(wish(`r-${i}`), { itemsPerDay: 100 }));
    const results = await Promise.allSettled(calls);
    const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(100);
    expect(new Set(refused.map(({ code, details }) => `${code} ${details.limit}`))).toEqual(
      new Set(["rate_limited items_per_day"]),
    );
    expect(refused[0]?.retryAfterS).toBeGreaterThan(0);
    expect(await database.db.query.select().from(extractTable)).toHaveLength(100);
    expect(await used()).toMatchObject({ items: 100 });
  });

  test("a parallel call for a claimed id, a replay, a conflict and a repeat are not counted and not refused", async () => {
    const limits = { itemsPerDay: 1 };
    const racers = await Promise.all(Array.from({ length: 10 }, () => claim(wish("r-1"), limits)));
    expect(racers.map((racer) => racer.claim?.kind).sort()).toEqual(
      [...Array(9).fill("running"), "ours"].sort(),
    );
    const mine = racers.find((racer) => racer.claim?.kind === "ours")?.claim?.row as Row.Row;
    await expect(claim(wish("r-1", { payloadHash: "other" }), limits)).rejects.toMatchObject({
      code: "conflict",
    });
    expect((await claim(wish("r-1"), limits, true)).claim).toBeUndefined();
    await Row.commit(database.db, mine, failed("retryable"), undefined);
    const again = await ours(wish("r-1"), limits);
    expect(again.token).toBe(2);
    await Row.commit(database.db, again, succeeded, undefined);
    expect((await claim(wish("r-1"), limits)).claim?.kind).toBe("ended");
    expect(await used()).toMatchObject({ items: 1 });
    for (const mustBeNew of [false, true])
      await expect(claim(wish("r-2"), limits, mustBeNew)).rejects.toMatchObject({ code: "rate_limited" });
    expect(await Row.find(database.db, "client-1", "r-2")).toBeUndefined();
  });

  test("once the model's seconds are used up, a new extract and a repeat are refused; an answer that waits in its row is not", async () => {
    const limits = { modelSecondsPerDay: 1 };
    const first = await ours(wish("r-1"), limits);
    const second = await ours(wish("r-2"), limits);
    const third = await ours(wish("r-3", { leaseUntil: new Date(Date.now() - 1) }), limits);
    await Row.commit(database.db, first, failed("retryable"), spent);
    await Row.commit(
      database.db,
      second,
      { ...failed("retryable"), pendingArtifact: "{}" } as Row.Ending,
      undefined,
    );
    for (const id of ["r-1", "r-3", "r-4"]) {
      await expect(claim(wish(id), limits)).rejects.toMatchObject({
        code: "rate_limited",
        details: { limit: "model_seconds_per_day", allowed: 1, used: 1.5 },
      });
    }
    const left = await Row.find(database.db, "client-1", "r-3");
    expect(left?.token).toBe(third.token);
    expect((await ours(wish("r-2"), limits)).pendingArtifact).toBe("{}");
    expect((await ours(wish("r-1"))).token).toBe(2);
  });
});

describe("what the model was asked for", () => {
  const sums = (times: number, items: number) => ({
    items,
    promptTokens: 100 * times,
    completionTokens: 10 * times,
    modelCalls: times,
    modelMs: 1_500 * times,
    imageBytes: 7 * times,
    pages: times,
  });

  test("is counted with every ending, hand-over and requeue, in the same batch", async () => {
    for (const [i, ending] of [succeeded, failed("failed"), failed("retryable")].entries())
      await Row.commit(database.db, await ours(wish(`r-${i}`)), ending, spent);
    expect(await used()).toEqual(sums(3, 3));
    const row = await ours(wish("queued"));
    const input = {
      source: "inline" as const,
      declaredMimeType: null,
      objectKey: "k",
      etag: null,
      temporary: true,
      debug: null,
      principalRole: "client",
    };
    await Row.enqueue(database.db, row, input, { cutOff: true, waitingFor: null, used: spent });
    expect(await used()).toEqual(sums(4, 4));
    const { row: queued } = await Claim.claimQueued(
      database.db,
      { keyId: "client-1", requestId: "queued" },
      later(),
    );
    const how = { countAttempt: true, suspect: false, notBefore: null, waitingFor: null, used: spent };
    expect(await Row.requeue(database.db, queued as Row.Row, how)).toBe(true);
    expect(await used()).toEqual(sums(5, 4));
  });

  test("is not counted by a worker that lost its token", async () => {
    const lost = await ours(wish("r-1", { leaseUntil: new Date(Date.now() - 1) }));
    const holder = await ours(wish("r-1"));
    expect(await Row.commit(database.db, lost, succeeded, spent)).toBe(false);
    expect(await used()).toEqual(sums(0, 1));
    expect(await Row.commit(database.db, holder, succeeded, spent)).toBe(true);
    expect(await used()).toEqual(sums(1, 1));
  });
});

describe("a worker's lease", () => {
  const queued = async (requestId: string) => {
    const row = await ours(wish(requestId));
    await database.db.query
      .update(extractTable)
      .set({
        status: "queued",
        input: {
          ...{ source: "inline" as const, declaredMimeType: null, objectKey: "k", etag: null },
          ...{ temporary: true, debug: null, principalRole: "client" },
        },
      })
      .where(eq(extractTable.requestId, row.requestId));
    return (leaseUntil: Date) =>
      Claim.claimQueued(database.db, { keyId: "client-1", requestId }, leaseUntil).then(
        ({ row: got }) => got,
      );
  };
  const leaseOf = async (requestId: string) =>
    (await Row.find(database.db, "client-1", requestId))?.leaseUntil.getTime();

  test("is renewed while the worker has the extract, and no other worker gets it", async () => {
    const take = await queued("r-1");
    const row = (await take(new Date(Date.now() + 30))) as Row.Row;
    const until = later();
    expect(await Row.renew(database.db, row, until)).toBe(true);
    expect(await leaseOf("r-1")).toBe(until.getTime());
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(await take(later())).toBeUndefined();
  });

  test.each([
    [
      "was taken over",
      async (take: (until: Date) => Promise<Row.Row | undefined>) => void (await take(later())),
    ],
    [
      "was put back",
      async (_take: unknown, row: Row.Row) => {
        const how = { countAttempt: false, suspect: false, notBefore: null, waitingFor: null };
        await Row.requeue(database.db, row, how);
      },
    ],
    [
      "has ended",
      async (_take: unknown, row: Row.Row) => {
        await Row.commit(database.db, row, succeeded, undefined);
      },
    ],
  ])("is not moved any more when the extract %s", async (_what, change) => {
    const take = await queued("r-1");
    const row = (await take(new Date(Date.now() - 1))) as Row.Row;
    await change(take, row);
    const before = await leaseOf("r-1");
    expect(await Row.renew(database.db, row, new Date(Date.now() + 600_000))).toBe(false);
    expect(await leaseOf("r-1")).toBe(before);
  });
});

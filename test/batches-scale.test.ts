import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Window from "#core/run/dispatch/window";
import { product } from "#local/app";
import { type Batches, open, seed } from "#test/support/batches/batches";
import * as TestDatabase from "#test/support/test-database";

/** The functions' requests, as they reached the servers. */
interface Counted {
  sql: number;
  statements: number;
  puts: number;
  s3: number;
  sqs: number;
}

const counted: Counted = { sql: 0, statements: 0, puts: 0, s3: 0, sqs: 0 };
let batches: Batches;
let keys: string[];

beforeAll(async () => {
  batches = await open({
    env: { ITEM_MAX_CONCURRENCY: "4" },
    // Without the schedule, whose queries would be counted.
    app: { ...product, schedules: {} },
    onRequest: {
      sql: ({ statements }) => {
        counted.sql += 1;
        counted.statements += statements;
      },
      s3: ({ operation }) => {
        counted.s3 += 1;
        if (operation === "PutObject") counted.puts += 1;
      },
      sqs: ({ byFunction }) => {
        if (byFunction) counted.sqs += 1;
      },
    },
  });
  keys = await batches.keys(1);
});
afterAll(async () => {
  await batches?.close();
});

/** The cost per item of a run of this size, including its planning and end. */
async function costs(items: number): Promise<Counted> {
  const runId = `costs-${items}`;
  const before = { ...counted };
  await batches.seed({ runId, total: items, concurrency: 4, key: keys[0] ?? "" });
  // Read from the file itself, because polls of the API would be counted.
  await vi.waitFor(async () => expect((await batches.row(runId)).state).toBe("succeeded"), {
    timeout: 25_000,
    interval: 50,
  });
  expect(await batches.row(runId)).toMatchObject({ succeeded: items, total: items });
  const each = (name: keyof Counted) => (counted[name] - before[name]) / items;
  return {
    ...{ sql: each("sql"), statements: each("statements") },
    ...{ puts: each("puts"), s3: each("s3"), sqs: each("sqs") },
  };
}

describe("an item's operations", () => {
  test("do not grow when a run is four times as large, and stay within their bounds", {
    timeout: 60_000,
  }, async () => {
    const small = await costs(40);
    const large = await costs(160);
    for (const name of Object.keys(counted) as (keyof Counted)[])
      expect(large[name] / small[name], name).toBeLessThanOrEqual(1.05);
    expect(large.sql).toBeLessThanOrEqual(3);
    // One put for the item; the few others are for the run's results.
    expect(large.puts).toBeLessThanOrEqual(1.05);
    expect(large.sqs).toBeLessThanOrEqual(2.2);
  });
});

describe("a message that was sent", () => {
  test("is recorded by its item's primary key, however many items wait", async () => {
    const database = await TestDatabase.start();
    try {
      const total = 20_000;
      await seed(database.db, { runId: "large", total, concurrency: 64, key: "any" });
      const statements: Parameters<typeof database.db.client.batch>[0] = [];
      const client = new Proxy(database.db.client, {
        get: (target, name) => {
          if (name !== "batch") return Reflect.get(target, name, target) as unknown;
          return (...given: Parameters<typeof target.batch>) => {
            statements.push(...given[0]);
            return target.batch(...given);
          };
        },
      });
      const runUid = "seed_large";
      const message = { run_uid: runUid, epoch: 7, seq: 0 };
      await Window.note({ ...database.db, client }, { runUid, epoch: 7 }, [
        { ...message, index: 3, slot: 2 },
        { ...message, index: total - 1, slot: 5 },
        // Sent under another number, because the item was requeued.
        { ...message, index: 4, seq: 1, slot: 5 },
      ]);
      const noted = await database.db.client.execute(
        "SELECT idx, slot FROM item WHERE sent_epoch = 7 ORDER BY idx",
      );
      expect(noted.rows.map(({ idx, slot }) => [idx, slot])).toEqual([
        [3, 2],
        [total - 1, 5],
      ]);
      expect(statements).toHaveLength(1);
      const { sql, args } = statements[0] as { sql: string; args: never[] };
      const plan = await database.db.client.execute({ sql: `EXPLAIN QUERY PLAN ${sql}`, args });
      const ways = plan.rows.map(({ detail }) => String(detail)).filter((line) => /\bitem\b/.test(line));
      expect(ways).toEqual([expect.stringContaining("(run_uid=? AND idx=?)")]);
    } finally {
      await database.close();
    }
  });
});

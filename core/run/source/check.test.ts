import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keyTable } from "#core/key/key.sql";
import { type RunRow, runTable } from "#core/run/run.sql";
import { usageTable } from "#core/usage/usage.sql";
import { callerOf, client, failure, open, type Stores, silent } from "#test/support/run-stores";
import * as Check from "./check.ts";
import * as Create from "./create.ts";

let stores: Stores;
beforeAll(async () => {
  stores = await open();
  await stores.bucket.put("data/shared/a.png", "a");
});
afterAll(() => stores?.close());

type Sizes = typeof Check.sizes;
const small: Sizes = { lines: 4, bytes: 1024 * 1024, taken: 4, removed: 5 };
/** More than a call reads; blank lines do not count. */
const filler = `${" ".repeat(60_000)}\n`.repeat(18);
const line = (i: number, more: object = {}) =>
  JSON.stringify({ custom_id: `c${i}`, file: `f${i}.png`, image_key: "shared/a.png", ...more });
const lines = (n: number) =>
  Array.from({ length: n }, (_, i) => line(i, i === 3 ? { tags: { store: "ü 3" } } : {}));

let ids = 0;
/** A run whose manifest is checked by the planner. */
async function planned(text: string, keyId = "key-1", more: object = {}): Promise<RunRow> {
  ids += 1;
  const manifest_ref = await stores.upload(`${text}\n${filler}`, { kind: "manifest", keyId });
  const body = { run_id: `planned-${ids}`, manifest_ref, ...more };
  const { run } = await Create.create(stores.services, silent, Create.parse(body), callerOf(client(keyId)));
  expect(run).toMatchObject({ state: "planning", total: 0, startedAt: null });
  return run;
}
const step = (row: RunRow, sizes: Sizes = small, deadline = Date.now() + 20_000) =>
  Check.step(stores.services, row, { deadline, chunk: sizes }, silent);
const now = (row: RunRow) => stores.run(row.runId, row.keyId);
const past = () => Date.now() - 1;

/** All statements are executed; the nth write batch is interrupted before or after it took effect. */
function cutting(nth: number, when: "before" | "after"): Stores["services"] {
  const { db } = stores.services;
  let writes = 0;
  const client = new Proxy(db.client, {
    get: (target, name) => {
      if (name !== "batch") return Reflect.get(target, name, target) as unknown;
      return async (...given: Parameters<typeof target.batch>) => {
        const cut = given[1] === "write" && ++writes === nth;
        if (cut && when === "before") throw new Error("killed");
        const results = await target.batch(...given);
        if (cut) throw new Error("killed");
        return results;
      };
    },
  });
  return { ...stores.services, db: { ...db, client } };
}

describe("a manifest that is checked by the planner", () => {
  test("without mistakes: its rows are in order, its run starts, and its items are counted once", async () => {
    const row = await planned(`\uFEFF${lines(11).join("\r\n")}`, "key-clean");
    expect(await step(row)).toBe("done");
    const started = await now(row);
    expect(started).toMatchObject({ state: "running", total: 11, planning: null });
    expect(started.startedAt).not.toBeNull();
    const items = await stores.items(row.runUid);
    expect(items.map(({ customId }) => customId)).toEqual(Array.from({ length: 11 }, (_, i) => `c${i}`));
    expect(items.map(({ index }) => index)).toEqual(Array.from({ length: 11 }, (_, i) => i));
    expect(items.map(({ tags }) => tags)).toEqual(items.map((_, i) => (i === 3 ? { store: "ü 3" } : null)));
    expect(items.every(({ etag }) => etag === items[0]?.etag && etag !== null)).toBe(true);
    const usage = stores.services.db.query.select().from(usageTable);
    expect(await usage.where(eq(usageTable.keyId, "key-clean"))).toMatchObject([{ items: 11 }]);
    expect(await step(started)).toBe("done");
  });

  test("killed before or after any write and begun again, its rows are there exactly once", async () => {
    for (const when of ["before", "after"] as const) {
      let kills = 0;
      for (let nth = 1; ; nth += 1) {
        const row = await planned(`${lines(10).join("\n")}\n`);
        const killed = await Check.step(
          cutting(nth, when),
          row,
          { deadline: Date.now() + 20_000, chunk: small },
          silent,
        ).then(
          () => false,
          () => true,
        );
        expect(await step(await now(row))).toBe("done");
        expect(await now(row)).toMatchObject({ state: "running", total: 10 });
        expect((await stores.items(row.runUid)).map(({ file }) => file)).toEqual(
          Array.from({ length: 10 }, (_, i) => `f${i}.png`),
        );
        if (!killed) break;
        kills += 1;
      }
      // Three chunks with lines, one of blank lines, and the start.
      expect(kills).toBeGreaterThanOrEqual(4);
    }
  });

  test("stops at its deadline and goes on where it was, and two steps at once insert nothing twice", async () => {
    const row = await planned(lines(9).join("\n"));
    let steps = 0;
    for (let outcome = "more"; outcome === "more"; steps += 1) {
      const before = await now(row);
      const planning = before.planning as { offset?: number } | null;
      // The deadline passes during the first chunk.
      const [one, two] = await Promise.all([
        step(before, small, Date.now() + 1),
        step(before, small, Date.now() + 1),
      ]);
      expect(["more", "done"]).toContain(two);
      outcome = (await now(row)).state === "planning" ? "more" : one;
      const after = (await now(row)).planning as { offset?: number } | null;
      if (after !== null && planning !== null)
        expect(after.offset).toBeGreaterThanOrEqual(planning.offset ?? 0);
      expect(steps).toBeLessThan(200);
    }
    expect(await now(row)).toMatchObject({ state: "running", total: 9 });
    expect(await stores.items(row.runUid)).toHaveLength(9);
    expect(await step(row, small, past())).toBe("more");
  });

  test("with mistakes ends with all of them, by line, and without a row", async () => {
    const text = [
      line(0),
      line(1),
      "",
      line(2, { custom_id: "c0" }),
      "{not json",
      Buffer.from([0x7b, 0xff, 0x7d]).toString("latin1"),
      line(3, { image_key: "../key-2/x.png" }),
      line(4, { file: "nul\u0000" }),
      `{"file": "${"x".repeat(70_000)}"}`,
      line(5, { image_key: "shared/none.png" }),
      line(6, { file: "f1.png" }),
      line(7),
      line(7, { file: "other" }),
      line(8, { file: "f7.png" }),
    ].join("\n");
    const row = await planned(text);
    expect(await step(row)).toBe("failed");
    const failed = await now(row);
    expect(failed).toMatchObject({ state: "failed", total: 0, planning: null, errorCode: "invalid_request" });
    expect(failed.finishedAt).not.toBeNull();
    const issues = failed.errorDetails?.issues as { line: number; path: string }[];
    expect(issues.map(({ line, path }) => [line, path])).toEqual([
      [4, "custom_id"],
      [5, ""],
      [6, ""],
      [7, "image_key"],
      [8, "file"],
      [9, ""],
      [10, "image_key"],
      [11, "file"],
      [13, "custom_id"],
      [14, "file"],
    ]);
    expect(failed.errorDetails?.issue_count).toBe(10);
    expect(await stores.items(row.runUid)).toHaveLength(0);
    // A repeat does not check again, and gets the same answer.
    expect(await step(failed)).toBe("failed");
  });

  test("fails although it was killed while its rows were removed", async () => {
    const row = await planned([...lines(12), line(0, { file: "other" })].join("\n"));
    for (let nth = 1; nth < 10; nth += 1)
      await Check.step(
        cutting(nth, "after"),
        await now(row),
        { deadline: Date.now() + 20_000, chunk: { ...small, removed: 3 } },
        silent,
      ).catch(() => undefined);
    expect(await step(await now(row))).toBe("failed");
    expect((await now(row)).errorDetails?.issue_count).toBe(1);
    expect(await stores.items(row.runUid)).toHaveLength(0);
  });

  test("a line of 10 MB is one mistake, and the next lines are checked", async () => {
    const row = await planned(`${line(0)}\n{"file":"${"x".repeat(10 * 1024 * 1024)}"}\nnot json\n`);
    expect(await step(row)).toBe("failed");
    const { errorDetails } = await now(row);
    expect(errorDetails?.issues).toMatchObject([
      { line: 2, message: expect.stringContaining("longer") },
      { line: 3, message: "is not valid JSON at column 1: no JSON value begins so" },
    ]);
  });

  test("that is replaced meanwhile ends the run", async () => {
    ids += 1;
    const manifest_ref = await stores.upload(`${lines(9).join("\n")}\n${filler}`, { kind: "manifest" });
    const body = Create.parse({ run_id: `swapped-${ids}`, manifest_ref });
    const { run } = await Create.create(stores.services, silent, body, callerOf());
    await step(run, small, Date.now() + 1);
    await stores.swap(manifest_ref, line(0));
    expect(await step(await now(run))).toBe("failed");
    expect(await now(run)).toMatchObject({
      errorCode: "conflict",
      errorDetails: { reason: "upload_replaced" },
    });
    expect(await stores.items(run.runUid)).toHaveLength(0);
  });

  test("that is empty is a mistake, and a limit takes the first lines only", async () => {
    const empty = await planned("\n \r\n");
    expect(await step(empty)).toBe("failed");
    expect((await now(empty)).errorDetails?.issues).toMatchObject([{ message: "the manifest has no lines" }]);
    const limited = await planned([...lines(6), "never looked at"].join("\n"), "key-1", { limit: 6 });
    expect(await step(limited)).toBe("done");
    expect(await now(limited)).toMatchObject({ state: "running", total: 6 });
  });

  test("of a run that was canceled is left alone", async () => {
    const row = await planned(lines(9).join("\n"));
    const { db } = stores.services;
    await db.query.update(runTable).set({ state: "canceling" }).where(eq(runTable.runUid, row.runUid));
    expect(await step(row)).toBe("done");
    expect(await stores.items(row.runUid)).toHaveLength(0);
    expect(await now(row)).toMatchObject({ state: "canceling" });
  });

  test("whose run exceeds the key's limits fails, and the same call makes a new run later", async () => {
    const { db } = stores.services;
    await db.query
      .insert(keyTable)
      .values({ keyId: "key-small", role: "client", scopes: [], createdAt: new Date(), itemsPerDay: 5 });
    const row = await planned(lines(6).join("\n"), "key-small");
    expect(await step(row)).toBe("failed");
    expect(await now(row)).toMatchObject({
      // More than the key has in any day, so waiting would not help.
      errorCode: "forbidden",
      errorDetails: { limit: "items_per_day" },
    });
    expect(await stores.items(row.runUid)).toHaveLength(0);
  });
});

test("more lines than a manifest may have are refused", async () => {
  const row = await planned(`${line(0)}\n${"7\n".repeat(100_000)}`);
  const quick = { ...Check.sizes, lines: 50_000 };
  expect(await step(row, quick)).toBe("failed");
  const { errorDetails } = await now(row);
  expect(errorDetails?.issues).toHaveLength(100);
  // Every line except the first is invalid, and there is one too many.
  expect(errorDetails?.issue_count).toBe(100_000);
});

describe("a small manifest in the bucket", () => {
  const create = async (text: string, more: object = {}) => {
    const manifest_ref = await stores.upload(text, { kind: "manifest" });
    return Create.create(stores.services, silent, Create.parse({ manifest_ref, ...more }), callerOf());
  };

  test("is checked within the call", async () => {
    const { run } = await create(lines(3).join("\n"));
    expect(run).toMatchObject({ state: "running", total: 3, source: "manifest_ref" });
    const error = await failure(create(`${line(0)}\nnope\n\n${line(0)}`));
    expect(error.details).toMatchObject({
      issue_count: 3,
      issues: [
        { line: 2, path: "" },
        { line: 4, path: "custom_id" },
        { line: 4, path: "file" },
      ],
    });
    expect((await failure(create("\n"))).code).toBe("invalid_request");
  });

  test("must be an upload of this key, of kind manifest, that is there", async () => {
    const foreign = await stores.upload("{}", { kind: "manifest", keyId: "key-2" });
    const picture = await stores.upload("{}");
    for (const manifest_ref of [foreign, picture, "x"]) {
      const body = Create.parse({ manifest_ref });
      const error = await failure(Create.create(stores.services, silent, body, callerOf()));
      expect(error).toMatchObject({
        code: "invalid_request",
        details: { issues: [{ path: "manifest_ref" }] },
      });
    }
  });
});

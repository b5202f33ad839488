import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as Listing from "#core/artifact/listing";
import type * as Bucket from "#core/bucket/bucket";
import { silent, start, type TestBucket } from "#test/support/test-bucket";

let store: TestBucket;
beforeEach(async () => {
  store = await start();
});
afterEach(async () => {
  await store.close();
});

type Query = Parameters<typeof Listing.page>[2];
type Bounds = Parameters<typeof Listing.page>[3];
const all: Query = { kind: "extracts", keyId: undefined, limit: 50 };
const page = (query: Partial<Query>, limits?: Bounds) =>
  Listing.page(store.bucket, silent, { ...all, ...query }, limits);

/** Every page to the end; `pages` counts them, `calls` is the most list calls that one of them made. */
async function pages(query: Partial<Query>, limits?: Bounds) {
  const items: Listing.ArtifactEntry[] = [];
  let count = 0;
  let most = 0;
  let cursor: string | undefined;
  do {
    const before = lists();
    const { items: some, next_cursor } = await page({ ...query, cursor }, limits);
    items.push(...some);
    count += 1;
    most = Math.max(most, lists() - before);
    cursor = next_cursor ?? undefined;
  } while (cursor !== undefined);
  return { items, ids: items.map((item) => item.request_id), pages: count, calls: most };
}

const lists = () => store.calls.filter(({ operation }) => operation === "ListObjectsV2").length;

/** The next artifact gets a later time than this one: the store's clock counts milliseconds. */
async function tick(): Promise<void> {
  const from = Date.now();
  while (Date.now() === from) await new Promise((resolve) => setImmediate(resolve));
}

const day = (offset: number) =>
  new Date(Date.UTC(2026, 10, 23) - offset * 86_400_000).toISOString().slice(0, 10);
const rel = (offset: number, key: string, id: string) => `extracts/${day(offset)}/${key}/${id}.json`;

describe("a list of artifacts", () => {
  test("is empty for an empty bucket, at the cost of one call", async () => {
    expect(await page({})).toEqual({ items: [], next_cursor: null });
    expect(lists()).toBe(1);
  });

  test("is newest first over days, months and years, page by page, each artifact once", async () => {
    const days = [0, 1, 2, 9, 40, 41, 400, 1_200];
    const expected: string[] = [];
    for (const offset of days.toReversed()) {
      for (let i = 0; i < 5; i += 1) {
        // The names are in the reverse order of time, so that a wrong sort by name is noticed.
        const id = `r-${String(offset).padStart(4, "0")}-${String(99 - i)}`;
        await store.put(rel(offset, i % 2 === 0 ? "alice" : "bob", id));
        expected.unshift(id);
        await tick();
      }
    }
    for (const limit of [1, 7, 50, 200]) expect((await pages({ limit })).ids).toEqual(expected);
    const { items } = await page({ limit: 1 });
    expect(items[0]).toEqual({
      request_id: expected[0],
      kind: "extracts",
      key_id: "alice",
      artifact_rel: rel(0, "alice", expected[0] ?? ""),
      date: day(0),
      attempt: null,
      bytes: expect.any(Number),
      last_modified: expect.stringMatching(/Z$/),
    });
  });

  test("holds only the asked key's artifacts, also for a key whose name begins like another's", async () => {
    for (const key of ["ann", "ann-2", "anna"]) await store.put(rel(0, key, `of-${key}`));
    expect((await pages({ keyId: "ann" })).ids).toEqual(["of-ann"]);
    expect((await pages({})).ids.toSorted()).toEqual(["of-ann", "of-ann-2", "of-anna"]);
  });

  test("of a key that has been idle for years costs a bounded number of calls a page, and few empty pages", async () => {
    await Promise.all(Array.from({ length: 120 }, (_, offset) => store.put(rel(offset, "busy", "x"))));
    await store.put(rel(119, "idle", "old"));
    await store.put(rel(1_500, "idle", "older"));
    const found = await pages({ keyId: "idle" });
    expect(found.ids).toEqual(["old", "older"]);
    expect(found.calls).toBeLessThanOrEqual(Listing.bounds.listCalls + 20);
    expect(found.pages).toBeLessThanOrEqual(4);
  });

  test("jumps over a gap of years without looking at the days between", async () => {
    await store.put(rel(0, "alice", "new"));
    await store.put(rel(7_000, "alice", "old"));
    expect((await pages({})).ids).toEqual(["new", "old"]);
    expect(lists()).toBeLessThanOrEqual(15);
  });

  test("of one day holds that day only, and is empty for a day without any", async () => {
    for (const offset of [0, 1, 2]) await store.put(rel(offset, "alice", `r-${offset}`));
    expect((await pages({ date: day(1) })).ids).toEqual(["r-1"]);
    expect(await page({ date: day(5) })).toEqual({ items: [], next_cursor: null });
  });

  test("marks the records of attempts, and takes no other file for an artifact", async () => {
    await store.put(rel(0, "alice", "a"));
    await store.put(rel(0, "alice", "a~attempt-2"));
    await store.put(rel(0, "alice", "run~7~attempt-13"));
    await store.put(`extracts/${day(0)}/alice/notes.txt`);
    await store.put(`extracts/${day(0)}/alice/a~step-0001`);
    await store.put(`extracts/readme/alice/a.json`);
    await store.put(`batches/${day(0)}/alice/run.json`);
    for (const beside of [".items.jsonl", "~results.json", ".results.csv", ".line_items.csv", "~carry-0-1"])
      await store.put(`batches/${day(0)}/alice/run${beside}`);
    // Another run, whose id looks like a file of the first.
    await store.put(`batches/${day(0)}/alice/run.items.json`);
    const { items } = await pages({});
    expect(items.map(({ request_id, attempt }) => `${request_id}/${attempt}`).toSorted()).toEqual([
      "a/2",
      "a/null",
      "run~7/13",
    ]);
    expect((await pages({ kind: "batches" })).ids.toSorted()).toEqual(["run", "run.items"]);
    expect((await pages({ kind: "evals" })).ids).toEqual([]);
  });

  test("of a day above the bound comes in slices: each artifact once, bounded calls, also while others are written", async () => {
    const limits = { listObjects: 20, sliceObjects: 60, listCalls: 4 };
    const ids = Array.from({ length: 150 }, (_, i) => `r-${String(i).padStart(4, "0")}`);
    await Promise.all(ids.map((id) => store.put(rel(0, "alice", id))));
    const seen: Listing.ArtifactEntry[] = [];
    let cursor: string | undefined;
    for (let i = 0; ; i += 1) {
      const before = lists();
      const { items, next_cursor } = await page({ limit: 25, cursor }, limits);
      seen.push(...items);
      expect(lists() - before).toBeLessThanOrEqual(8);
      if (next_cursor === null) break;
      cursor = next_cursor;
      // Artifacts that are written while the reader is in the middle of the slices, before and behind its place.
      await Promise.all(
        ["0000", "0030", "0100", "0140"].map((at) => store.put(rel(0, "alice", `r-${at}-new-${i}`))),
      );
    }
    const old = seen.map((item) => item.request_id).filter((id) => !id.includes("new"));
    expect(old.length).toBe(150);
    expect(new Set(old).size).toBe(150);
    const first = seen.slice(0, 25).map((item) => item.last_modified);
    expect(first).toEqual(first.toSorted().toReversed());
  });

  test("refuses a cursor of another list, and what is not a cursor", async () => {
    for (const offset of [0, 1]) await store.put(rel(offset, "alice", "a"));
    const { next_cursor } = await page({ limit: 1 });
    const wrong = { code: "invalid_request", details: { issues: [{ path: "cursor" }] } };
    await expect(page({ cursor: next_cursor ?? "", keyId: "bob" })).rejects.toMatchObject(wrong);
    await expect(page({ cursor: next_cursor ?? "", kind: "evals" })).rejects.toMatchObject(wrong);
    for (const cursor of ["x", "", Buffer.from("[]").toString("base64url")])
      await expect(page({ cursor })).rejects.toMatchObject(wrong);
  });

  test("never shows more for a forged cursor than the prefix of the key allows", async () => {
    await store.put(rel(0, "alice", "mine"));
    await store.put(rel(0, "bob", "theirs"));
    const forge = (slice: object) =>
      Buffer.from(JSON.stringify({ of: "extracts/alice/*", day: day(0), slice })).toString("base64url");
    for (const slice of [{ after: "../bob/" }, { after: "", until: "~" }, { after: "../", until: "../~" }]) {
      const { items } = await page({ keyId: "alice", cursor: forge(slice) });
      expect(items.every((item) => item.key_id === "alice")).toBe(true);
    }
  });

  test("reports an outage of the storage", async () => {
    store.hook.answer = () => ({ status: 403 });
    await expect(page({})).rejects.toMatchObject({ code: "storage_unavailable" });
  });
});

describe("a walk over a range", () => {
  async function walked(range: Partial<Listing.Range>, after?: string) {
    const steps: { objects: Bucket.Listed[]; place: string }[] = [];
    const whole = { kinds: Listing.kinds, keyId: undefined, from: undefined, to: undefined, ...range };
    for await (const step of Listing.walk(store.bucket, silent, whole, after)) steps.push(step);
    return { steps, rels: steps.flatMap((step) => step.objects.map((object) => object.rel)) };
  }

  test("gives every object of the range once, upwards, from any place on", async () => {
    const rels: string[] = [];
    for (const kind of ["batches", "evals", "extracts"])
      for (const offset of [400, 3, 2, 1])
        for (const key of ["a", "ab", "b"]) rels.push(`${kind}/${day(offset)}/${key}/x.json`);
    for (const one of rels) await store.put(one);
    expect((await walked({})).rels).toEqual(rels);
    expect((await walked({ keyId: "a" })).rels).toEqual(rels.filter((one) => one.includes("/a/")));
    expect((await walked({ from: day(2) })).rels).toEqual(
      rels.filter((one) => /-2[12]\//.test(one) && one.includes("2026-11")),
    );
    expect((await walked({ from: day(3), to: day(2), keyId: "b", kinds: ["evals"] })).rels).toEqual([
      `evals/${day(3)}/b/x.json`,
      `evals/${day(2)}/b/x.json`,
    ]);
    for (const keyId of [undefined, "ab"]) {
      const { steps, rels: whole } = await walked({ keyId });
      let seen: string[] = [];
      for (const step of steps) {
        seen = [...seen, ...step.objects.map((object) => object.rel)];
        expect([...seen, ...(await walked({ keyId }, step.place)).rels]).toEqual(whole);
      }
      for (const [i, one] of whole.entries())
        expect((await walked({ keyId }, one)).rels).toEqual(whole.slice(i + 1));
    }
  });
});

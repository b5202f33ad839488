import type { ListObjectsV2CommandInput } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import { callerOf, client, failure, open, type Stores, silent } from "#test/support/run-stores";
import * as Serialize from "../serialize.ts";
import * as Check from "./check.ts";
import * as Create from "./create.ts";
import * as Folder from "./folder.ts";

let stores: Stores;
beforeAll(async () => {
  stores = await open();
});
afterAll(() => stores?.close());

const create = (body: object, caller = callerOf()) =>
  Create.create(stores.services, silent, Create.parse(body), caller);

describe("a folder", () => {
  beforeAll(async () => {
    const names = ["1.png", "2.JPG", "sub/3.webp", "sub/deep/4.jpeg", "notes.txt", "png", ".hidden.png"];
    await Promise.all(names.map((name) => stores.bucket.put(`data/key-1/scans/${name}`, name)));
    const odd: (readonly [string, string])[] = [
      ...([
        ["a.jfif", "a"],
        ["b.JPE", "b"],
        ["c", "\xff\xd8\xff"],
        ["d.HEIC", "\xff\xd8\xff"],
        ["e.dat", "II*\0"],
      ] as const),
      ...([
        ["f", "text"],
        ["g.psd", "8BPS"],
        ["h.jxl", "\xff\x0a"],
        ["i", "8BPS"],
      ] as const),
      ...([
        ["Thumbs.db", "x"],
        ["._a.jfif", "x"],
        [".x/j.png", "x"],
        ["empty.txt", ""],
        ["scan (1).png", "x"],
      ] as const),
      ...([
        ["m1.png", "x"],
        ["m8.png", "x"],
        ["m10.png", "x"],
        ["dir/", ""],
        ["odd/", "x"],
      ] as const),
    ];
    await Promise.all(
      odd.map(([name, body]) => stores.bucket.put(`data/key-1/odd/${name}`, Buffer.from(body, "latin1"))),
    );
    await stores.bucket.put("data/key-1/scans-other/9.png", "9");
    await stores.bucket.put("data/key-2/theirs/1.png", "1");
    await stores.bucket.put("data/key-1/empty/readme.txt", "");
  });
  const files = async (body: object, caller = callerOf()) => {
    const { run } = await create({ images_dir: "key-1/scans", ...body }, caller);
    return (await stores.items(run.runUid)).map(({ file }) => file);
  };

  test("gives its pictures in the order of their keys, by glob, endings and limit, with the versions listed", async () => {
    expect(await files({})).toEqual(["1.png", "2.JPG", "sub/3.webp", "sub/deep/4.jpeg"]);
    expect(await files({ images_dir: "key-1/scans/" })).toHaveLength(4);
    expect(await files({ glob: "*" })).toEqual(["1.png", "2.JPG"]);
    expect(await files({ glob: "sub/**" })).toEqual(["sub/3.webp", "sub/deep/4.jpeg"]);
    expect(await files({ exts: [".TXT", "webp"] })).toEqual(["notes.txt", "sub/3.webp"]);
    expect(await files({ limit: 1 })).toEqual(["1.png"]);
    const { run } = await create({ images_dir: "key-1/scans", limit: 1 });
    expect(run).toMatchObject({ source: "images_dir", total: 1, state: "running" });
    const [item] = await stores.items(run.runUid);
    const opened = await Bucket.read(stores.services.bucket, silent, item?.objectKey ?? "", item?.etag ?? "");
    expect(opened).toBeDefined();
    for await (const _ of opened?.body ?? []);
  });

  test("takes every supported type, by extension or first bytes, and counts other files", async () => {
    const { run } = await create({ images_dir: "key-1/odd" });
    const items = (await stores.items(run.runUid)).map(({ file }) => file);
    const taken = ["a.jfif", "b.JPE", "c", "d.HEIC", "e.dat", "m1.png", "m10.png", "m8.png", "scan (1).png"];
    expect(items).toEqual(taken);
    expect(run.skipped).toEqual({
      count: 9,
      by_reason: { system: 2, not_supported: 3, hidden: 1, empty: 1, no_picture: 1, no_file: 1 },
      first: expect.arrayContaining([
        { file: "g.psd", reason: "not_supported" },
        { file: "odd/", reason: "no_file" },
      ]),
    });
    expect(Serialize.run(run, 0).skipped).toEqual(run.skipped);
    expect(Serialize.run(run, 0)).toMatchObject({ source: { kind: "images_dir" } });
    const { run: other } = await create({ manifest: [{ image_key: "key-1/odd/c" }] });
    expect(Serialize.run(other, 0).skipped).toBeNull();
  });

  test("by a glob or exts of the caller's counts what they exclude, and it is not an error", async () => {
    const skipped = async (body: object) =>
      (await create({ images_dir: "key-1/odd", ...body })).run.skipped?.by_reason;
    expect(await files({ images_dir: "key-1/odd", glob: "m{8..12}.png" })).toEqual(["m10.png", "m8.png"]);
    expect(await skipped({ glob: "m{8..12}.png" })).toEqual({ excluded_by_glob: 16 });
    expect(await files({ images_dir: "key-1/odd", glob: "scan (1).png" })).toEqual(["scan (1).png"]);
    expect(await files({ images_dir: "key-1/odd", glob: "[!a-ms]*.png" }).catch(() => [])).toEqual([]);
    expect(await files({ images_dir: "key-1/odd", exts: ["JFIF"] })).toEqual(["a.jfif"]);
    expect(await skipped({ exts: ["JFIF"] })).toMatchObject({ excluded_by_exts: 13, system: 2, hidden: 1 });
    expect(await files({ images_dir: "key-1/odd", glob: ".x/*" })).toEqual([".x/j.png"]);
  });

  test.each([
    [{ glob: "m{20..30}.png" }, "glob", { excluded_by_glob: 18 }],
    [{ glob: "{a,b" }, "glob", { excluded_by_glob: 18 }],
    [{ glob: "{1..99999}*" }, "glob", undefined],
    [{ exts: ["webp"] }, "exts", { excluded_by_exts: 14, system: 2, hidden: 1, no_file: 1 }],
    [{ glob: "f" }, "images_dir", { excluded_by_glob: 17, no_picture: 1 }],
  ])("that %j leaves empty is refused at its name, with what is there counted", async (body, path, by) => {
    const { details } = await failure(create({ images_dir: "key-1/odd", ...body }));
    expect(details).toMatchObject({ issues: [{ path }] });
    expect(details?.skipped?.by_reason).toEqual(by);
    expect(JSON.stringify(details)).not.toContain("jfif");
  });

  test("opens a bounded number of files, the likeliest first", async () => {
    for (const name of ["1.json", "2.json", "3.json", "4.psd", "5.json"])
      await stores.bucket.put(`data/key-1/sidecars/${name}`, "{}");
    await stores.bucket.put("data/key-1/sidecars/zz", "GIF89a");
    const calls = stores.bucket.calls.length;
    const { found, skipped } = await Folder.list(
      stores.services,
      silent,
      { images_dir: "key-1/sidecars" },
      { viewer: { keyId: "key-1", allKeys: false }, deadline: Date.now() + 20_000, looks: 3 },
    );
    expect(found.map(({ file }) => file)).toEqual(["zz"]);
    expect(skipped).toMatchObject({
      count: 5,
      by_reason: { no_picture: 1, not_supported: 1, not_looked_at: 3 },
    });
    const looks = stores.bucket.calls.slice(calls).filter(({ operation }) => operation === "GetObject");
    expect(looks).toHaveLength(3);
  });

  test.each([
    ["/var/pictures", "images_dir", "absolute"],
    ["C:\\pictures", "images_dir", "absolute"],
    ["../key-2/theirs", "images_dir", ".."],
    ["key-1/../key-2/theirs", "images_dir", ".."],
    ["key-2/theirs", "images_dir", "yours"],
    ["", "images_dir", "must not be empty"],
    ["key-1/scan", "images_dir", "did you mean `key-1/scans`?"],
    ["data/key-1/scans", "images_dir", "leave data/ out in front"],
    ["key-1/scans/1.png", "images_dir", "that is a file"],
    ["key-1/empty", "images_dir", "no pictures"],
    ["key-1/none", "images_dir", "no pictures"],
  ])("%j is refused by its name, and nothing is started", async (images_dir, path, words) => {
    const runs = (await stores.runs()).length;
    const error = await failure(create({ images_dir }));
    expect(error).toMatchObject({ code: "invalid_request", details: { issues: [{ path }] } });
    expect(JSON.stringify(error.details)).toContain(words);
    expect(await stores.runs()).toHaveLength(runs);
  });

  test("globs that lead out of it are refused, and a glob that would backtrack endlessly costs no time", async () => {
    await stores.bucket.put(`data/key-1/long/${"a".repeat(200)}.png`, "x");
    for (const glob of ["../**", "/etc/*", "a/../../x"])
      expect((await failure(create({ images_dir: "key-1/scans", glob }))).code).toBe("invalid_request");
    const glob = `${"*a".repeat(12)}b.png`;
    const error = await failure(create({ images_dir: "key-1/long", glob }));
    expect(error.details).toMatchObject({
      issues: [{ path: "glob", message: expect.stringContaining("does not fit") }],
    });
  });

  test("of another key can be read only with the scope admin:all_keys", async () => {
    const admin = callerOf(client("boss", { scopes: ["extract:run", "admin:all_keys"] }));
    expect(await files({ images_dir: "key-2/theirs" }, admin)).toEqual(["1.png"]);
  });
});

describe("a large folder", () => {
  /** Inserting into the store's own catalog by SQL would be faster, but the test is about pages of a listing. */
  const listing = (count: number): Stores["services"] => {
    const { bucket } = stores.services;
    const { client: real } = bucket;
    const send: typeof real.send = (operation, input, options) => {
      if (operation !== "ListObjectsV2") return real.send(operation, input, options);
      const { ContinuationToken, Prefix } = input as ListObjectsV2CommandInput;
      const from = Number(ContinuationToken ?? 0);
      const to = Math.min(count, from + 1_000);
      const Contents = Array.from({ length: to - from }, (_, i) => ({
        Key: `${Prefix}${String(from + i).padStart(6, "0")}.png`,
        Size: 1,
        ETag: `"${from + i}"`,
      }));
      const page = { Contents, IsTruncated: to < count, NextContinuationToken: String(to) };
      return Promise.resolve({ ...page, $metadata: {} } as never);
    };
    return { ...stores.services, bucket: { ...bucket, client: { ...real, send } } };
  };
  const step = (row: Create.Created["run"]) =>
    Check.step(stores.services, row, { deadline: Date.now() + 20_000 }, silent);
  const list = (count: number, more: object = {}) =>
    Create.create(listing(count), silent, Create.parse({ images_dir: "shared/large", ...more }), callerOf());

  test("of 10,001 files is refused with a hint at manifest_ref; of 10,000 it is accepted; with a limit as well", async () => {
    const error = await failure(list(10_001));
    expect(error).toMatchObject({
      code: "invalid_request",
      details: { issues: [{ path: "images_dir", message: expect.stringContaining("manifest_ref") }] },
    });
    expect((await failure(list(1_000_000, { glob: "none-*" }))).code).toBe("invalid_request");
    expect(await stores.below("inputs/manifests/")).toHaveLength(0);
    expect((await list(20_000, { limit: 5 })).run).toMatchObject({ total: 5 });

    const { run } = await list(10_000);
    expect(run).toMatchObject({ state: "planning", planning: { temporary: true } });
    expect(await stores.below("inputs/manifests/key-1/")).toHaveLength(1);
    const heads = stores.bucket.calls.length;
    expect(await step(run)).toBe("done");
    expect(stores.bucket.calls.slice(heads).some(({ operation }) => operation === "HeadObject")).toBe(false);
    expect(await stores.run(run.runId)).toMatchObject({ state: "running", total: 10_000 });
    const items = await stores.items(run.runUid);
    expect(items).toHaveLength(10_000);
    expect(items[9_999]).toMatchObject({
      index: 9_999,
      file: "009999.png",
      objectKey: "data/shared/large/009999.png",
      etag: '"9999"',
    });
    expect(await stores.below("inputs/manifests/")).toHaveLength(0);
  });
});

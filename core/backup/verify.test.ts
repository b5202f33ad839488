import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Listing from "#core/artifact/listing";
import * as Backup from "#core/backup/backup";
import type * as Job from "#core/backup/job";
import * as BackupLimits from "#core/backup/limits";
import { verify } from "#core/backup/verify";
import { silent, start, type TestBucket } from "#test/support/test-bucket";

let store: TestBucket;
beforeAll(async () => {
  store = await start();
});
afterAll(() => store.close());

const artifact = (i: number) => `extracts/2026-11-1${i}/alice/r-00${i}.json`;
const verified = (archive: Buffer) => verify(() => Readable.from(slices(archive)));
function* slices(archive: Buffer) {
  for (let at = 0; at < archive.length; at += 64 * 1024) yield archive.subarray(at, at + 64 * 1024);
}

describe("verification", () => {
  let good: Buffer;
  let tarBytes: Buffer;
  beforeAll(async () => {
    await Promise.all(
      [0, 1, 2, 3].map((i) =>
        store.put(artifact(i), JSON.stringify({ rel: artifact(i), filler: String(i).repeat(300) })),
      ),
    );
    const services: Job.Services = { bucket: store.bucket, send: async () => undefined };
    const made = await Backup.request(
      services,
      { kinds: Listing.kinds, keyId: undefined, from: undefined, to: undefined },
      { keyId: "admin", log: silent, limits: BackupLimits.limits(1) },
    );
    if (made.kind !== "bytes") throw new Error("four artifacts are no small backup");
    good = Buffer.from(made.bytes);
    tarBytes = gunzipSync(good);
  });

  const tampered = (change: (tar: Buffer) => Buffer | undefined) => {
    const copy = Buffer.from(tarBytes);
    return verified(gzipSync(change(copy) ?? copy));
  };
  const block = (tar: Buffer, text: string) => Math.floor(tar.indexOf(text) / 512) * 512;

  test("finds a changed byte of an artifact, and names it", async () => {
    const result = await tampered((tar) => {
      tar[tar.indexOf('"filler":"2') + 12] = 0x39;
      return undefined;
    });
    expect(result).toMatchObject({ ok: false, entries: 4 });
    expect(result.problems).toEqual([expect.stringMatching(/r-002\.json.*sha256/)]);
  });

  test("finds a missing artifact, a renamed one, and one too many", async () => {
    const size = 1_024;
    expect(block(tarBytes, artifact(1)) - block(tarBytes, artifact(0))).toBe(size);
    const missing = await tampered((tar) => Buffer.concat([tar.subarray(0, size), tar.subarray(2 * size)]));
    expect(missing.problems.join()).toMatch(/r-001\.json/);
    const added = await tampered((tar) => Buffer.concat([tar.subarray(0, size), tar]));
    expect(added.problems.join()).toMatch(/r-000\.json/);
    const behind = await tampered((tar) =>
      Buffer.concat([tar.subarray(0, -1_024), tar.subarray(0, size), Buffer.alloc(1_024)]),
    );
    expect(behind.problems.join()).toMatch(/after the manifest/);
  });

  test("finds a changed manifest", async () => {
    const result = await tampered((tar) => {
      const at = tar.indexOf('"sha256":"') + 10;
      tar[at] = tar[at] === 0x30 ? 0x31 : 0x30;
      return undefined;
    });
    expect(result.problems).toEqual([expect.stringMatching(/sha256/)]);
    const head = await tampered((tar) => {
      tar.write('"entries":5', tar.indexOf('"entries":4'));
      return undefined;
    });
    expect(head.problems).toEqual([expect.stringMatching(/head/)]);
  });

  test("finds that an archive is cut off, damaged, or none at all", async () => {
    for (const broken of [
      good.subarray(0, good.length - 40),
      good.subarray(0, Math.floor(good.length / 2)),
      Buffer.from([...good.subarray(0, 100), 0, 0, ...good.subarray(102)]),
      Buffer.from("not a backup"),
      Buffer.alloc(0),
      gzipSync(""),
    ]) {
      const result = await verified(broken);
      expect(result.ok).toBe(false);
      expect(result.problems.length).toBeGreaterThan(0);
    }
  });

  test("passes on errors that are not the archive's fault", async () => {
    const open = () =>
      new Readable({ read: (() => undefined) as () => void }).destroy(
        Object.assign(new Error("no such file: backup.tar.gz, invalid"), { code: "ENOENT" }),
      );
    await expect(verify(open)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

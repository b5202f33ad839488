import { readdirSync, readFileSync } from "node:fs";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Expiry } from "#core/key/change";
import * as Key from "#core/key/key";
import { noLimits } from "#spec/key-limits";
import * as TestDatabase from "#test/support/test-database";
import { keySecretTable, keyTable } from "./key.sql.ts";
import { presets } from "./role.ts";

const pepper = "pepper-of-the-key-tests";
let database: Awaited<ReturnType<typeof TestDatabase.start>>;

beforeAll(async () => {
  database = await TestDatabase.start();
});
afterAll(() => database.close());

/** A verifier without memory, so that each call asks the database. */
const fresh = (times = { keyCacheMs: 0, keyLastUsedMs: 60_000 }) =>
  Key.verifier(() => database.db, pepper, times);

describe("keys", () => {
  test("a created key is accepted, with the scopes of its role", async () => {
    const created = await Key.create(database.db, pepper, { keyId: "client-1", role: "client" });
    expect(created.api_key).toMatch(/^ocrlty_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/);
    expect(await fresh()(created.api_key)).toEqual({
      keyId: "client-1",
      role: "client",
      scopes: ["extract:run"],
      limits: noLimits,
    });
  });

  test("stored scopes are authoritative: they narrow and widen a role", async () => {
    const narrow = await Key.create(database.db, pepper, {
      keyId: "narrow",
      role: "admin",
      scopes: ["debug:read_raw"],
    });
    const wide = await Key.create(database.db, pepper, {
      keyId: "wide",
      role: "client",
      scopes: ["extract:run", "runs:delete"],
    });
    expect((await fresh()(narrow.api_key))?.scopes).toEqual(["debug:read_raw"]);
    expect((await fresh()(wide.api_key))?.scopes).toEqual(["extract:run", "runs:delete"]);
  });

  test("the database holds neither the secret nor anything it could be made from", async () => {
    const created = await Key.create(database.db, pepper, { keyId: "secret-less", role: "client" });
    const rows = await database.db.query
      .select()
      .from(keySecretTable)
      .where(eq(keySecretTable.keyId, "secret-less"));
    const text = JSON.stringify(rows);
    const random = created.api_key.slice(16);
    expect(text).not.toContain(random);
    expect(rows[0]?.start).toBe(created.api_key.slice(0, 20));
    expect(rows[0]?.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test("an id can be used once, also after its key was revoked; of two parallel creates only the first one's key gets a secret", async () => {
    const racers = await Promise.allSettled(
      Array.from({ length: 8 }, () => Key.create(database.db, pepper, { keyId: "raced", role: "client" })),
    );
    expect(racers.filter((racer) => racer.status === "fulfilled")).toHaveLength(1);
    const secrets = await database.db.query
      .select()
      .from(keySecretTable)
      .where(eq(keySecretTable.keyId, "raced"));
    expect(secrets).toHaveLength(1);
    await Key.revoke(database.db, "raced");
    await expect(Key.create(database.db, pepper, { keyId: "raced", role: "client" })).rejects.toMatchObject({
      code: "conflict",
    });
  });

  test.each(["Upper", "has space", "-dash", "a".repeat(65), "shared", "tmp", "uploads", "anonymous", ""])(
    "the id %j is refused",
    async (keyId) => {
      await expect(Key.create(database.db, pepper, { keyId, role: "client" })).rejects.toMatchObject({
        code: "invalid_request",
      });
    },
  );

  test("unknown scopes are refused", async () => {
    await expect(
      Key.create(database.db, pepper, { keyId: "odd", role: "client", scopes: ["everything"] }),
    ).rejects.toMatchObject({
      code: "invalid_request",
    });
  });

  test("limits come with the key: those that were set or changed, without those that were removed", async () => {
    const created = await Key.create(database.db, pepper, {
      keyId: "limited",
      role: "client",
      limits: { requestsPerMinute: 10, itemsPerDay: undefined, maxRunItems: 5 },
    });
    expect(created).toMatchObject({ requests_per_minute: 10, items_per_day: null, max_run_items: 5 });
    expect((await fresh()(created.api_key))?.limits).toEqual({
      ...noLimits,
      requestsPerMinute: 10,
      maxRunItems: 5,
    });
    const updated = await Key.update(database.db, "limited", { maxRunItems: null, modelSecondsPerDay: 60 });
    expect(updated).toMatchObject({
      requests_per_minute: 10,
      items_per_day: null,
      model_seconds_per_day: 60,
      max_run_items: null,
    });
    expect((await fresh()(created.api_key))?.limits).toEqual({
      ...noLimits,
      requestsPerMinute: 10,
      modelSecondsPerDay: 60,
    });
  });

  test.each([0, -1, 1.5, Number.NaN, 1e300])(
    "%d is not a limit, and nothing is changed",
    async (itemsPerDay) => {
      const refused = {
        code: "invalid_request",
        message: expect.stringMatching(/^items per day: /),
      };
      const input = { keyId: "never", role: "client", limits: { itemsPerDay } } as const;
      await expect(Key.create(database.db, pepper, input)).rejects.toMatchObject(refused);
      await expect(Key.update(database.db, "client-1", { itemsPerDay })).rejects.toMatchObject(refused);
      const stored = (await Key.list(database.db)).filter((key) =>
        ["never", "client-1"].includes(key.key_id),
      );
      expect(stored.map((key) => [key.key_id, key.items_per_day])).toEqual([["client-1", null]]);
    },
  );

  test("an update of nothing, or of a key that is not there, is refused", async () => {
    await expect(Key.update(database.db, "client-1", {})).rejects.toMatchObject({ code: "invalid_request" });
    await expect(Key.update(database.db, "nobody", { itemsPerDay: 1 })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("revoked, expired, unknown and malformed keys are all refused", async () => {
    const revoked = await Key.create(database.db, pepper, { keyId: "revoked", role: "client" });
    const expired = await Key.create(database.db, pepper, {
      keyId: "expired",
      role: "client",
      expires: { at: new Date(Date.now() - 1) },
    });
    expect((await Key.revoke(database.db, "revoked")).revoked_at).not.toBeNull();
    const unknown = revoked.api_key.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const apiKey of [
      revoked.api_key,
      expired.api_key,
      unknown,
      "ocrlty_x",
      "",
      undefined,
      `${revoked.api_key} `,
    ]) {
      expect(await fresh()(apiKey)).toBeUndefined();
    }
  });

  test("a key of the wrong shape costs no SQL", async () => {
    const verify = Key.verifier(
      () => {
        throw new Error("the database was asked");
      },
      pepper,
      { keyCacheMs: 60_000, keyLastUsedMs: 60_000 },
    );
    expect(await verify("ocrlty_short")).toBeUndefined();
    await expect(verify(`ocrlty_00000000_${"A".repeat(43)}`)).rejects.toThrow("the database was asked");
  });

  test("a verified key is trusted for the cache's time and no longer, so a revocation reaches every instance", async () => {
    const created = await Key.create(database.db, pepper, { keyId: "cached", role: "client" });
    const trusting = fresh({ keyCacheMs: 60_000, keyLastUsedMs: 60_000 });
    const doubting = fresh();
    expect(await trusting(created.api_key)).toBeDefined();
    await Key.revoke(database.db, "cached");
    expect(await trusting(created.api_key)).toBeDefined();
    expect(await doubting(created.api_key)).toBeUndefined();
  });

  test("a cached key still ends at its expiry", async () => {
    const created = await Key.create(database.db, pepper, {
      keyId: "ends",
      role: "client",
      expires: { at: new Date(Date.now() + 400) },
    });
    const verify = fresh({ keyCacheMs: 60_000, keyLastUsedMs: 60_000 });
    expect(await verify(created.api_key)).toBeDefined();
    await expect.poll(() => verify(created.api_key), { timeout: 3_000 }).toBeUndefined();
  });

  test("rotation: the new secret works at once, the old one until the overlap ends, and no longer than it would have", async () => {
    const first = await Key.create(database.db, pepper, { keyId: "rotated", role: "debugger" });
    const second = await Key.rotate(database.db, pepper, { keyId: "rotated", overlapMs: 60_000 });
    expect(second.api_key).not.toBe(first.api_key);
    expect(second.starts).toHaveLength(2);
    expect((await fresh()(first.api_key))?.keyId).toBe("rotated");
    expect((await fresh()(second.api_key))?.scopes).toEqual(presets.debugger);
    const third = await Key.rotate(database.db, pepper, { keyId: "rotated", overlapMs: 0 });
    await expect.poll(() => fresh()(first.api_key)).toBeUndefined();
    expect(await fresh()(second.api_key)).toBeUndefined();
    expect((await fresh()(third.api_key))?.keyId).toBe("rotated");
  });

  test("a rotation keeps the key's expiry: a time after each secret was made, a day, or never", async () => {
    const hour = 3_600_000;
    const day = new Date(Date.now() + 5 * hour);
    const ends = async (keyId: string, expires: Expiry) => {
      await Key.create(database.db, pepper, { keyId, role: "client", expires });
      const made = await Key.rotate(database.db, pepper, { keyId, overlapMs: 0 });
      return made.expires_at === null ? null : Date.parse(made.expires_at);
    };
    const before = Date.now();
    const lifetime = await ends("lasts", { afterMs: hour });
    expect(lifetime).toBeGreaterThanOrEqual(before + hour);
    expect(lifetime).toBeLessThanOrEqual(Date.now() + hour);
    expect(await ends("dated", { at: day })).toBe(day.getTime());
    expect(await ends("eternal", null)).toBeNull();
    // Also if no secret is left (a new pepper), and for later secrets: an expiry that was asked for once stays the
    // key's.
    await database.db.query.delete(keySecretTable).where(eq(keySecretTable.keyId, "dated"));
    const rotate = (keyId: string, expires?: Expiry) =>
      Key.rotate(database.db, pepper, { keyId, overlapMs: 0, expires });
    expect((await rotate("dated")).expires_at).toBe(day.toISOString());
    expect((await rotate("dated", { afterMs: hour })).lifetime_ms).toBe(hour);
    expect(Date.parse((await rotate("dated")).expires_at ?? "")).toBeLessThan(Date.now() + 2 * hour);
    await Key.create(database.db, pepper, { keyId: "over", role: "client", expires: { at: new Date(1) } });
    await expect(rotate("over")).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("expired"),
    });
    expect((await rotate("over", null)).expires_at).toBeNull();
  });

  test("role, scopes and expiry of a key can be changed, and count from then on", async () => {
    const made = await Key.create(database.db, pepper, {
      keyId: "moved",
      role: "client",
      expires: { afterMs: 1_000 },
    });
    const known = async () => (await fresh()(made.api_key))?.scopes;
    const update = (changes: Parameters<typeof Key.update>[2]) => Key.update(database.db, "moved", changes);
    expect(await update({ role: "debugger", itemsPerDay: 5 })).toMatchObject({
      role: "debugger",
      items_per_day: 5,
    });
    expect(await known()).toEqual(presets.debugger);
    await update({ scopes: ["runs:delete"] });
    expect(await known()).toEqual(["runs:delete"]);
    expect(await update({ expires: null })).toMatchObject({
      role: "debugger",
      expires_at: null,
      lifetime_ms: null,
    });
    await Key.rotate(database.db, pepper, { keyId: "moved", overlapMs: 3_600_000 });
    // The older secret ends no later than the newest.
    await update({ expires: { at: new Date(Date.now() - 1) } });
    expect(await known()).toBeUndefined();
    await expect(update({ scopes: ["everything"] })).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("a revoked key cannot be rotated back to life", async () => {
    await Key.create(database.db, pepper, { keyId: "gone", role: "client" });
    await Key.revoke(database.db, "gone");
    await expect(Key.rotate(database.db, pepper, { keyId: "gone", overlapMs: 0 })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(Key.rotate(database.db, pepper, { keyId: "never", overlapMs: 0 })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("the last use is noted, at most once a minute", async () => {
    const created = await Key.create(database.db, pepper, { keyId: "used", role: "client" });
    const lastUsed = async () =>
      (
        await database.db.query.select().from(keyTable).where(eq(keyTable.keyId, "used"))
      )[0]?.lastUsedAt?.getTime();
    expect(await lastUsed()).toBeUndefined();
    await fresh()(created.api_key);
    const first = await lastUsed();
    expect(first).toBeGreaterThan(0);
    await fresh()(created.api_key);
    expect(await lastUsed()).toBe(first);
  });

  test("a pepper that differs from the one of the stored keys is noticed", async () => {
    await Key.checkPepper(database.db, pepper);
    await Key.checkPepper(database.db, pepper);
    await expect(Key.checkPepper(database.db, "another-pepper-entirely")).rejects.toThrow(
      "API_KEY_PEPPER is not the one",
    );
  });

  test("migrations give new scopes only to admin keys that held every scope before", async () => {
    const folder = new URL("../db/migrations/", import.meta.url);
    const update = (end: string) => {
      const name = readdirSync(folder).find((each) => each.endsWith(end)) ?? "";
      return readFileSync(new URL(name, folder), "utf8").split("--> statement-breakpoint").at(-1) ?? "";
    };
    const before = ["extract:run", "debug:run", "debug:read_raw", "runs:delete", "admin:pod"] as const;
    const keys = [
      ["full", "admin", before],
      ["narrowed", "admin", before.slice(1)],
      ["widened", "client", before],
    ] as const;
    for (const [keyId, role, scopes] of keys) await Key.create(database.db, pepper, { keyId, role, scopes });
    for (const end of ["_all_keys.sql", "_extracts_delete.sql"])
      await database.db.client.execute(update(end));
    const now = new Map((await Key.list(database.db)).map((key) => [key.key_id, key.scopes]));
    expect(keys.map(([keyId]) => now.get(keyId))).toEqual([
      [...before, "admin:all_keys", "extracts:delete"],
      before.slice(1),
      before,
    ]);
  });

  test("the list shows no secret and no hash", async () => {
    const text = JSON.stringify(await Key.list(database.db));
    expect(text).toContain('"key_id":"client-1"');
    expect(text).not.toMatch(/[0-9a-f]{64}/);
    expect(text).not.toMatch(/ocrlty_[0-9a-f]{8}_[A-Za-z0-9_-]{5,}/);
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import { keySecretTable, keyTable } from "#core/key/key.sql";
import type { Fields, Log } from "#core/log";
import * as Expiries from "#core/readiness/expiries";
import { metrics } from "#spec/metrics";
import * as TestDatabase from "#test/support/test-database";

const dayMs = 86_400_000;
const now = new Date("2026-11-30T12:00:00Z");
const inDays = (days: number) => new Date(now.getTime() + days * dayMs);

/** A token in Turso's form, with an invalid signature. */
const jwt = (claims: object) =>
  ["{}", JSON.stringify(claims), "signature"]
    .map((part) => Buffer.from(part).toString("base64url"))
    .join(".");
const seconds = (date: Date) => date.getTime() / 1000;

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
beforeAll(async () => {
  database = await TestDatabase.start();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.db.query.delete(keySecretTable);
  await database.db.query.delete(keyTable);
});

/** A key whose secrets end so many days from now; null: never. */
async function key(
  keyId: string,
  ends: (number | null)[],
  more: { madeDays?: number; lifetimeDays?: number; revoked?: boolean } = {},
) {
  await database.db.query.insert(keyTable).values({
    keyId,
    role: "client",
    scopes: [],
    createdAt: inDays(-(more.madeDays ?? 80)),
    ...(more.lifetimeDays === undefined ? {} : { lifetimeMs: more.lifetimeDays * dayMs }),
    ...(more.revoked === true ? { revokedAt: now } : {}),
  });
  for (const [i, days] of ends.entries())
    await database.db.query.insert(keySecretTable).values({
      ...{ hash: `${keyId}-${i}`, keyId, start: "ocr_", createdAt: now },
      expiresAt: days === null ? null : inDays(days),
    });
}

const none = { credentials: () => [], db: () => database.db };
const away = () => {
  const db = structuredClone({ query: undefined }) as unknown as typeof database.db;
  return { ...db, client: { batch: () => Promise.reject(new TypeError("fetch failed")) } } as never;
};

describe("the end of a setting's secret", () => {
  test.each([
    ["a token that ends in ten days", jwt({ exp: seconds(inDays(10)) }), inDays(10)],
    ["one that has ended", jwt({ exp: seconds(inDays(-1)) }), inDays(-1)],
    ["one without an end", jwt({ a: "rw" }), null],
    ["one whose end is not a number", jwt({ exp: "soon" }), undefined],
    ["one whose end is not a date", jwt({ exp: 1e300 }), undefined],
    ["claims that are no object", jwt([1]), undefined],
    ["three parts that are no JSON", "a.b.c", undefined],
    ["a key of 32 letters", "k".repeat(32), undefined],
    ["nothing", "", undefined],
  ])("of %s is read from the token itself", (_, token, end) => {
    expect(Expiries.endOf(token)).toEqual(end);
  });

  test("is listed with the days left, soonest first; the operator's setting takes precedence over the token", () => {
    const env = {
      DATABASE_AUTH_TOKEN: jwt({ exp: seconds(inDays(14)) }),
      VLLM_API_KEY: jwt({}),
      API_KEY_PEPPER: "nobody knows when",
      S3_SECRET_ACCESS_KEY: jwt({ exp: seconds(inDays(900)) }),
      CREDENTIALS_EXPIRE: "S3_SECRET_ACCESS_KEY = 2026-11-29, CLOUDFLARE_API_TOKEN=2026-12-15T14:00:00+02:00",
    };
    expect(Expiries.ofSettings(Config.credentialsOf(env), now)).toEqual([
      {
        name: "S3_SECRET_ACCESS_KEY",
        expires_at: "2026-11-29T00:00:00.000Z",
        days_left: -2,
        state: "ended",
      },
      { name: "DATABASE_AUTH_TOKEN", expires_at: inDays(14).toISOString(), days_left: 14, state: "soon" },
      { name: "CLOUDFLARE_API_TOKEN", expires_at: inDays(15).toISOString(), days_left: 15, state: "ok" },
      { name: "VLLM_API_KEY", expires_at: null, days_left: null, state: "ok" },
    ]);
  });

  test.each([
    "S3_SECRET_ACCESS_KEY",
    "S3_SECRET_ACCESS_KEY=soon",
    "S3_SECRET_ACCESS_KEY=2026-02-30",
    "PORT=2027-01-01",
  ])("given as %s is refused", (value) => {
    expect(() => Config.credentialsOf({ CREDENTIALS_EXPIRE: value })).toThrow(
      "CREDENTIALS_EXPIRE is not valid",
    );
  });
});

describe("the end of an API key", () => {
  test("is the end of its last secret; only keys that end soon or ended recently are listed", async () => {
    await key("in-ten", [10]);
    await key("rotated", [1, 12]);
    await key("rotated-for-ever", [1, null]);
    await key("for-ever", [null]);
    await key("in-forty", [40]);
    await key("revoked", [3], { revoked: true });
    await key("ended", [-2]);
    await key("ended-long-ago", [-8]);
    await key("twice-the-same", [29, 29]);
    const found = await Expiries.ofKeys(database.db, now);
    expect(found.map(({ name, days_left, state }) => [name, days_left, state])).toEqual([
      ["ended", -2, "ended"],
      ["in-ten", 10, "soon"],
      ["rotated", 12, "soon"],
      ["twice-the-same", 29, "ok"],
    ]);
  });

  test("that was made for a few days is shown and raises no alarm", async () => {
    await key("for-a-week", [5], { madeDays: 2 });
    await key("weekly", [5], { madeDays: 300, lifetimeDays: 7 });
    const { ok, keys } = await Expiries.read(none, now);
    expect(ok).toBe(true);
    expect(keys?.map(({ name, state }) => [name, state])).toEqual([
      ["for-a-week", "ok"],
      ["weekly", "ok"],
    ]);
  });
});

describe("one failed check does not affect the others", () => {
  const token = { name: "DATABASE_AUTH_TOKEN", value: jwt({ exp: seconds(inDays(-1)) }), endsAt: undefined };

  test("a database that is away, perhaps because its token has ended", async () => {
    expect(await Expiries.read({ credentials: () => [token], db: away }, now)).toMatchObject({
      ok: false,
      settings: [{ name: "DATABASE_AUTH_TOKEN", state: "ended" }],
      keys: null,
    });
  });

  test("a setting that is wrong", async () => {
    await key("in-ten", [10]);
    const credentials = () => Config.credentialsOf({ CREDENTIALS_EXPIRE: "tomorrow" });
    expect(await Expiries.read({ ...none, credentials }, now)).toMatchObject({
      settings: null,
      keys: [{ name: "in-ten" }],
    });
  });
});

describe("the clock", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    Config.reset();
  });

  test("counts secrets that end soon in a metric and names them in the log; otherwise writes nothing", async () => {
    vi.stubEnv("OCRLTY_STAGE", "staging");
    Config.reset();
    const printed: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((chunk) => printed.push(String(chunk)) > 0);
    const logged: [string, Fields | undefined][] = [];
    const log: Log = {
      ...{ warn: () => undefined, error: () => undefined, child: () => log },
      info: (event, fields) => logged.push([event, fields]),
    };
    await key("ended", [-1]);
    await key("in-thirty", [29]);
    await Expiries.tell(none, log, now);
    expect([printed, logged]).toEqual([[], []]);
    await key("in-ten", [10]);
    const told = [{ name: "S3_SECRET_ACCESS_KEY", value: undefined, endsAt: inDays(3) }];
    await Expiries.tell({ ...none, credentials: () => told }, log, now);
    expect(logged).toEqual([["secrets_expire", { count: 2, names: ["S3_SECRET_ACCESS_KEY", "in-ten"] }]]);
    expect(JSON.parse(printed.join(""))).toMatchObject({ [metrics.expiringSecrets]: 2, stage: "staging" });
  });
});

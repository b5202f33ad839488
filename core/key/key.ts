import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { and, asc, eq, gt, isNull, lt, or, sql } from "drizzle-orm";
import * as z from "zod";
import * as Database from "#core/db/client";
import { settingTable } from "#core/db/setting.sql";
import { AppError } from "#core/error";
import * as Id from "#core/id";
import type * as Limits from "#infra/limits";
import { scopes as allScopes, type Scope } from "#infra/routes";
import { keySecretTable, keyTable } from "./key.sql.ts";
import { type KeyLimits, noLimits } from "./limits.ts";

export const roles = ["client", "debugger", "admin"] as const;
export type Role = (typeof roles)[number];

/** Roles are presets; the scopes that were stored are what counts (API.md, "Scopes"). */
export const presets: Record<Role, readonly Scope[]> = {
  client: ["extract:run"],
  debugger: ["extract:run", "debug:run"],
  admin: allScopes,
};

/** Who is calling. */
export interface Principal {
  keyId: string;
  role: Role | "anonymous";
  scopes: readonly Scope[];
  limits: KeyLimits;
}

/** With AUTH_ENABLED=0 every call runs as this one: all scopes but the admin ones. */
export const anonymous: Principal = {
  keyId: "anonymous",
  role: "anonymous",
  scopes: allScopes.filter((scope) => !scope.startsWith("admin:")),
  limits: noLimits,
};

/** `tmp` and `uploads` are folders of the bucket in whose place a key's id could stand (`inputs/…`). */
const reservedIds = ["shared", "tmp", "uploads", "anonymous"];

export const KeyId = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,63}$/,
    "lower-case letters, digits, - and _, at most 64, beginning with a letter or digit",
  )
  .refine((id) => !reservedIds.includes(id), "this name is reserved");

/** How the parts of a key are called towards operators. */
const named: Record<string, string> = {
  keyId: "key id",
  role: "role",
  scopes: "scopes",
  expiresAt: "expiry",
  requestsPerMinute: "requests per minute",
  itemsPerDay: "items per day",
  modelSecondsPerDay: "model seconds per day",
  maxRunItems: "items of a run",
};

const limit = z
  .number()
  .refine((value) => Number.isSafeInteger(value) && value > 0, "must be a whole number above 0")
  .nullish();

/** Limits to set; null removes one, undefined leaves it as it is. */
const Changes = z.strictObject({
  requestsPerMinute: limit,
  itemsPerDay: limit,
  modelSecondsPerDay: limit,
  maxRunItems: limit,
});
export type LimitChanges = z.input<typeof Changes>;

/** What was given in good order. @throws AppError `invalid_request` that says what is wrong. */
function checked<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new AppError(
    "invalid_request",
    parsed.error.issues
      .map(
        (issue) =>
          `${named[String(issue.path.at(-1))] ?? named[String(issue.path[0])] ?? "key"}: ${issue.message}`,
      )
      .join("; "),
  );
}

/** A key as it is listed: never its secret, never its hash. */
export interface KeyInfo {
  key_id: string;
  role: Role;
  scopes: string[];
  /** The first characters of each secret that is still good, to tell keys apart. */
  starts: string[];
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  last_used_at: string | null;
  /** Limits; null is none. */
  requests_per_minute: number | null;
  items_per_day: number | null;
  model_seconds_per_day: number | null;
  max_run_items: number | null;
}

/** A new secret, shown once. */
export interface Created extends KeyInfo {
  api_key: string;
}

/** `ocrlty_<8 of the key id's hash>_<43 random>`: 256 random bits, and a start by which a leaked key is recognised. */
const shape = /^ocrlty_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/;

function newSecret(keyId: string): string {
  const mark = createHash("sha256").update(keyId).digest("hex").slice(0, 8);
  return `ocrlty_${mark}_${Id.secret(32)}`;
}

function hashOf(apiKey: string, pepper: string): string {
  return createHmac("sha256", pepper).update(apiKey).digest("hex");
}

/** `ocrlty_`, the mark and four random characters: enough to recognise, far too little to guess. */
const startOf = (apiKey: string) => apiKey.slice(0, 20);

const pepperName = "pepper_check";

/**
 * Makes sure that this pepper is the one the stored hashes were made with. The first caller's pepper is noted.
 * @throws AppError `internal` whose message is fit for an operator's terminal when it is another one.
 */
export async function checkPepper(db: Database.Db, pepper: string): Promise<void> {
  const check = createHmac("sha256", pepper).update("ocrlty pepper check").digest("hex").slice(0, 16);
  const results = await Database.batch(db, [
    db.query.insert(settingTable).values({ name: pepperName, value: check }).onConflictDoNothing(),
    db.query.select().from(settingTable).where(eq(settingTable.name, pepperName)),
  ]);
  const stored = Database.rows(settingTable, results[1])[0]?.value ?? "";
  if (stored.length !== check.length || !timingSafeEqual(Buffer.from(stored), Buffer.from(check))) {
    throw new AppError("internal", "API_KEY_PEPPER is not the one this database's keys were made with");
  }
}

const NewKey = z.strictObject({
  keyId: KeyId,
  role: z.enum(roles),
  scopes: z.array(z.enum(allScopes)).min(1).optional(),
  expiresAt: z.date().optional(),
  // One that is set to nothing must not hide that there is none.
  limits: Changes.transform((given) => withoutUndefined(given)).optional(),
});

/**
 * Makes a key. The secret is in the answer and nowhere else.
 * @param input.scopes - instead of the role's preset; @param input.expiresAt - after which the secret is refused.
 * @param input.limits - none unless given.
 * @throws AppError `invalid_request` for a bad id, role, scope or limit, `conflict` when the id exists (revoked ones too).
 */
export async function create(
  db: Database.Db,
  pepper: string,
  input: {
    keyId: string;
    role: Role;
    scopes?: readonly string[] | undefined;
    expiresAt?: Date | undefined;
    limits?: LimitChanges | undefined;
  },
): Promise<Created> {
  const { keyId, role, expiresAt, limits, ...rest } = checked(NewKey, input);
  const apiKey = newSecret(keyId);
  const now = new Date();
  const scopes = [...new Set(rest.scopes ?? presets[role])];
  const row = { keyId, role, scopes, createdAt: now, ...noLimits, ...limits };
  // The secret hangs on the key's row by its exact creation values: when another create won, nothing is added to its key.
  const results = await Database.batch(db, [
    db.query.insert(keyTable).values(row).onConflictDoNothing(),
    {
      toSQL: () => ({
        sql: "INSERT INTO key_secret (hash, key_id, start, created_at, expires_at) SELECT ?, ?, ?, ?, ? WHERE changes() = 1",
        params: [hashOf(apiKey, pepper), keyId, startOf(apiKey), now.getTime(), expiresAt?.getTime() ?? null],
      }),
    },
  ]);
  if (results[1]?.rowsAffected !== 1)
    throw new AppError("conflict", `a key with the id ${keyId} exists already`);
  return {
    api_key: apiKey,
    ...serialize(
      { ...row, revokedAt: null, lastUsedAt: null },
      [{ start: startOf(apiKey), expiresAt: expiresAt ?? null }],
      now,
    ),
  };
}

/** Every key, oldest first. */
export async function list(db: Database.Db): Promise<KeyInfo[]> {
  const now = new Date();
  const [keys, secrets] = await Database.batch(
    db,
    [
      db.query.select().from(keyTable).orderBy(asc(keyTable.createdAt), asc(keyTable.keyId)),
      db.query.select().from(keySecretTable).orderBy(asc(keySecretTable.createdAt)),
    ],
    "read",
  );
  const byKey = Map.groupBy(Database.rows(keySecretTable, secrets), (row) => row.keyId);
  return Database.rows(keyTable, keys).map((row) => serialize(row, byKey.get(row.keyId) ?? [], now));
}

/**
 * Changes a key's limits; instances that have it cached go by the old ones for 60 s at most. What was used today counts
 * under the new ones.
 * @throws AppError `invalid_request` for a bad limit or none at all, `not_found`.
 */
export async function update(db: Database.Db, keyId: string, limits: LimitChanges): Promise<KeyInfo> {
  const changes = withoutUndefined(checked(Changes, limits));
  if (Object.keys(changes).length === 0)
    throw new AppError("invalid_request", "there is nothing to change: name at least one limit");
  await Database.batch(db, [db.query.update(keyTable).set(changes).where(eq(keyTable.keyId, keyId))]);
  return info(db, keyId);
}

function withoutUndefined(limits: z.output<typeof Changes>): Partial<KeyLimits> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

async function info(db: Database.Db, keyId: string): Promise<KeyInfo> {
  const key = (await list(db)).find((each) => each.key_id === keyId);
  if (key === undefined) throw new AppError("not_found", "there is no key with this id");
  return key;
}

/**
 * Refuses the key from now on; instances that have it cached do so after 60 s at most.
 * @throws AppError `not_found`. Revoking twice is fine and keeps the first time.
 */
export async function revoke(db: Database.Db, keyId: string): Promise<KeyInfo> {
  await Database.batch(db, [
    db.query
      .update(keyTable)
      .set({ revokedAt: new Date() })
      .where(and(eq(keyTable.keyId, keyId), isNull(keyTable.revokedAt))),
  ]);
  return info(db, keyId);
}

/**
 * Gives the key a new secret; the old ones stay good for `overlapMs` and no longer than they were.
 * @throws AppError `not_found`, or `conflict` for a revoked key.
 */
export async function rotate(
  db: Database.Db,
  pepper: string,
  input: { keyId: string; overlapMs: number; expiresAt?: Date | undefined },
): Promise<Created> {
  const now = new Date();
  const apiKey = newSecret(input.keyId);
  const overlapEnd = now.getTime() + input.overlapMs;
  const alive = and(eq(keyTable.keyId, input.keyId), isNull(keyTable.revokedAt));
  const results = await Database.batch(db, [
    db.query
      .update(keySecretTable)
      .set({ expiresAt: sql`min(coalesce(${keySecretTable.expiresAt}, ${overlapEnd}), ${overlapEnd})` })
      .where(
        sql`${keySecretTable.keyId} IN (SELECT key_id FROM "key" WHERE key_id = ${input.keyId} AND revoked_at IS NULL)`,
      ),
    {
      toSQL: () => ({
        sql: 'INSERT INTO key_secret (hash, key_id, start, created_at, expires_at) SELECT ?, key_id, ?, ?, ? FROM "key" WHERE key_id = ? AND revoked_at IS NULL',
        params: [
          hashOf(apiKey, pepper),
          startOf(apiKey),
          now.getTime(),
          input.expiresAt?.getTime() ?? null,
          input.keyId,
        ],
      }),
    },
    // What expired long ago is of no use to anybody.
    db.query
      .delete(keySecretTable)
      .where(and(eq(keySecretTable.keyId, input.keyId), lt(keySecretTable.expiresAt, now))),
    db.query.select().from(keyTable).where(alive),
    db.query
      .select()
      .from(keySecretTable)
      .where(eq(keySecretTable.keyId, input.keyId))
      .orderBy(asc(keySecretTable.createdAt)),
  ]);
  const key = Database.rows(keyTable, results[3])[0];
  if (key === undefined) {
    const exists = (await list(db)).some((each) => each.key_id === input.keyId);
    throw exists
      ? new AppError("conflict", "this key is revoked: create another one")
      : new AppError("not_found", "there is no key with this id");
  }
  return { api_key: apiKey, ...serialize(key, Database.rows(keySecretTable, results[4]), now) };
}

/** True when this text is a good key of `keyId`; for start-up checks, uncached. */
export async function isValid(
  db: Database.Db,
  pepper: string,
  apiKey: string,
  keyId: string,
): Promise<boolean> {
  if (!shape.test(apiKey)) return false;
  return (await lookup(db, hashOf(apiKey, pepper), new Date()))?.principal.keyId === keyId;
}

interface Known {
  /** Undefined: refused. */
  principal: Principal | undefined;
  expiresAt: number;
  checkedAt: number;
}

/** Both kinds of answer are kept, a bounded number of each: a flood of wrong keys must not push out the good ones. */
const cacheSize = 1_000;

/** Verifies keys for one instance, with its cache. */
export function verifier(
  db: () => Database.Db,
  pepper: string,
  times: Pick<Limits.Times, "keyCacheMs" | "keyLastUsedMs">,
) {
  const good = new Map<string, Known>();
  const refused = new Map<string, Known>();

  const remember = (hash: string, known: Known) => {
    const map = known.principal === undefined ? refused : good;
    map.delete(hash);
    map.set(hash, known);
    if (map.size > cacheSize) map.delete(map.keys().next().value as string);
  };

  /**
   * The principal behind a key, or undefined when it is malformed, unknown, revoked or expired: callers answer
   * all of these alike. One SQL read per key and minute, none at all for a key of the wrong shape.
   * @throws AppError `storage_unavailable`.
   */
  return async function verify(apiKey: string | undefined): Promise<Principal | undefined> {
    if (apiKey === undefined || !shape.test(apiKey)) return undefined;
    const hash = hashOf(apiKey, pepper);
    const now = Date.now();
    const known = good.get(hash) ?? refused.get(hash);
    if (known !== undefined && now - known.checkedAt < times.keyCacheMs) {
      return known.principal !== undefined && now < known.expiresAt ? known.principal : undefined;
    }
    const found = await lookup(db(), hash, new Date(now));
    good.delete(hash);
    refused.delete(hash);
    remember(hash, { principal: found?.principal, expiresAt: found?.expiresAt ?? 0, checkedAt: now });
    if (found === undefined) return undefined;
    if (now - found.lastUsedAt >= times.keyLastUsedMs) {
      const noted = touch(db(), found.principal.keyId, now, times.keyLastUsedMs);
      // A locked database must not hold up the call for a note.
      await Promise.race([noted, new Promise((resolve) => setTimeout(resolve, touchPatienceMs).unref())]);
    }
    return found.principal;
  };
}

async function lookup(
  db: Database.Db,
  hash: string,
  now: Date,
): Promise<{ principal: Principal; expiresAt: number; lastUsedAt: number } | undefined> {
  const [row] = await Database.guard(() =>
    db.query
      .select({
        keyId: keyTable.keyId,
        role: keyTable.role,
        scopes: keyTable.scopes,
        lastUsedAt: keyTable.lastUsedAt,
        limits: {
          requestsPerMinute: keyTable.requestsPerMinute,
          itemsPerDay: keyTable.itemsPerDay,
          modelSecondsPerDay: keyTable.modelSecondsPerDay,
          maxRunItems: keyTable.maxRunItems,
        },
        expiresAt: keySecretTable.expiresAt,
      })
      .from(keySecretTable)
      .innerJoin(keyTable, eq(keyTable.keyId, keySecretTable.keyId))
      .where(
        and(
          eq(keySecretTable.hash, hash),
          isNull(keyTable.revokedAt),
          or(isNull(keySecretTable.expiresAt), gt(keySecretTable.expiresAt, now)),
        ),
      ),
  );
  if (row === undefined) return undefined;
  return {
    // A scope that no longer exists grants nothing.
    principal: {
      keyId: row.keyId,
      role: row.role,
      scopes: allScopes.filter((scope) => row.scopes.includes(scope)),
      limits: row.limits,
    },
    expiresAt: row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
    lastUsedAt: row.lastUsedAt?.getTime() ?? 0,
  };
}

/** How long a call waits for that note. */
const touchPatienceMs = 300;

/** Notes the last use, at most once a minute over all instances. A lost note is no reason to refuse the call. */
async function touch(db: Database.Db, keyId: string, now: number, everyMs: number): Promise<void> {
  try {
    await Database.batch(db, [
      db.query
        .update(keyTable)
        .set({ lastUsedAt: new Date(now) })
        .where(
          and(
            eq(keyTable.keyId, keyId),
            or(isNull(keyTable.lastUsedAt), lt(keyTable.lastUsedAt, new Date(now - everyMs))),
          ),
        ),
    ]);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
  }
}

function serialize(
  row: typeof keyTable.$inferSelect,
  secrets: { start: string; expiresAt: Date | null }[],
  now: Date,
): KeyInfo {
  const live = secrets.filter((secret) => secret.expiresAt === null || secret.expiresAt > now);
  // The key ends with its last secret.
  const ends = (live.length > 0 ? live : secrets).map(
    (secret) => secret.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
  );
  const last = Math.max(...ends);
  return {
    key_id: row.keyId,
    role: row.role,
    scopes: row.scopes,
    starts: live.map((secret) => secret.start),
    created_at: row.createdAt.toISOString(),
    expires_at: Number.isFinite(last) ? new Date(last).toISOString() : null,
    revoked_at: row.revokedAt?.toISOString() ?? null,
    last_used_at: row.lastUsedAt?.toISOString() ?? null,
    requests_per_minute: row.requestsPerMinute,
    items_per_day: row.itemsPerDay,
    model_seconds_per_day: row.modelSecondsPerDay,
    max_run_items: row.maxRunItems,
  };
}

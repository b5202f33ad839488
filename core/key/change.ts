import { and, asc, eq, isNull, lt, sql } from "drizzle-orm";
import * as z from "zod";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Issue from "#core/issue";
import { noLimits } from "#spec/key-limits";
import { scopes as allScopes } from "#spec/routes";
import * as Info from "./info.ts";
import { keySecretTable, keyTable } from "./key.sql.ts";
import { KeyId, presets, type Role, roles } from "./role.ts";
import * as Secret from "./secret.ts";

/*
 * create(…)  a key with its first secret
 * update(…)  its limits, role, scopes, expiry
 * rotate(…)  a new secret beside the old one
 * revoke(…)  refused from now on
 */

/** The parts of a key as operators see them named. */
const named: Record<string, string> = {
  keyId: "key id",
  role: "role",
  scopes: "scopes",
  expires: "expiry",
  requestsPerMinute: "requests per minute",
  itemsPerDay: "items per day",
  modelSecondsPerDay: "model seconds per day",
  maxRunItems: "items of a run",
  maxInFlight: "extracts in flight",
  maxStoredBytes: "stored bytes",
  maxStoredObjects: "stored objects",
  retentionDays: "days of retention",
};

const limit = z
  .number()
  .refine((value) => Number.isSafeInteger(value) && value > 0, "must be a whole number above 0")
  .nullish();

const limits = {
  requestsPerMinute: limit,
  itemsPerDay: limit,
  modelSecondsPerDay: limit,
  maxRunItems: limit,
  maxInFlight: limit,
  maxStoredBytes: limit,
  maxStoredObjects: limit,
  retentionDays: limit,
};
const Limits = z.strictObject(limits);
/** Limits to set; null removes one, undefined leaves it as it is. */
export type LimitChanges = z.input<typeof Limits>;

/** When a key's secrets end: on a given day, a given time after each was made, or never (null). */
const Expiry = z
  .union([z.strictObject({ at: z.date() }), z.strictObject({ afterMs: z.int().min(1) })])
  .nullable();
export type Expiry = z.output<typeof Expiry>;

const scopeList = z.array(z.enum(allScopes)).min(1);

/** The parsed input. @throws AppError `invalid_request` with what is wrong. */
function checked<T>(schema: z.ZodType<T>, input: unknown): T {
  const { data, issues } = Issue.check(schema, input);
  if (issues === undefined) return data;
  const nameOf = (path: string) => {
    const steps = path.split(".");
    return named[steps.at(-1) ?? ""] ?? named[steps[0] ?? ""] ?? "key";
  };
  throw new AppError(
    "invalid_request",
    issues.map(({ path, message }) => `${nameOf(path)}: ${message}`).join("; "),
  );
}

const NewKey = z.strictObject({
  keyId: KeyId,
  role: z.enum(roles),
  scopes: scopeList.optional(),
  expires: Expiry.optional(),
  // A limit that is set to undefined must not hide that none was given.
  limits: Limits.transform((given) => withoutUndefined(given)).optional(),
});

/**
 * Creates a key. The secret is only in the result.
 * @param input.scopes - instead of the role's preset; @param input.expires - when its secrets end; never by default.
 * @param input.limits - none by default.
 * @throws AppError `invalid_request` for a bad id, role, scope or limit, `conflict` if the id exists (also if revoked).
 */
export async function create(
  db: Database.Db,
  pepper: string,
  input: {
    keyId: string;
    role: Role;
    scopes?: readonly string[] | undefined;
    expires?: Expiry | undefined;
    limits?: LimitChanges | undefined;
  },
): Promise<Info.Created> {
  const { keyId, role, expires = null, limits, ...rest } = checked(NewKey, input);
  const apiKey = Secret.create(keyId);
  const now = new Date();
  const scopes = [...new Set(rest.scopes ?? presets[role])];
  const policy = policyOf(expires);
  const row = { keyId, role, scopes, createdAt: now, webhookVersion: 1, ...policy, ...noLimits, ...limits };
  const expiresAt = endOf(policy, now);
  // The secret is inserted only if this statement inserted the key's row: if another create was first, its key gets no
  // second secret.
  const results = await Database.batch(db, [
    db.query.insert(keyTable).values(row).onConflictDoNothing(),
    {
      toSQL: () => ({
        sql: "INSERT INTO key_secret (hash, key_id, start, created_at, expires_at) SELECT ?, ?, ?, ?, ? WHERE changes() = 1",
        params: [
          Secret.hashOf(apiKey, pepper),
          keyId,
          Secret.startOf(apiKey),
          now.getTime(),
          expiresAt?.getTime() ?? null,
        ],
      }),
    },
  ]);
  if (results[1]?.rowsAffected !== 1)
    throw new AppError("conflict", `a key with the id ${keyId} exists already`, {
      details: { reason: "key_exists" },
    });
  return {
    api_key: apiKey,
    ...Info.serialize(
      { ...row, revokedAt: null, lastUsedAt: null, webhookOverlapUntil: null },
      [{ start: Secret.startOf(apiKey), expiresAt }],
      now,
    ),
  };
}

type Policy = Pick<typeof keyTable.$inferSelect, "lifetimeMs" | "endsAt">;

function policyOf(expires: Expiry): Policy {
  return {
    lifetimeMs: expires !== null && "afterMs" in expires ? expires.afterMs : null,
    endsAt: expires !== null && "at" in expires ? expires.at : null,
  };
}

/** The end of a secret that is made now. */
function endOf({ lifetimeMs, endsAt }: Policy, now: Date): Date | null {
  return lifetimeMs === null ? endsAt : new Date(now.getTime() + lifetimeMs);
}

const Changes = z.strictObject({
  ...limits,
  role: z.enum(roles).optional(),
  scopes: scopeList.optional(),
  expires: Expiry.optional(),
});

/**
 * Changes a key; instances use the cached old values for 60 s at most. Today's usage counts under the new limits. A
 * role sets its preset of scopes unless scopes are given. With a new expiry, the newest secret ends as one made now
 * would, even if it had expired; older ones end no later than that.
 * @throws AppError `invalid_request` for a bad value or no change at all, `not_found`.
 */
export async function update(
  db: Database.Db,
  keyId: string,
  changes: LimitChanges & {
    role?: Role | undefined;
    scopes?: readonly string[] | undefined;
    expires?: Expiry | undefined;
  },
): Promise<Info.KeyInfo> {
  const { expires, role, ...given } = checked(Changes, changes);
  const scopes = given.scopes ?? (role && presets[role]);
  const now = new Date();
  const policy = expires === undefined ? undefined : policyOf(expires);
  const columns = {
    ...withoutUndefined(given),
    ...(role === undefined ? {} : { role }),
    ...(scopes === undefined ? {} : { scopes: [...new Set(scopes)] }),
    ...policy,
  };
  if (Object.keys(columns).length === 0)
    throw new AppError("invalid_request", "there is nothing to change: name at least one new value");
  await Database.batch(db, [
    db.query.update(keyTable).set(columns).where(eq(keyTable.keyId, keyId)),
    ...(policy === undefined ? [] : endings(db, keyId, endOf(policy, now))),
  ]);
  return Info.get(db, keyId);
}

const newest = (keyId: string) =>
  sql`(SELECT hash FROM key_secret WHERE key_id = ${keyId} ORDER BY created_at DESC, rowid DESC LIMIT 1)`;

function endings(db: Database.Db, keyId: string, end: Date | null): Database.Statement[] {
  const mine = eq(keySecretTable.keyId, keyId);
  return [
    db.query
      .update(keySecretTable)
      .set({ expiresAt: end })
      .where(and(mine, sql`${keySecretTable.hash} = ${newest(keyId)}`)),
    ...(end === null
      ? []
      : [
          db.query
            .update(keySecretTable)
            .set({ expiresAt: end })
            .where(
              and(mine, sql`coalesce(${keySecretTable.expiresAt}, ${end.getTime()} + 1) > ${end.getTime()}`),
            ),
        ]),
  ];
}

function withoutUndefined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/**
 * Revokes the key; instances refuse it after 60 s at most. Its runs get no further messages
 * (core/run/dispatch/window.ts). core/purge/stop.ts shows and stops the rest of its work.
 * @throws AppError `not_found`. Revoking again is allowed and keeps the first time.
 */
export async function revoke(db: Database.Db, keyId: string): Promise<Info.KeyInfo> {
  await Database.batch(db, [
    db.query
      .update(keyTable)
      .set({ revokedAt: new Date() })
      .where(and(eq(keyTable.keyId, keyId), isNull(keyTable.revokedAt))),
  ]);
  return Info.get(db, keyId);
}

/**
 * Gives the key a new secret. The old ones stay valid for `overlapMs`, but not longer than before. The new one ends by
 * the key's expiry: on its day, or a given time from now.
 * @param input.expires - another expiry, for this secret and later ones.
 * @throws AppError `not_found`; `conflict` for a revoked key, and for one whose day is over if no other is given.
 */
export async function rotate(
  db: Database.Db,
  pepper: string,
  input: { keyId: string; overlapMs: number; expires?: Expiry | undefined },
): Promise<Info.Created> {
  const { keyId } = input;
  const now = new Date();
  const apiKey = Secret.create(keyId);
  const hash = Secret.hashOf(apiKey, pepper);
  const overlapEnd = now.getTime() + input.overlapMs;
  const alive = and(eq(keyTable.keyId, keyId), isNull(keyTable.revokedAt));
  const policy = input.expires === undefined ? undefined : policyOf(input.expires);
  const end = sql`CASE WHEN lifetime_ms IS NULL THEN ends_at ELSE ${now.getTime()} + lifetime_ms END`;
  const results = await Database.batch(db, [
    ...(policy === undefined ? [] : [db.query.update(keyTable).set(policy).where(alive)]),
    Database.statement(sql`INSERT INTO key_secret (hash, key_id, start, created_at, expires_at)
      SELECT ${hash}, key_id, ${Secret.startOf(apiKey)}, ${now.getTime()}, ${end} FROM "key"
      WHERE key_id = ${keyId} AND revoked_at IS NULL AND coalesce(${end}, ${now.getTime()} + 1) > ${now.getTime()}`),
    db.query
      .update(keySecretTable)
      .set({ expiresAt: sql`min(coalesce(${keySecretTable.expiresAt}, ${overlapEnd}), ${overlapEnd})` })
      .where(
        sql`${keySecretTable.keyId} = ${keyId} AND ${keySecretTable.hash} <> ${hash}
          AND EXISTS (SELECT 1 FROM key_secret AS made WHERE made.hash = ${hash})`,
      ),
    // Secrets that expired long ago are deleted.
    db.query
      .delete(keySecretTable)
      .where(and(eq(keySecretTable.keyId, keyId), lt(keySecretTable.expiresAt, now))),
    db.query.select().from(keyTable).where(alive),
    db.query
      .select()
      .from(keySecretTable)
      .where(eq(keySecretTable.keyId, keyId))
      .orderBy(asc(keySecretTable.createdAt)),
  ]);
  const [made, , , keys, secrets] = results.slice(policy === undefined ? 0 : 1);
  const key = Database.rows(keyTable, keys)[0];
  if (key === undefined) {
    await Info.get(db, keyId);
    throw new AppError("conflict", "this key is revoked: create another one", {
      details: { reason: "key_revoked" },
    });
  }
  if (made?.rowsAffected !== 1)
    throw new AppError("conflict", "this key has expired: say when its new secret is to end", {
      details: { reason: "key_expired" },
    });
  return { api_key: apiKey, ...Info.serialize(key, Database.rows(keySecretTable, secrets), now) };
}

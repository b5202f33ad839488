import { createHmac, timingSafeEqual } from "node:crypto";
import { and, eq, gt, isNull, lt, or } from "drizzle-orm";
import * as Database from "#core/db/database";
import { settingTable } from "#core/db/setting.sql";
import { AppError } from "#core/error";
import { type KeyLimits, noLimits } from "#spec/key-limits";
import type * as Limits from "#spec/limits";
import { scopes as allScopes, type Scope } from "#spec/routes";
import { keySecretTable, keyTable } from "./key.sql.ts";
import type { Role } from "./role.ts";
import * as Secret from "./secret.ts";

export { create, type LimitChanges, revoke, rotate, update } from "./change.ts";
export { type Created, type KeyInfo, list } from "./info.ts";
export { type Role, roles } from "./role.ts";

/** Who is calling. */
export interface Principal {
  keyId: string;
  role: Role | "anonymous";
  scopes: readonly Scope[];
  limits: KeyLimits;
}

/** The principal of every call with AUTH_ENABLED=0: all scopes but the admin ones. */
export const anonymous: Principal = {
  keyId: "anonymous",
  role: "anonymous",
  scopes: allScopes.filter((scope) => !scope.startsWith("admin:")),
  limits: noLimits,
};

const pepperName = "pepper_check";

/**
 * Checks that the stored hashes were made with this pepper. The first call stores a fingerprint of its pepper.
 * @throws AppError `internal`, with a message for the operator, if it is another one.
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

/** True if this text is a valid key of `keyId`; for start-up checks, uncached. */
export async function isValid(
  db: Database.Db,
  pepper: string,
  apiKey: string,
  keyId: string,
): Promise<boolean> {
  if (!Secret.shape.test(apiKey)) return false;
  return (await lookup(db, Secret.hashOf(apiKey, pepper), new Date()))?.principal.keyId === keyId;
}

interface Known {
  /** Undefined: refused. */
  principal: Principal | undefined;
  expiresAt: number;
  checkedAt: number;
}

/**
 * Accepted and refused keys are cached separately, a bounded number of each: a flood of wrong keys must not evict the
 * valid ones.
 */
const cacheSize = 1_000;

/** A verifier of keys for one instance, with its cache. */
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
   * The principal of a key; undefined if it is malformed, unknown, revoked or expired, which callers answer alike. One
   * SQL read per key and minute, and none for a key of the wrong form.
   * @throws AppError `storage_unavailable`.
   */
  return async function verify(apiKey: string | undefined): Promise<Principal | undefined> {
    if (apiKey === undefined || !Secret.shape.test(apiKey)) return undefined;
    const hash = Secret.hashOf(apiKey, pepper);
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
      // A locked database must not delay the call for this update.
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
  const [row] = await Database.read(
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
          maxInFlight: keyTable.maxInFlight,
          maxStoredBytes: keyTable.maxStoredBytes,
          maxStoredObjects: keyTable.maxStoredObjects,
          retentionDays: keyTable.retentionDays,
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

/** How long a call waits for this update. */
const touchPatienceMs = 300;

/** Stores the time of the last use, at most once a minute over all instances. If that fails, the call goes on. */
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

import { asc } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import { keySecretTable, keyTable } from "./key.sql.ts";
import type { Role } from "./role.ts";

/** A key as listed: without secret and hash. */
export interface KeyInfo {
  key_id: string;
  role: Role;
  scopes: string[];
  /** The first characters of each valid secret, to tell keys apart. */
  starts: string[];
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  last_used_at: string | null;
  /** Lifetime of each new secret; null: until `expires_at`, or forever. */
  lifetime_ms: number | null;
  /** Limits; null is none. */
  requests_per_minute: number | null;
  items_per_day: number | null;
  model_seconds_per_day: number | null;
  max_run_items: number | null;
  max_in_flight: number | null;
  max_stored_bytes: number | null;
  max_stored_objects: number | null;
  /** Days after which the key's work is removed; null: as in `RETENTION_DAYS`. */
  retention_days: number | null;
}

/** A new secret, shown once. */
export interface Created extends KeyInfo {
  api_key: string;
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

/** @throws AppError `not_found`. */
export async function get(db: Database.Db, keyId: string): Promise<KeyInfo> {
  const key = (await list(db)).find((each) => each.key_id === keyId);
  if (key === undefined) throw new AppError("not_found", "there is no key with this id");
  return key;
}

/** A row as listed. */
export function serialize(
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
    lifetime_ms: row.lifetimeMs,
    requests_per_minute: row.requestsPerMinute,
    items_per_day: row.itemsPerDay,
    model_seconds_per_day: row.modelSecondsPerDay,
    max_run_items: row.maxRunItems,
    max_in_flight: row.maxInFlight,
    max_stored_bytes: row.maxStoredBytes,
    max_stored_objects: row.maxStoredObjects,
    retention_days: row.retentionDays,
  };
}

import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";

/** A key whose last secret expires. */
interface Ending {
  keyId: string;
  endsAt: Date;
  /** Lifetime of its secrets. */
  lifetimeMs: number;
}

/**
 * Keys whose last secret expires between two times (epoch milliseconds, both excluded), soonest first, at most `most`;
 * revoked keys are left out. Reads only these rows.
 * @throws AppError `storage_unavailable`.
 */
export async function between(
  db: Database.Db,
  { from, to, most }: { from: number; to: number; most: number },
): Promise<Ending[]> {
  const [result] = await Database.batch(
    db,
    [
      Database.statement(sql`SELECT s.key_id, s.expires_at, k.created_at, k.lifetime_ms
        FROM key_secret AS s JOIN "key" AS k ON k.key_id = s.key_id
        WHERE s.expires_at > ${from} AND s.expires_at < ${to} AND k.revoked_at IS NULL AND NOT EXISTS (
          SELECT 1 FROM key_secret AS other WHERE other.key_id = s.key_id
            AND (other.expires_at IS NULL OR other.expires_at > s.expires_at))
        ORDER BY s.expires_at LIMIT ${most}`),
    ],
    "read",
  );
  return (result?.rows ?? []).map((row) => {
    const end = Number(row.expires_at);
    const lifetimeMs = row.lifetime_ms === null ? end - Number(row.created_at) : Number(row.lifetime_ms);
    return { keyId: String(row.key_id), endsAt: new Date(end), lifetimeMs };
  });
}

import { createHmac } from "node:crypto";
import { and, eq, sql } from "drizzle-orm";
import { Webhook } from "standardwebhooks";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import { keyTable } from "#core/key/key.sql";

/*
 * The secrets that sign webhooks. Each key has its own, derived from the stage's secret, so that a receiver that
 * knows one key's secret cannot sign for another. Only a version is stored.
 * of(…)      the secrets that sign a key's calls
 * rotate(…)  the next version, together with the previous one for a while
 */

/** The columns of a key for its webhooks; undefined if no keys are used. */
type Versioned = Pick<typeof keyTable.$inferSelect, "webhookVersion" | "webhookOverlapUntil"> | undefined;

/**
 * The secret of a version, in the form of the Standard Webhooks scheme: HMAC-SHA256 of the key's id and the version
 * under the stage's secret. Ids contain no `.`, so no two texts are equal.
 */
export function derive(stageSecret: string, keyId: string, version: number): string {
  const stage = Buffer.from(stageSecret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", stage).update(`ocrlty webhook secret.${keyId}.${version}`);
  return `whsec_${mac.digest("base64")}`;
}

/** All secrets that sign a key's calls now, newest first: two while the key's or the stage's secret is replaced. */
function secretsOf(stageSecrets: readonly string[], keyId: string, key: Versioned, now: Date): string[] {
  const version = key?.webhookVersion ?? 0;
  const overlaps = key?.webhookOverlapUntil != null && key.webhookOverlapUntil > now;
  const versions = overlaps ? [version, version - 1] : [version];
  return versions
    .filter((each) => each >= 0)
    .flatMap((each) => stageSecrets.map((secret) => (each === 0 ? secret : derive(secret, keyId, each))));
}

/** Reads the key's row and returns the same. @throws AppError `storage_unavailable`. */
export async function of(db: Database.Db, stageSecrets: readonly string[], keyId: string): Promise<string[]> {
  return secretsOf(stageSecrets, keyId, await find(db, keyId), new Date());
}

async function find(db: Database.Db, keyId: string): Promise<Versioned> {
  const { webhookVersion, webhookOverlapUntil } = keyTable;
  const [row] = await Database.read(
    db.query.select({ webhookVersion, webhookOverlapUntil }).from(keyTable).where(eq(keyTable.keyId, keyId)),
  );
  return row;
}

const unknown = () => new AppError("not_found", "there is no key with this id");

/** The signatures of a key's calls, for its owner. */
interface Shown {
  key_id: string;
  /** Null for the stage's secret, which other keys share. */
  version: number | null;
  secret: string;
  /** Until when the previous secret signs as well; null if it does not. */
  overlap_until: string | null;
}

/** @throws AppError `not_found`, `internal` if the stage has no secret, `storage_unavailable`. */
export async function show(db: Database.Db, stageSecrets: readonly string[], keyId: string): Promise<Shown> {
  const key = await find(db, keyId);
  if (key === undefined) throw unknown();
  const now = new Date();
  const [secret] = secretsOf(stageSecrets, keyId, key, now);
  if (secret === undefined) throw new AppError("internal", "WEBHOOK_SECRET is not set: no webhook is called");
  const until = key.webhookOverlapUntil;
  return {
    key_id: keyId,
    version: key.webhookVersion,
    secret,
    overlap_until: until !== null && until > now ? until.toISOString() : null,
  };
}

/**
 * Signs with the next version, and for `overlapMs` also with the present one.
 * @throws AppError `conflict` during an overlap, unless `overlapMs` is 0: calls carry at most two signatures, so the
 *   previous secret would be dropped too early; `not_found`, `storage_unavailable`.
 */
export async function rotate(db: Database.Db, keyId: string, overlapMs: number): Promise<void> {
  const now = Date.now();
  const webhookOverlapUntil = overlapMs === 0 ? null : new Date(now + overlapMs);
  const overlaps = sql`coalesce(${keyTable.webhookOverlapUntil}, 0) > ${now}`;
  const [rotated] = await Database.batch(db, [
    db.query
      .update(keyTable)
      .set({ webhookVersion: sql`coalesce(${keyTable.webhookVersion}, 0) + 1`, webhookOverlapUntil })
      .where(and(eq(keyTable.keyId, keyId), overlapMs === 0 ? undefined : sql`NOT ${overlaps}`)),
  ]);
  if (rotated?.rowsAffected === 1) return;
  const until = (await find(db, keyId))?.webhookOverlapUntil;
  if (until === undefined) throw unknown();
  throw new AppError(
    "conflict",
    `calls are still signed with the secret before this one, until ${until?.toISOString()}: rotate after that, or with an overlap of 0, which ends both at once`,
    { details: { reason: "still_overlaps" } },
  );
}

/** The headers of a signed call: one signature per secret, separated by spaces, as the scheme demands. */
export function headers(
  secrets: readonly string[],
  message: { id: string; at: Date; body: string },
): Record<string, string> {
  const { id, at, body } = message;
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(" "),
  };
}

import { eq } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { settingTable } from "#core/db/setting.sql";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import { youngMs } from "./orphans.ts";

/*
 * Which database owns a bucket's pictures. Pictures without a row are removed (census.ts), but in a new or wrong
 * database, or another stage's, no picture has a row. So database and bucket store the same id, and nothing is removed
 * unless the ids match.
 */

const name = "bucket_owner";
/** At the top of the bucket, where no lifecycle rule applies. */
export const ownerRel = "ocrlty-database.txt";

/** Folders that an older version may have used before buckets had an owner. */
const folders = ["inputs/", "extracts/", "batches/"];

/**
 * True if the bucket belongs to this database. A bucket without an owner is claimed if it has no older objects, or if
 * this database has completed a walk through it (`hasWalked`), as versions before this rule always did.
 * @throws AppError `storage_unavailable`.
 */
export async function isOurs(
  { db, bucket }: { db: Database.Db; bucket: Bucket.Bucket },
  log: Log,
  { hasWalked, now }: { hasWalked: boolean; now: Date },
): Promise<boolean> {
  const id = await idOf(db);
  let owner = await ownerOf(bucket, log);
  if (owner === undefined && (hasWalked || !(await isOld(bucket, log, now)))) {
    // If two databases find it without an owner, the first one gets it.
    await Bucket.replace(bucket, log, ownerRel, { body: `${id}\n`, contentType: "text/plain", absent: true });
    owner = await ownerOf(bucket, log);
  }
  if (owner === id) return true;
  log.error("bucket_of_another_database", { has_owner: owner !== undefined });
  return false;
}

async function idOf(db: Database.Db): Promise<string> {
  const results = await Database.batch(db, [
    db.query.insert(settingTable).values({ name, value: Id.create() }).onConflictDoNothing(),
    db.query.select().from(settingTable).where(eq(settingTable.name, name)),
  ]);
  return Database.rows(settingTable, results[1])[0]?.value ?? "";
}

async function ownerOf(bucket: Bucket.Bucket, log: Log): Promise<string | undefined> {
  const bytes = await Bucket.get(bucket, log, ownerRel);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8").trim();
}

async function isOld(bucket: Bucket.Bucket, log: Log, now: Date): Promise<boolean> {
  for (const prefix of folders) {
    const { objects } = await Bucket.list(bucket, log, { prefix });
    if (objects.some(({ modified }) => now.getTime() - modified.getTime() >= youngMs)) return true;
  }
  return false;
}

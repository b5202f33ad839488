import { eq } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { settingTable } from "#core/db/setting.sql";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import { youngMs } from "./orphans.ts";

/*
 * Whose pictures lie in a bucket. A picture that no row knows is removed (census.ts); to a database that is new, another
 * stage's, or named by mistake, every picture is such a one. So database and bucket carry one id, and where it is not the
 * same nothing is removed.
 */

const name = "bucket_owner";
/** At the top of the bucket, where no lifecycle rule reaches. */
export const ownerRel = "ocrlty-database.txt";

/** What an older version may have left here before buckets had an owner. */
const folders = ["inputs/", "extracts/", "batches/"];

/**
 * Whether the bucket is this database's. One without an owner becomes it, if there is nothing old in it, or this database
 * has walked through it as its own (`hasWalked`), which versions before this rule always did.
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
    // Of two databases that find it without one, the first is it.
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

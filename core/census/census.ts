import { eq, sql } from "drizzle-orm";
import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { settingTable } from "#core/db/setting.sql";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import * as Storage from "#core/usage/storage";
import * as Orphans from "./orphans.ts";
import * as Owner from "./owner.ts";

/*
 * A walk over the whole bucket, a few pages per minute. It counts the stored objects by key, and removes pictures
 * without a row if the bucket belongs to this database (owner.ts). A walk begins an hour after the last one began.
 */

const name = "census";
/** Time between the beginnings of two walks, unless a walk takes longer. */
const everyMs = 3_600_000;
/** Pages per step, each of at most 1,000 keys: one LIST, and one deletion per orphan. */
const pagesAtOnce = 5;
/** No page is begun after this time. */
const stepMs = 15_000;
const removals = 16;

const State = z.object({
  /** The last key that was listed; null at the end of a walk. */
  after: z.string().nullable(),
  began_at: z.number(),
  /** Changes with each page, so that of two steps with the same page only one counts it. */
  mark: z.string(),
  /**
   * True if the bucket belongs to this database. Absent in the state of an older version, whose walk ends without
   * removing anything.
   */
  ours: z.boolean().optional(),
});
type State = z.output<typeof State>;

/** The key that owns an object, by the object's key; undefined if no key owns it. */
function ownerOf(rel: string): string | undefined {
  const [first = "", second = "", third] = rel.split("/");
  if (first === "extracts" || first === "batches" || first === "evals") return third;
  if (first === "inputs") return third;
  return first === "data" || first === "backups" || first === "ground_truths" ? second : undefined;
}

/**
 * Continues a due walk by a bounded number of pages.
 * @returns the number of keys listed and removed; undefined if no walk is due.
 * @throws AppError `storage_unavailable`.
 */
export async function step(
  services: { db: Database.Db; bucket: Bucket.Bucket },
  log: Log,
  now = new Date(),
): Promise<{ seen: number; removed: number; isOver: boolean } | undefined> {
  const { db } = services;
  const stopAt = Date.now() + stepMs;
  let held = await state(db);
  if (held !== undefined && held.after === null && now.getTime() - held.began_at < everyMs) return undefined;
  const counts = { seen: 0, removed: 0, isOver: false };
  for (let page = 0; page < pagesAtOnce && !counts.isOver && Date.now() < stopAt; page += 1) {
    const begins = held === undefined || held.after === null;
    const after = begins ? "" : (held?.after ?? "");
    const found = await Bucket.list(services.bucket, log, {
      prefix: "",
      ...(after === "" ? {} : { startAfter: after }),
    });
    const ours = begins
      ? await Owner.isOurs(services, log, { hasWalked: held !== undefined && held.ours !== false, now })
      : held?.ours === true;
    const orphans = ours
      ? await removed(services.bucket, log, await Orphans.among(db, found.objects, now))
      : [];
    counts.isOver = found.next === undefined;
    const next: State = {
      after: counts.isOver ? null : (found.objects.at(-1)?.rel ?? null),
      began_at: begins || held === undefined ? now.getTime() : held.began_at,
      mark: Id.secret(9),
      ours,
    };
    const gone = new Set(orphans);
    const left = found.objects.filter(({ rel }) => !gone.has(rel));
    if (!(await write(db, { held, next, begins, now }, left))) break;
    held = next;
    counts.seen += found.objects.length;
    counts.removed += orphans.length;
  }
  if (counts.removed > 0 || counts.isOver)
    log.info("census", { objects: counts.seen, orphans_removed: counts.removed, finished: counts.isOver });
  return counts;
}

/** Removes these objects. A failed removal does not stop the walk. @returns the removed ones. */
async function removed(bucket: Bucket.Bucket, log: Log, rels: readonly string[]): Promise<string[]> {
  const gone: string[] = [];
  for (let i = 0; i < rels.length; i += removals) {
    const some = rels.slice(i, i + removals);
    const outcomes = await Promise.allSettled(some.map((rel) => Bucket.remove(bucket, log, rel)));
    gone.push(...some.filter((_, at) => outcomes[at]?.status === "fulfilled"));
    // All failed, so the bucket is unavailable: further calls would only time out, too.
    if (outcomes.every(({ status }) => status === "rejected") && i + removals < rels.length) break;
  }
  if (gone.length < rels.length)
    log.error("orphans_not_removed", { objects: rels.length - gone.length, code: "storage_unavailable" });
  return gone;
}

async function state(db: Database.Db): Promise<State | undefined> {
  const [row] = await Database.read(db.query.select().from(settingTable).where(eq(settingTable.name, name)));
  try {
    return row === undefined ? undefined : State.parse(JSON.parse(row.value));
  } catch {
    return undefined;
  }
}

/** Writes a page's counts together with the place; writes nothing if another step was faster. */
async function write(
  db: Database.Db,
  { held, next, begins, now }: { held: State | undefined; next: State; begins: boolean; now: Date },
  objects: readonly { rel: string; bytes: number }[],
): Promise<boolean> {
  const sums = new Map<string, Storage.Amount>();
  for (const { rel, bytes } of objects) {
    const owner = ownerOf(rel);
    if (owner === undefined) continue;
    const sum = sums.get(owner) ?? { bytes: 0, objects: 0 };
    sums.set(owner, { bytes: sum.bytes + bytes, objects: sum.objects + 1 });
  }
  const value = JSON.stringify(next);
  const isOurs = sql`EXISTS (SELECT 1 FROM ${settingTable} WHERE name = ${name} AND value = ${value})`;
  const [moved] = await Database.batch(db, [
    held === undefined
      ? Database.statement(sql`INSERT INTO ${settingTable} (name, value) VALUES (${name}, ${value})
          ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
      : Database.statement(sql`UPDATE ${settingTable} SET value = ${value}
          WHERE name = ${name} AND value = ${JSON.stringify(held)}`),
    ...(begins ? [Storage.beginPass(isOurs)] : []),
    Storage.countPage(sums, isOurs),
    ...(next.after === null ? [Storage.endPass(now, isOurs)] : []),
  ]);
  return moved?.rowsAffected === 1;
}

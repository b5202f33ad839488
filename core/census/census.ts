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
 * A walk over the whole bucket, page by page and a few pages a minute: it counts what lies there by key, and removes
 * pictures that no row knows, if the bucket is this database's (owner.ts). It begins again an hour after the last one began.
 */

const name = "census";
/** Between the beginnings of two walks, where one does not take longer. */
const everyMs = 3_600_000;
/** Pages of a step, each of at most 1,000 keys: one LIST, and as many deletions as there are orphans. */
const pagesAtOnce = 5;
/** No page is begun after this. */
const stepMs = 15_000;
const removals = 16;

const State = z.object({
  /** The last key that was seen; null: the walk is over. */
  after: z.string().nullable(),
  began_at: z.number(),
  /** Another one with each page, so that of two steps that see the same page one counts it. */
  mark: z.string(),
  /** The bucket is this database's. Absent in the state of an older version, whose walk ends without removing anything. */
  ours: z.boolean().optional(),
});
type State = z.output<typeof State>;

/** Whose an object is, by its key; undefined for what is no key's. */
export function ownerOf(rel: string): string | undefined {
  const [first = "", second = "", third] = rel.split("/");
  if (first === "extracts" || first === "batches" || first === "evals") return third;
  if (first === "inputs") return third;
  return first === "data" || first === "backups" || first === "ground_truths" ? second : undefined;
}

/**
 * Goes a bounded part further, if a walk is due.
 * @returns how many keys were seen and removed; undefined when none is due.
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

/** Removes these objects. One that cannot be removed does not stop the walk. @returns those that are gone. */
async function removed(bucket: Bucket.Bucket, log: Log, rels: readonly string[]): Promise<string[]> {
  const gone: string[] = [];
  for (let i = 0; i < rels.length; i += removals) {
    const some = rels.slice(i, i + removals);
    const outcomes = await Promise.allSettled(some.map((rel) => Bucket.remove(bucket, log, rel)));
    gone.push(...some.filter((_, at) => outcomes[at]?.status === "fulfilled"));
    // It is away, not unwilling: the rest would only wait for it, too.
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

/** What a page adds, together with the place; nothing when another step was here. */
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

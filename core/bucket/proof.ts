import { eq } from "drizzle-orm";
import * as z from "zod";
import * as Database from "#core/db/database";
import { settingTable as setting } from "#core/db/setting.sql";
import { from } from "#core/error";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import type { Times } from "#spec/limits";
import * as Bucket from "./bucket.ts";

/*
 * Everything that happens exactly once hangs on one promise of the bucket: a write with `If-None-Match: *` is refused
 * where something is. A server that does not know the condition ignores it without a word, and overwrites. So it is
 * tried out, and what came of it is kept: nobody has to believe a table of servers.
 */

export const Proof = z.object({
  ok: z.boolean(),
  /** When it was tried, ISO 8601. */
  at: z.string(),
  /** `overwritten`: the second write went through. `refused`: already the first did not. */
  error: z.enum(["overwritten", "refused"]).optional(),
});
export type Proof = z.output<typeof Proof>;

const name = "bucket_proof";

/** Two conditional writes of one new name, and a look at what is there; it is gone afterwards. @throws AppError `storage_unavailable`. */
export async function prove(bucket: Bucket.Bucket, log: Log): Promise<Proof> {
  const rel = `inputs/tmp/_probe/${Id.create()}`;
  const write = (body: string) =>
    Bucket.replace(bucket, log, rel, { body, contentType: "text/plain", absent: true });
  try {
    const first = await write("1");
    const second = await write("2");
    const stored = Buffer.from((await Bucket.get(bucket, log, rel)) ?? "").toString();
    const error = second !== undefined || stored === "2" ? "overwritten" : "refused";
    const ok = first !== undefined && second === undefined && stored === "1";
    return { ok, at: new Date().toISOString(), ...(ok ? {} : { error }) };
  } finally {
    // The bucket's lifecycle has the rest.
    await Bucket.remove(bucket, log, rel).catch(() => undefined);
  }
}

/** Keeps what came of it, for `/readyz` and the next day. @throws AppError `storage_unavailable`. */
export async function keep(db: Database.Db, proof: Proof): Promise<void> {
  const value = JSON.stringify(proof);
  await Database.batch(db, [
    db.query
      .insert(setting)
      .values({ name, value })
      .onConflictDoUpdate({ target: setting.name, set: { value } }),
  ]);
}

/** What came of it last; undefined: it was never tried. One read, by primary key. @throws AppError `storage_unavailable`. */
export async function last(db: Database.Db): Promise<Proof | undefined> {
  const [row] = await Database.read(db.query.select().from(setting).where(eq(setting.name, name)));
  return row === undefined ? undefined : Proof.safeParse(JSON.parse(row.value)).data;
}

/** Tries it out if the last trial is more than a day old. Never throws: the caller has other work to do. */
export async function daily(
  { db, bucket, times }: { db: Database.Db; bucket: Bucket.Bucket; times: Times },
  log: Log,
): Promise<void> {
  try {
    const known = await last(db);
    if (known !== undefined && Date.now() - Date.parse(known.at) < times.bucketProofMs) return;
    const proof = await prove(bucket, log);
    await keep(db, proof);
    const facts = { ok: proof.ok, error: proof.error };
    if (proof.ok || bucket.settings.allowOverwrite) log.info("bucket_proof", facts);
    else log.error("bucket_proof", facts);
  } catch (thrown) {
    log.warn("bucket_not_proven", { code: from(thrown).code });
  }
}

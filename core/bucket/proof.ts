import { createHash } from "node:crypto";
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
 * Exactly-once behavior depends on one guarantee of the bucket: a write with `If-None-Match: *` is refused if the
 * object exists. A server that does not support the condition silently ignores it and overwrites. So the guarantee is
 * tested and the result stored; no list of supported servers is needed.
 */

export const Proof = z.object({
  ok: z.boolean(),
  /** Time of the test, ISO 8601. */
  at: z.string(),
  /** `overwritten`: the second write succeeded. `refused`: the first one failed. */
  error: z.enum(["overwritten", "refused"]).optional(),
  /** It refuses bytes that are not those of `x-amz-checksum-sha256`. Absent: not tested. */
  checksum: z.boolean().optional(),
});
export type Proof = z.output<typeof Proof>;

const name = "bucket_proof";

/**
 * Makes two conditional writes of one new name, reads the object, and removes it. @throws AppError
 * `storage_unavailable`.
 */
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
    const checksum = await comparesChecksums(bucket, Bucket.absolute(bucket, rel));
    return { ok, at: new Date().toISOString(), ...(ok ? {} : { error }), checksum };
  } finally {
    // If this fails, the bucket's lifecycle rule removes it.
    await Bucket.remove(bucket, log, rel).catch(() => undefined);
  }
}

/** Whether bytes of another SHA-256 are refused, and the right ones taken: some servers ignore the header, or refuse all. */
async function comparesChecksums(
  { client, settings, timeoutMs }: Bucket.Bucket,
  Key: string,
): Promise<boolean> {
  const sum = (text: string) => createHash("sha256").update(text).digest("base64");
  const write = (ChecksumSHA256: string) =>
    client
      .send(
        "PutObject",
        { Bucket: settings.bucket, Key, Body: "3", ChecksumSHA256 },
        {
          abortSignal: AbortSignal.timeout(timeoutMs),
        },
      )
      .then(
        () => true,
        () => false,
      );
  return (await write(sum("3"))) && !(await write(sum("4")));
}

/** Stores the result, for `/readyz` and the next day. @throws AppError `storage_unavailable`. */
export async function keep(db: Database.Db, proof: Proof): Promise<void> {
  const value = JSON.stringify(proof);
  await Database.batch(db, [
    db.query
      .insert(setting)
      .values({ name, value })
      .onConflictDoUpdate({ target: setting.name, set: { value } }),
  ]);
}

/** The last result; undefined if there is none. One read, by primary key. @throws AppError `storage_unavailable`. */
export async function last(db: Database.Db): Promise<Proof | undefined> {
  const [row] = await Database.read(db.query.select().from(setting).where(eq(setting.name, name)));
  return row === undefined ? undefined : Proof.safeParse(JSON.parse(row.value)).data;
}

/** Repeats the test if the last one is more than a day old. Never throws: the caller has other work to do. */
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

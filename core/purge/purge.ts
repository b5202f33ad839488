import { eq, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as ModelTime from "#core/cost/model-time";
import * as Database from "#core/db/database";
import { keySecretTable, keyTable } from "#core/key/key.sql";
import type { Log } from "#core/log";
import * as Due from "#core/run/notify/due";
import { runTable } from "#core/run/run.sql";
import * as Inputs from "#core/run/source/inputs";
import * as Items from "#core/run/source/items";

/**
 * Removes everything of a revoked key, for an operator who removes a tenant. A purge that was interrupted is simply
 * repeated and continues with what is left. The key's row stays, revoked and without scopes, so that its id, which
 * backups may contain, is not reused. Backups that another key made of all artifacts expire after a day.
 */
interface Purged {
  objects: number;
  runs: number;
  items: number;
  extracts: number;
  uploads: number;
}

/** Rows per statement. */
const chunk = 5_000;
const runsAtOnce = 100;

/** Folders of the bucket that have a folder per key: directly, or below a folder per day. */
const folders = [
  "data",
  "backups",
  "ground_truths",
  "inputs/uploads",
  "inputs/tmp",
  "inputs/runs",
  "inputs/manifests",
];
const folderByDay = ["extracts", "batches", "evals"];

/** Other tables with rows by key. A test compares them with the schema. */
export const counters = [
  "ground_truth",
  "evaluation",
  "webhook_due",
  "idempotency",
  "usage",
  "request_count",
  "storage",
] as const;

/**
 * Until when objects of the key may still arrive: a signed upload URL works until it expires, and instances with a
 * cached key issued such URLs for a while after the revocation. The census removes pictures that arrive later. It does
 * not remove files below the data root, which have no rows.
 * @param now - epoch milliseconds.
 * @returns undefined if nothing can arrive.
 */
export function openUntil(
  revokedAt: string,
  time: { presignTtlS: number; keyCacheMs: number },
  now: number,
): Date | undefined {
  const until = Date.parse(revokedAt) + time.keyCacheMs + time.presignTtlS * 1000;
  return until > now ? new Date(until) : undefined;
}

/**
 * Removes the key's objects from the bucket, then its rows.
 * @param said - called with the progress.
 * @throws AppError `storage_unavailable`: call again.
 */
export async function purge(
  stores: { db: Database.Db; bucket: Bucket.Bucket },
  log: Log,
  keyId: string,
  said: (purged: Purged) => void = () => undefined,
): Promise<Purged> {
  const { db, bucket } = stores;
  const purged: Purged = { objects: 0, runs: 0, items: 0, extracts: 0, uploads: 0 };
  const below = (prefix: string) =>
    Inputs.removeBelow(bucket, log, prefix, {
      each: (rels) => {
        purged.objects += rels.length;
        said(purged);
      },
    });
  for (const folder of folders) await below(`${folder}/${keyId}/`);
  for (const folder of folderByDay)
    for await (const day of daysOf(bucket, log, folder)) await below(`${day}${keyId}/`);

  for (;;) {
    const [found] = await Database.batch(
      db,
      [
        Database.statement(
          sql`SELECT run_uid, total FROM ${runTable} WHERE key_id = ${keyId} LIMIT ${runsAtOnce}`,
        ),
      ],
      "read",
    );
    const rows = found?.rows ?? [];
    if (rows.length === 0) break;
    for (const { run_uid: runUid, total } of rows) {
      while (!(await Items.removeRows(db, String(runUid))));
      await Database.batch(db, [
        ModelTime.forgetRun(String(runUid)),
        Database.statement(sql`DELETE FROM ${runTable} WHERE run_uid = ${String(runUid)}`),
      ]);
      purged.runs += 1;
      purged.items += Number(total);
      said(purged);
    }
  }
  purged.extracts += await removeRows(db, "extract", keyId);
  purged.uploads += await removeRows(db, "upload", keyId);
  for (const table of counters) await removeRows(db, table, keyId);
  await Database.batch(db, [
    Due.forgetHosts(keyId),
    ...ModelTime.forget(keyId),
    db.query.delete(keySecretTable).where(eq(keySecretTable.keyId, keyId)),
    db.query.update(keyTable).set({ scopes: [], lastUsedAt: null }).where(eq(keyTable.keyId, keyId)),
  ]);
  said(purged);
  return purged;
}

/** The days of a folder, as prefixes: `extracts/2026-11-23/`. */
async function* daysOf(bucket: Bucket.Bucket, log: Log, folder: string): AsyncGenerator<string> {
  for (let token: string | undefined; ; ) {
    const page = await Bucket.list(bucket, log, { prefix: `${folder}/`, delimiter: "/", token });
    yield* page.prefixes;
    token = page.next;
    if (token === undefined) return;
  }
}

async function removeRows(db: Database.Db, table: string, keyId: string): Promise<number> {
  const name = sql.identifier(table);
  for (let removed = 0; ; ) {
    const [result] = await Database.batch(db, [
      Database.statement(
        sql`DELETE FROM ${name} WHERE rowid IN (SELECT rowid FROM ${name} WHERE key_id = ${keyId} LIMIT ${chunk})`,
      ),
    ]);
    removed += result?.rowsAffected ?? 0;
    if ((result?.rowsAffected ?? 0) < chunk) return removed;
  }
}

import { createHash } from "node:crypto";
import { and, desc, eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import * as Id from "#core/id";
import * as Idempotency from "#core/idempotency/idempotency";
import type { Principal } from "#core/key/key";
import type { Log } from "#core/log";
import * as Storage from "#core/usage/storage";
import type { Times } from "#spec/limits";
import { groundTruthTable as table } from "./ground-truth.sql.ts";
import * as GroundTruth from "./ground-truth.ts";
import { type Prepared, prepare } from "./prepare.ts";
import type * as Read from "./read.ts";
import type * as Schema from "./schema.ts";
import { store } from "./store.ts";

/** The caller that stores labels. */
interface Caller {
  principal: Principal;
  idempotencyKey: string | undefined;
}

/**
 * Stores a ground truth, with all of its records or none: first the JSON lines in the bucket, then the row. If the
 * newest version of this name has the same records, that version is returned and nothing is stored.
 * @returns `isNew: false` if the version existed, also when it was found by an Idempotency-Key.
 * @throws what the records throw; AppError `forbidden` for more than the key may store (`details.limit`); `conflict`
 *   for an Idempotency-Key that was used with other labels; `storage_unavailable`.
 */
export async function create(
  stores: GroundTruth.Stores & { times: Pick<Times, "idempotencyMs"> },
  log: Log,
  given: { name: string; imageKey: string; records: AsyncIterable<Read.Raw>; fromRunId?: string },
  caller: Caller,
): Promise<{ created: Schema.Created; isNew: boolean }> {
  const prepared = await prepare(given.records);
  try {
    const { principal } = caller;
    const gtId = await idOf(stores, given, prepared, caller);
    const [same, previous] = await before(stores.db, { keyId: principal.keyId, name: given.name, gtId });
    if (same !== undefined) return { created: told(same, previous, prepared), isNew: false };
    if (previous?.sha256 === prepared.sha256 && previous.imageKey === given.imageKey)
      return { created: told(previous, undefined, prepared), isNew: false };
    const row: GroundTruth.Row = {
      gtId,
      keyId: principal.keyId,
      name: given.name,
      sha256: prepared.sha256,
      records: prepared.records,
      bytes: prepared.bytes,
      imageKey: given.imageKey,
      objectKey: `ground_truths/${principal.keyId}/${gtId}.jsonl`,
      fromRunId: given.fromRunId ?? null,
      createdAt: new Date(),
    };
    await Storage.announce(stores.db, principal, { bytes: row.bytes, objects: 1 });
    await store(stores.bucket, log, row, prepared);
    await Database.batch(stores.db, [stores.db.query.insert(table).values(row).onConflictDoNothing()]);
    return { created: told(row, previous, prepared), isNew: true };
  } finally {
    await prepared.close();
  }
}

/** The id to store under: a new one, or that of an earlier call with this Idempotency-Key. */
async function idOf(
  stores: { db: Database.Db; times: Pick<Times, "idempotencyMs"> },
  given: { name: string; imageKey: string },
  { sha256 }: Prepared,
  { principal, idempotencyKey }: Caller,
): Promise<string> {
  const proposedId = `gt_${Id.secret(18)}`;
  if (idempotencyKey === undefined) return proposedId;
  return Idempotency.resolve(stores.db, {
    keyId: principal.keyId,
    idempotencyKey,
    proposedId,
    payloadHash: hash(["ground_truth", given.name, given.imageKey, sha256]),
    ttlMs: stores.times.idempotencyMs,
  });
}

const hash = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex");

/** The ground truth with this id, and the newest other one of this name. */
async function before(
  db: Database.Db,
  { keyId, name, gtId }: { keyId: string; name: string; gtId: string },
): Promise<[GroundTruth.Row | undefined, GroundTruth.Row | undefined]> {
  const named = and(eq(table.keyId, keyId), eq(table.name, name), sql`+${table.gtId} <> ${gtId}`);
  const [mine, versions] = await Database.batch(
    db,
    [
      db.query.select().from(table).where(eq(table.gtId, gtId)),
      db.query.select().from(table).where(named).orderBy(desc(table.createdAt), desc(table.gtId)).limit(1),
    ],
    "read",
  );
  return [Database.rows(table, mine)[0], Database.rows(table, versions)[0]];
}

function told(
  row: GroundTruth.Row,
  previous: GroundTruth.Row | undefined,
  prepared: Prepared,
): Schema.Created {
  return {
    ...GroundTruth.serialize(row),
    previous: previous === undefined ? null : versionOf(previous),
    unnamed: prepared.unnamed,
    duplicates: prepared.duplicates,
    duplicate_count: prepared.duplicateCount,
  };
}

const versionOf = (row: GroundTruth.Row) => ({
  gt_id: row.gtId,
  sha256: row.sha256,
  created_at: row.createdAt.toISOString(),
});

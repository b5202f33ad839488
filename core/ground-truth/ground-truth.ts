import { and, desc, eq, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Cursor from "#core/cursor";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Principal } from "#core/key/key";
import * as Visible from "#core/key/visible";
import type { Log } from "#core/log";
import { type Row, groundTruthTable as table } from "./ground-truth.sql.ts";
import type * as Schema from "./schema.ts";

export type { Row } from "./ground-truth.sql.ts";

/*
 * find(…)   a ground truth, if the caller may see it
 * list(…)   a page of them, newest first
 * Made by create.ts, read by source.ts, removed by remove.ts.
 */

export interface Stores {
  db: Database.Db;
  bucket: Bucket.Bucket;
}

const notFound = () => new AppError("not_found", "there is no ground truth with this id", { param: "gt_id" });

/** A row as the API returns it. */
export function serialize(row: Row): Schema.GroundTruth {
  return {
    gt_id: row.gtId,
    key_id: row.keyId,
    name: row.name,
    sha256: row.sha256,
    records: row.records,
    bytes: row.bytes,
    gt_image_key: row.imageKey,
    from_run_id: row.fromRunId,
    created_at: row.createdAt.toISOString(),
  };
}

/** The requested ground truth and the caller; another key's needs the scope `admin:all_keys`. */
export interface Wanted {
  gtId: string;
  keyId?: string | undefined;
  principal: Principal;
  log: Log;
  action?: Visible.Access["action"] | undefined;
}

/** @throws AppError `not_found`, the same for unknown ids and for other keys' ids; `storage_unavailable`. */
export async function find(db: Database.Db, wanted: Wanted): Promise<Row> {
  const { gtId, principal, log, action = "read" } = wanted;
  const keyId = Visible.visibleKey(principal, wanted.keyId, { log, action, what: "ground_truth", id: gtId });
  const row = await byId(db, gtId);
  if (row === undefined || row.keyId !== keyId) throw notFound();
  return row;
}

/** The row of an id, without an access check. @throws AppError `storage_unavailable`. */
export async function byId(db: Database.Db, gtId: string): Promise<Row | undefined> {
  return (await Database.read(db.query.select().from(table).where(eq(table.gtId, gtId))))[0];
}

/** The error for labels that existed when they were named and are gone now. */
export const deleted = () =>
  new AppError("not_found", "the ground truth was deleted or replaced", {
    details: { reason: "gt_deleted" },
  });

/**
 * A page of ground truths, newest first: the caller's; with the scope `admin:all_keys` those of all keys, or of the key
 * that is named.
 * @param query.name - only versions of this name, of one key.
 * @throws AppError `invalid_request` for an invalid cursor, `not_found` for another key, `storage_unavailable`.
 */
export async function list(
  db: Database.Db,
  query: {
    principal: Principal;
    log: Log;
    keyId: string | undefined;
    name: string | undefined;
    limit: number;
    cursor: string | undefined;
  },
): Promise<{ items: Schema.GroundTruth[]; next_cursor: string | null }> {
  const { principal, log, name } = query;
  const wanted = name === undefined ? query.keyId : (query.keyId ?? principal.keyId);
  const access = { log, action: "read", what: "ground_truths" } as const;
  const keyId = Visible.visibleKey(principal, wanted, access, { all: true });
  const after = Cursor.decode(Cursor.Place, query.cursor);
  const rows = await Database.read(
    db.query
      .select()
      .from(table)
      .where(
        and(
          keyId === undefined ? undefined : eq(table.keyId, keyId),
          name === undefined ? undefined : eq(table.name, name),
          after === undefined
            ? undefined
            : sql`(${table.createdAt}, ${table.gtId}) < (${after[0]}, ${after[1]})`,
        ),
      )
      .orderBy(desc(table.createdAt), desc(table.gtId))
      .limit(query.limit + 1),
  );
  const { shown, next_cursor } = Cursor.page(rows, query.limit, (row) => [row.createdAt.getTime(), row.gtId]);
  return { items: shown.map(serialize), next_cursor };
}

/** A ground truth with the URL of its records. @throws AppError `storage_unavailable`. */
export async function withContent(bucket: Bucket.Bucket, row: Row) {
  const { url, expires_at } = await Bucket.sign(bucket, row.objectKey, `${row.name}.jsonl`);
  return { ...serialize(row), content_url: url, content_expires_at: expires_at };
}

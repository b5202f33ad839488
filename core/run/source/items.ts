import { and, eq, type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { itemTable as item, type RunRow } from "../run.sql.ts";
import { keptPrefix } from "./kept.ts";
import type { Picture } from "./resolve.ts";

/** The most JSON in one statement. */
const statementChars = 1024 * 1024;

const columns = sql`(run_uid, idx, custom_id, file, tags, pages, split, source_kind, object_key, etag, url, declared_mime_type, kept, status)`;

/**
 * Inserts the items of these pictures, from index `first` on or by their places, if the condition holds. Items whose
 * index or name exists are skipped.
 */
export function insert(
  runUid: string,
  first: number,
  pictures: readonly (Picture & { place?: number })[],
  onlyIf: SQL,
): Database.Statement[] {
  const statements: Database.Statement[] = [];
  let rows: string[] = [];
  let chars = 0;
  const flush = () => {
    if (rows.length === 0) return;
    const list = `[${rows.join(",")}]`;
    const field = (i: number) => sql.raw(`json_extract(value, '$[${i}]')`);
    const fields = sql.join([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map(field), sql`, `);
    statements.push(
      Database.statement(
        sql`INSERT INTO ${item} ${columns} SELECT ${runUid}, ${fields}, 'queued' FROM json_each(${list}) WHERE ${onlyIf} ON CONFLICT DO NOTHING`,
      ),
    );
    rows = [];
    chars = 0;
  };
  for (const [i, picture] of pictures.entries()) {
    const { customId, file, tags, pages, split, sourceKind, objectKey, etag, url, declaredMimeType, kept } =
      picture;
    const row = JSON.stringify([
      first + (picture.place ?? i),
      customId,
      file,
      // The columns' text is JSON itself.
      tags && JSON.stringify(tags),
      pages && JSON.stringify(pages),
      split,
      sourceKind,
      objectKey,
      etag,
      url,
      declaredMimeType,
      kept ? 1 : 0,
    ]);
    rows.push(row);
    chars += row.length;
    if (chars >= statementChars) flush();
  }
  flush();
  return statements;
}

/** Which items of a source run are read again; with an index that one alone. */
export interface Wish {
  only: "all" | "failed";
  index?: number | undefined;
}

/** The condition for the items of a source run that a rerun takes over. */
export function chosen(sourceRunUid: string, { only, index }: Wish): SQL {
  const some =
    only === "failed"
      ? sql`${item.runUid} = ${sourceRunUid} AND ${item.status} = 'failed'`
      : sql`${item.runUid} = ${sourceRunUid}`;
  return index === undefined ? some : sql`${some} AND ${item.index} = ${index}`;
}

/** An item of a source run, and the current version of its picture. */
export interface Taken {
  index: number;
  etag: string | null;
}

/**
 * Takes over items of an earlier run, in order, from index `first` on, pinned to the versions that were read. A kept
 * copy still belongs to the earlier run, so this run does not remove it.
 */
export function takeOver(
  to: { runUid: string; first: number },
  source: Pick<RunRow, "runUid" | "keyId">,
  taken: readonly Taken[],
  onlyIf: SQL,
): Database.Statement {
  const list = JSON.stringify(taken.map(({ index, etag }) => [index, etag]));
  return Database.statement(sql`INSERT INTO ${item} ${columns}
    SELECT ${to.runUid}, ${to.first} + row_number() OVER (ORDER BY ${item.index}) - 1, custom_id, file, tags, pages, split,
      CASE WHEN kept = 1 THEN 'data' ELSE source_kind END,
      CASE WHEN kept = 1 THEN ${keptPrefix(source)} || idx ELSE object_key END,
      json_extract(seen.value, '$[1]'),
      CASE WHEN kept = 1 THEN NULL ELSE url END,
      declared_mime_type, 0, 'queued'
    FROM json_each(${list}) AS seen CROSS JOIN ${item}
    WHERE ${item.runUid} = ${source.runUid} AND ${item.index} = json_extract(seen.value, '$[0]') AND ${onlyIf}
    ON CONFLICT DO NOTHING`);
}

/** Removes a bounded number of a run's items if the condition holds; `rowsAffected` is their number. */
export function remove(runUid: string, most: number, onlyIf: SQL): Database.Statement {
  return Database.statement(
    sql`DELETE FROM ${item} WHERE run_uid = ${runUid} AND idx IN (SELECT idx FROM ${item} WHERE run_uid = ${runUid} ORDER BY idx LIMIT ${most}) AND ${onlyIf}`,
  );
}

/** Removes a run's items from an index on if the condition holds. */
export function removeFrom(runUid: string, index: number, onlyIf: SQL): Database.Statement {
  return Database.statement(
    sql`DELETE FROM ${item} WHERE run_uid = ${runUid} AND idx >= ${index} AND ${onlyIf}`,
  );
}

/** Item rows that one statement removes. */
const rowsAtOnce = 5_000;

/**
 * Removes the next rows of a run's items, up to an index if it is given.
 * @returns true if none is left.
 * @throws AppError `storage_unavailable`.
 */
export async function removeRows(db: Database.Db, runUid: string, upTo?: number): Promise<boolean> {
  const bound = upTo === undefined ? sql`` : sql` AND idx <= ${upTo}`;
  const next = sql`(SELECT idx FROM ${item} WHERE run_uid = ${runUid}${bound} ORDER BY idx LIMIT ${rowsAtOnce})`;
  const [removed] = await Database.batch(db, [
    db.query.delete(item).where(and(eq(item.runUid, runUid), sql`${item.index} IN ${next}`)),
  ]);
  return (removed?.rowsAffected ?? 0) < rowsAtOnce;
}

import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { extractTable as extract } from "#core/extraction/extract.sql";
import { isOpen, itemTable as item, runTable as run, runsBy } from "#core/run/run.sql";

/*
 * Who still needs an upload: one rule for the end of a run, for the weekly sweep and for its owner's removal. Conditions,
 * in the words of the partial indexes that answer them: `item_object_key`, `extract_input_object`, `run_open`. The plus
 * signs: without a column's affinity on the other side, SQLite searches the index on the expression.
 */

/**
 * An item, an extract in line or a manifest's check has yet to read the object.
 * @param upload - columns, or expressions, that say where the object lies and whose it is.
 * @param besides - the run whose own items do not count.
 */
export function isUnread(
  { objectKey, keyId }: { objectKey: SQLWrapper; keyId: SQLWrapper | string },
  besides?: string,
): SQL {
  const others = besides === undefined ? sql`` : sql` AND ${item.runUid} <> ${besides}`;
  return sql`(EXISTS (SELECT 1 FROM ${item} WHERE ${item.objectKey} = ${objectKey}
      AND source_kind = 'upload' AND ${item.status} IN ('queued', 'running')${others})
    OR EXISTS (SELECT 1 FROM ${extract} WHERE (input ->> '$.objectKey') = +${objectKey}
      AND input IS NOT NULL AND ${extract.status} IN ('queued', 'running') AND +${extract.keyId} = ${keyId})
    OR EXISTS (SELECT 1 FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)} AND ${run.state} = 'planning'
      AND json_extract(${run.planning}, '$.objectKey') = ${objectKey}))`;
}

/** Another run than this one has the object among its inputs, and has not ended or keeps them. */
export function isKept(objectKey: SQLWrapper, besides: string): SQL {
  return sql`EXISTS (SELECT 1 FROM ${item} AS other JOIN ${run} AS owner ON owner.run_uid = other.run_uid
    WHERE other.source_kind = 'upload' AND other.object_key = ${objectKey} AND other.run_uid <> ${besides}
      AND (owner.state IN ('planning', 'running', 'canceling')
        OR (owner.persist_inputs = 1 AND owner.state IN ('finishing', 'succeeded', 'canceled'))))`;
}

import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { extractTable as extract } from "#core/extraction/extract.sql";
import { isOpen, itemTable as item, runTable as run, runsBy } from "#core/run/run.sql";

/*
 * The conditions under which work still needs an upload, used at the end of a run, by the weekly sweep and when the
 * owner removes it. They contain the words of the partial indexes `item_object_key`, `extract_input_object` and
 * `run_open`. The plus signs remove a column's affinity, so that SQLite uses the index on the expression.
 */

/**
 * True if an item, a queued extract or the check of a manifest must still read the object.
 * @param upload - columns or expressions for the object's key and its owner.
 * @param besides - a run whose own items do not count.
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

/** True if another run has the object among its inputs and has not ended, or keeps its inputs. */
export function isKept(objectKey: SQLWrapper, besides: string): SQL {
  return sql`EXISTS (SELECT 1 FROM ${item} AS other JOIN ${run} AS owner ON owner.run_uid = other.run_uid
    WHERE other.source_kind = 'upload' AND other.object_key = ${objectKey} AND other.run_uid <> ${besides}
      AND (owner.state IN ('planning', 'running', 'canceling')
        OR (owner.persist_inputs = 1 AND owner.state IN ('finishing', 'succeeded', 'canceled'))))`;
}

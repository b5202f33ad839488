import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { extractTable as extract } from "#core/extraction/extract.sql";
import { groundTruthTable } from "#core/ground-truth/ground-truth.sql";
import { isOpen, itemTable as item, runTable as run, runsBy } from "#core/run/run.sql";
import { uploadTable } from "#core/upload/upload.sql";

/*
 * Pictures in the bucket without a row. Causes: a crash between writing an object and its row, an upload through a
 * signed URL after the upload's row was deleted, a picture stored for a run that was gone. Wherever something is
 * stored, its row is written first, except lists of folders and pictures that are handed over; those objects are young.
 * And steps of long documents (core/reading/steps) whose worker died before it removed them.
 */

/** Younger objects may still get their rows. Longer than any call or step takes. */
export const youngMs = 2 * 3_600_000;

const root = "inputs/";
/** Labels are written before their rows: after a crash in between, no caller knows their id. */
const groundTruths = "ground_truths/";

/**
 * Conditions by folder, below `inputs/` or the root, for objects that are not needed. `json_each.value` is `[rel, key
 * id, first name, second name]`.
 */
const rules: Record<string, SQL> = {
  ground_truths: sql`NOT EXISTS (SELECT 1 FROM ${groundTruthTable}
    WHERE gt_id = substr(json_extract(json_each.value, '$[2]'), 1, 27))`,
  uploads: sql`NOT EXISTS (SELECT 1 FROM ${uploadTable} WHERE ref = 'upload_' || json_extract(json_each.value, '$[2]'))
    AND NOT EXISTS (SELECT 1 FROM ${item} WHERE source_kind = 'upload' AND object_key = json_extract(json_each.value, '$[0]')
      AND ${item.status} IN ('queued', 'running'))`,
  // An ended run keeps only the pictures that its items name; all others were removed when it ended.
  runs: sql`NOT EXISTS (SELECT 1 FROM ${run} WHERE run_uid = json_extract(json_each.value, '$[2]')
    AND (state IN ('planning', 'running', 'canceling', 'finishing', 'deleting')
      OR (persist_inputs = 1 AND state <> 'deleted' AND EXISTS (SELECT 1 FROM ${item}
        WHERE ${item.runUid} = ${run.runUid} AND idx = CAST(json_extract(json_each.value, '$[3]') AS INTEGER)))))`,
  manifests: sql`NOT EXISTS (SELECT 1 FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)} AND +state = 'planning'
    AND json_extract(planning, '$.objectKey') = json_extract(json_each.value, '$[0]'))`,
  tmp: sql`NOT EXISTS (SELECT 1 FROM ${extract}
    WHERE key_id = json_extract(json_each.value, '$[1]') AND request_id = json_extract(json_each.value, '$[4]')
      AND (status IN ('running', 'queued') OR json_extract(input, '$.objectKey') = json_extract(json_each.value, '$[0]')))`,
  steps: sql`NOT EXISTS (SELECT 1 FROM ${extract}
    WHERE key_id = json_extract(json_each.value, '$[1]') AND request_id = json_extract(json_each.value, '$[4]')
      AND status IN ('running', 'queued', 'retryable'))
    AND NOT EXISTS (SELECT 1 FROM ${run} JOIN ${item} ON ${item.runUid} = ${run.runUid}
      AND ${item.index} = CAST(json_extract(json_each.value, '$[3]') AS INTEGER)
      WHERE ${run.keyId} = json_extract(json_each.value, '$[1]') AND ${run.runId} = json_extract(json_each.value, '$[2]')
        AND ${item.status} IN ('queued', 'running'))`,
};

/**
 * The objects among these that are below `inputs/` or `ground_truths/` or are steps, are not young, and have no row.
 * @throws AppError `storage_unavailable`.
 */
export async function among(
  db: Database.Db,
  objects: readonly { rel: string; modified: Date }[],
  now: Date,
): Promise<string[]> {
  const byFolder = new Map<string, unknown[]>();
  for (const { rel, modified } of objects) {
    if (now.getTime() - modified.getTime() < youngMs) continue;
    const { folder = "", entry } = placeOf(rel);
    if (!Object.hasOwn(rules, folder)) continue;
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), entry]);
  }
  if (byFolder.size === 0) return [];
  const results = await Database.batch(
    db,
    [...byFolder].map(([folder, entries]) =>
      Database.statement(sql`SELECT json_extract(json_each.value, '$[0]') AS rel FROM json_each(${JSON.stringify(entries)})
        WHERE ${rules[folder] as SQL}`),
    ),
    "read",
  );
  return results.flatMap(({ rows }) => rows.map(({ rel }) => String(rel)));
}

/** The folder whose rule applies, and what the rule is asked about. */
function placeOf(rel: string): { folder?: string | undefined; entry?: unknown[] } {
  const parts = rel.split("/");
  if (rel.startsWith(groundTruths) || rel.startsWith(root)) {
    const [folder, keyId, first = "", second = ""] = rel.startsWith(root) ? parts.slice(1) : parts;
    // A temporary copy is called `<request id>~<token>`, and `~` is in no id.
    return { folder, entry: [rel, keyId, first, second, first.split("~", 1)[0]] };
  }
  const [, , keyId, name = ""] = parts;
  const at = name.indexOf("~step-");
  if (!rel.startsWith("extracts/") || at < 0) return {};
  // Of an extract, or of a run's item: `<run id>~<index>`.
  const requestId = name.slice(0, at);
  const [runId, index = ""] = requestId.split("~");
  return { folder: "steps", entry: [rel, keyId, runId, index, requestId] };
}

import * as Place from "#core/artifact/place";
import type { RunRow } from "#core/run/run.sql";

/** The files of every ended run, in the order in which they are written. The first contains everything. */
export const formats = ["jsonl", "json", "csv", "line_items_csv"] as const;
export type Format = (typeof formats)[number];

export const contentTypes: Record<Format, string> = {
  jsonl: "application/x-ndjson",
  json: "application/json",
  csv: "text/csv; charset=utf-8",
  line_items_csv: "text/csv; charset=utf-8",
};

/** The key of each results file that the run has. */
export function places(run: Pick<RunRow, "keyId" | "runId" | "createdAt">): Record<Format, string> {
  const { jsonl, json, csv, lineItemsCsv } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
  return { jsonl, json, csv, line_items_csv: lineItemsCsv };
}

import * as Place from "#core/artifact/place";
import type { RunRow } from "#core/run/run.sql";

/** What is written of every run that has ended, in the order in which it is written: the first holds all. */
export const formats = ["jsonl", "json", "csv", "line_items_csv"] as const;
export type Format = (typeof formats)[number];

export const contentTypes: Record<Format, string> = {
  jsonl: "application/x-ndjson",
  json: "application/json",
  csv: "text/csv; charset=utf-8",
  line_items_csv: "text/csv; charset=utf-8",
};

/** Where a run's results lie, each where it has them. */
export function places(run: Pick<RunRow, "keyId" | "runId" | "createdAt">): Record<Format, string> {
  const { jsonl, json, csv, lineItemsCsv } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
  return { jsonl, json, csv, line_items_csv: lineItemsCsv };
}

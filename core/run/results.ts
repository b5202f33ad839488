import * as Bucket from "#core/artifact/bucket";
import { AppError, invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import { sizes } from "#infra/limits";
import * as Dialects from "./dialect.ts";
import * as Documents from "./document.ts";
import type { RunRow } from "./run.sql.ts";
import type { RunServices } from "./services.ts";

export { type Format, formats } from "./document.ts";

/** Where a run's results lie, and what a download of them is called. */
export interface Stored {
  rel: string;
  fileName: string;
  contentType: string;
  bytes: number;
}

const endings: Record<Documents.Format, string> = {
  jsonl: ".results.jsonl",
  json: ".results.json",
  csv: ".results.csv",
  line_items_csv: ".line_items.csv",
};

/**
 * Finds the results of an ended run.
 * @param dialect - how a table is to be answered; the file that is found has commas and no byte order mark.
 * @throws AppError `conflict` until the run has ended, for one that could not be carried out, and for a table that is
 *   too large to be converted (`details.reason` `run_not_ended`, `run_failed`, `results_too_large`);
 *   `invalid_request` for line items of a task that has none, and for a dialect of what is no table; `not_found` when
 *   the run, or the file, is gone; `storage_unavailable`.
 */
export async function of(
  services: Pick<RunServices, "bucket">,
  log: Log,
  run: RunRow,
  format: Documents.Format,
  dialect: Dialects.Dialect = Dialects.stored,
): Promise<Stored> {
  const isTable = format === "csv" || format === "line_items_csv";
  if (!isTable && !Dialects.isStored(dialect)) {
    const path = dialect.byteOrderMark ? "bom" : "dialect";
    throw invalidRequest([{ path, message: "only for the formats csv and line_items_csv" }]);
  }
  if (run.state === "deleting" || run.state === "deleted")
    throw new AppError("not_found", "there is no run with this id");
  if (run.state === "failed") {
    throw new AppError("conflict", "the run could not be carried out and has no results", {
      details: { reason: "run_failed" },
    });
  }
  if (run.state !== "succeeded" && run.state !== "canceled") {
    throw new AppError("conflict", "the run has not ended: its items can be read meanwhile", {
      details: { reason: "run_not_ended" },
    });
  }
  const at = Documents.place(run, format);
  if (at === undefined)
    throw invalidRequest([{ path: "format", message: "the task of this run has no line items" }]);
  const found = await Bucket.head(services.bucket, log, at.rel);
  if (found === undefined) throw new AppError("not_found", "the results of this run are no longer there");
  if (found.bytes > sizes.directAnswerBytes && !Dialects.isStored(dialect)) {
    const command = `ocrlty results ${run.runId} --format ${format} --dialect ${dialect.name} --out results.csv`;
    throw new AppError("conflict", `the table is too large to be converted here: ${command} does it`, {
      details: { reason: "results_too_large", bytes: found.bytes, limit_bytes: sizes.directAnswerBytes },
    });
  }
  return { ...at, fileName: `${run.runId}${endings[format]}`, bytes: found.bytes };
}

import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import type { Raw } from "#core/ground-truth/read";
import * as GroundTruthRecord from "#core/ground-truth/record";
import { defaultImageKey } from "#core/ground-truth/schema";
import * as Lines from "#core/lines";
import type { Log } from "#core/log";
import * as Files from "#core/run/results/files";
import type { RunRow } from "#core/run/run.sql";

/** The fields of an item that a draft needs, from the results as JSON lines. */
const Item = z.object({
  index: z.int(),
  custom_id: z.string().nullable(),
  file: z.string().nullable(),
  status: z.string(),
  result: z.unknown(),
  documents: z.array(z.object({ status: z.string(), result: z.unknown() })).optional(),
});

const ended = ["succeeded", "failed", "canceled"];

/**
 * Turns the results of a run into labels for people to correct: one record per document, in order. An item that failed,
 * or whose answer cannot be labels, gets a remark instead.
 * @throws AppError `conflict` with `details.reason` `run_active` until the run has ended, `results_missing` if the
 *   results are gone; `storage_unavailable`, also while it is read.
 */
export async function* records(bucket: Bucket.Bucket, log: Log, run: RunRow): AsyncGenerator<Raw> {
  if (!ended.includes(run.state))
    throw new AppError("conflict", "the run has not ended", { details: { reason: "run_active" } });
  const object = await Bucket.read(bucket, log, Files.places(run).jsonl);
  if (object === undefined)
    throw new AppError("conflict", "this run has no results", { details: { reason: "results_missing" } });
  let index = 0;
  for await (const line of Lines.of(object.body)) {
    const { documents, ...item } = Item.parse(JSON.parse(line.toString()));
    for (const [at, answer] of (documents ?? [item]).entries()) {
      yield draftOf({ ...item, ...answer }, index, documents && at + 1);
      index += 1;
    }
  }
}

/** @param document - which one of several in the file, from 1. */
function draftOf(
  { custom_id, file, status, result }: Omit<z.output<typeof Item>, "documents">,
  index: number,
  document: number | undefined,
): Raw {
  const picture = file ?? custom_id;
  const image = picture === null || document === undefined ? picture : `${picture}#${document}`;
  const named = image === null ? {} : { [defaultImageKey]: image };
  const value = { ...named, draft: true, fields: status === "succeeded" ? result : {} };
  const { record } = GroundTruthRecord.parse(value, { index });
  if (status === "succeeded" && record !== undefined) return { index, value, record };
  const remark = status === "succeeded" ? "what was read cannot be labels" : status;
  const empty = { ...named, draft: true, remark, fields: {} };
  const parsed = GroundTruthRecord.parse(empty, { index });
  if (parsed.record === undefined) throw new Error("a draft without labels could not be read");
  return { index, value: empty, record: parsed.record };
}

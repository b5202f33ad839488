import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import * as Lines from "#core/lines";
import type { Log } from "#core/log";
import type * as Wire from "./wire.ts";

/**
 * The outcome of each document, in the order of the items, as lines of JSON. Memory holds one line and one piece of
 * an object.
 * @throws AppError `storage_unavailable`; `not_found` if the evaluation was deleted in the meantime.
 */
export async function* lines(
  bucket: Bucket.Bucket,
  log: Log,
  rels: readonly string[],
): AsyncGenerator<Buffer> {
  for (const rel of rels) {
    const object = await Bucket.read(bucket, log, rel);
    if (object === undefined)
      throw new AppError("not_found", "the evaluation was deleted", { param: "eval_id" });
    for await (const line of Lines.of(object.body)) if (line.length > 0) yield line;
  }
}

const parsed = (line: Buffer): Wire.Sample => JSON.parse(line.toString("utf8")) as Wire.Sample;

/** The same outcomes, parsed. */
export async function* of(
  bucket: Bucket.Bucket,
  log: Log,
  rels: readonly string[],
): AsyncGenerator<Wire.Sample> {
  for await (const line of lines(bucket, log, rels)) yield parsed(line);
}

import { createHash } from "node:crypto";
import { eq } from "drizzle-orm";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import * as Formats from "#core/export/formats";
import * as Csv from "#core/export/table/csv";
import type * as Maker from "#core/export/table/maker";
import * as Table from "#core/export/table/table";
import * as Lines from "#core/lines";
import type { Log } from "#core/log";
import { type RunRow, runTable } from "#core/run/run.sql";
import type { Item } from "#core/run/schema";
import type { RunServices } from "#core/run/services";
import * as Task from "#core/task/task";
import * as Limits from "#spec/limits";
import * as Answers from "./answers.ts";

/*
 * Exports that are made within a call. They are small enough for memory, and are returned as bytes or, if too large
 * for an answer, stored beside the run's other files. The API loads this module on demand.
 */

type Services = Pick<RunServices, "db" | "bucket" | "times" | "version">;

/** What is requested of an ended run. */
interface Asked {
  format: Formats.Made | "csv" | "line_items_csv";
  shown: Table.Values;
  /** As parsed by the format's own schema. */
  mapping?: unknown;
  /** True if items that a ledger cannot book may be left out. Otherwise one such item is an error. */
  partial: boolean;
  /** True to store it in the bucket, whatever its size. */
  asUrl: boolean;
  /** Epoch milliseconds by which the call must answer. */
  deadline: number;
  /** The command that makes it at any size; named in errors. */
  command: string;
}

type Export = ({ kind: "bytes"; bytes: Uint8Array } | { kind: "stored"; rel: string }) & {
  /** For a ledger: how many items were left out, and how many texts were changed. */
  told?: Told;
};
interface Told {
  leftOut: number;
  notes: number;
}

/** Items that an error names. */
const mostNamed = 100;

/**
 * Makes an export from the items' file of an ended run.
 * @throws AppError `conflict` with `details.reason` `results_too_large` (and the command to use) for a run of more
 *   than `batches.exportedItems` items, a table of more than 4 MB, or too little time; with `items_left_out` for a
 *   ledger that cannot book all items, unless `partial`; `not_found` if the run or its files are gone;
 *   `invalid_request` if the mapping is incomplete; `storage_unavailable`.
 */
export async function make(services: Services, log: Log, run: RunRow, asked: Asked): Promise<Export> {
  const most = Limits.batches.exportedItems;
  if (run.total > most) throw tooLarge(asked, { items: run.total, limit: most });
  const rel = placeOf(services, run, asked);
  const isLedger = Formats.isMade(asked.format) && Formats.made[asked.format].mapped;
  // Only the making of a ledger shows what it leaves out.
  if (asked.asUrl && !isLedger && (await Bucket.head(services.bucket, log, rel)) !== undefined)
    return { kind: "stored", rel };
  const heard: Heard = { leftOut: [], notes: 0 };
  const bytes = await written(services, log, run, { asked, heard });
  if (heard.leftOut.length > 0 && !asked.partial) throw incomplete(asked, heard.leftOut);
  const told = isLedger ? { told: { leftOut: heard.leftOut.length, notes: heard.notes } } : {};
  const isLarge = bytes.length > Limits.sizes.directAnswerBytes;
  if (!Formats.isMade(asked.format)) {
    if (isLarge) throw tooLarge(asked, { bytes: bytes.length, limit_bytes: Limits.sizes.directAnswerBytes });
    return { kind: "bytes", bytes };
  }
  if (!isLarge && !asked.asUrl) return { kind: "bytes", bytes, ...told };
  const { contentType } = Formats.made[asked.format];
  await store(services, log, run, { rel, body: bytes, contentType });
  return { kind: "stored", rel, ...told };
}

interface Heard {
  leftOut: Maker.LeftOut[];
  notes: number;
}

function incomplete({ format }: Asked, leftOut: readonly Maker.LeftOut[]): AppError {
  const [first] = leftOut;
  const more = leftOut.length > 1 ? ` (and ${leftOut.length - 1} more)` : "";
  const message = `${format} cannot book item ${first?.index}: ${first?.message}${more}; partial=1 gives the file without such items`;
  return new AppError("conflict", message, {
    details: {
      ...{ reason: "items_left_out", left_out: leftOut.slice(0, mostNamed) },
      left_out_count: leftOut.length,
    },
  });
}

function tooLarge({ format, command }: Asked, details: Record<string, number>): AppError {
  return new AppError("conflict", `${format} of this run is too large to be made here: ${command} makes it`, {
    details: { reason: "results_too_large", ...details },
  });
}

/** The name contains a hash of everything that determines the bytes, so an existing object has the right content. */
function placeOf({ version }: Services, run: RunRow, { format, shown, mapping }: Asked): string {
  const what = JSON.stringify([version, mapping ?? null]);
  const hash = createHash("sha256").update(what).digest("hex").slice(0, 16);
  const { made } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
  return `${made}${format}-${shown}-${hash}`;
}

async function written(
  services: Services,
  log: Log,
  run: RunRow,
  { asked, heard }: { asked: Asked; heard: Heard },
): Promise<Uint8Array> {
  const { jsonl } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
  const opened = await Bucket.read(services.bucket, log, jsonl);
  if (opened === undefined) throw new AppError("not_found", "the results of this run are no longer there");
  async function* items(body: AsyncIterable<Uint8Array>): AsyncGenerator<Item> {
    for await (const line of Lines.of(body)) {
      if (Date.now() >= asked.deadline) throw tooLarge(asked, { items: run.total });
      yield Answers.completed(run, JSON.parse(line.toString("utf8")) as Item);
    }
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(run, items(opened.body), asked, heard))
    pieces.push(typeof piece === "string" ? Buffer.from(piece) : piece);
  return Buffer.concat(pieces);
}

async function* piecesOf(
  run: RunRow,
  items: AsyncIterable<Item>,
  { format, shown, mapping }: Asked,
  heard: Heard,
): AsyncGenerator<Uint8Array | string> {
  const fields = Task.get(run.taskId)?.fields ?? [];
  if (Formats.isMade(format)) {
    const maker = await Formats.made[format].load();
    const note = () => {
      heard.notes += 1;
    };
    const leaveOut = (item: Maker.LeftOut) => void heard.leftOut.push(item);
    const source = { run, fields, items, shown, mapping, note, leaveOut };
    yield* maker.make(source);
    return;
  }
  const table = format === "csv" ? Table.ofItems(fields, shown) : Table.ofLines(fields, shown);
  if (table !== undefined) yield* Csv.stream(table, items);
}

/**
 * Stores the file unless the run is being deleted. A deletion marks the run before it lists its files, so either the
 * deletion sees this file, or this sees the mark.
 */
async function store(
  services: Services,
  log: Log,
  run: RunRow,
  { rel, body, contentType }: { rel: string; body: Uint8Array; contentType: string },
): Promise<void> {
  const patient = { ...services.bucket, timeoutMs: services.times.storageQueueTimeoutMs };
  await Bucket.put(patient, log, rel, { body, contentType });
  const [row] = await services.db.query
    .select({ state: runTable.state })
    .from(runTable)
    .where(eq(runTable.runUid, run.runUid));
  if (row !== undefined && row.state !== "deleting" && row.state !== "deleted") return;
  await Bucket.remove(services.bucket, log, rel);
  throw new AppError("not_found", "there is no run with this id");
}

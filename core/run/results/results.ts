import * as Bucket from "#core/bucket/bucket";
import { AppError, invalidRequest } from "#core/error";
import * as Formats from "#core/export/formats";
import * as Dialect from "#core/export/table/dialect";
import * as Table from "#core/export/table/table";
import type { Principal } from "#core/key/key";
import * as Visible from "#core/key/visible";
import type { Log } from "#core/log";
import type { RunRow } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import * as Task from "#core/task/task";
import { sizes } from "#spec/limits";
import * as Files from "./files.ts";

/** The formats that are written for every run, and those that are made on demand. */
type Format = Files.Format | Formats.Made;

/* Contains everything about tasks and tables. The API loads it with the first call for results. */

/** How the results are requested. */
interface Wanted {
  format: Format;
  /** For tables and workbooks. */
  values: Table.Values;
  /** Of tables. */
  dialect: Dialect.Dialect;
  /** For formats that need one, as parsed by their schema. */
  mapping?: unknown;
  /** For a ledger: leave out the items that it cannot book. */
  partial?: boolean;
  /** Answer with an address, whatever the size. */
  asUrl: boolean;
  /** Epoch milliseconds by which the call must answer. */
  deadline: number;
}

/** A results file: its place in the bucket, its text, or its bytes. */
interface File {
  fileName: string;
  contentType: string;
  content: { kind: "stored"; rel: string } | { kind: "whole"; body: string | Uint8Array };
  /** For a ledger: how many items were left out, and how many texts were changed. */
  told?: { leftOut: number; notes: number };
}

const endings: Record<Files.Format, string> = {
  jsonl: ".results.jsonl",
  json: ".results.json",
  csv: ".results.csv",
  line_items_csv: ".line_items.csv",
};

/**
 * Returns the results of an ended run, as they were written at its end or converted from that.
 * @throws AppError `conflict` with `details.reason` `run_not_ended`, `run_failed`, or `results_too_large` if the
 *   conversion takes too long for a call; `invalid_request` for line items of a task that has none, and for an option
 *   of another format; `not_found` if the run or the file is gone; `storage_unavailable`.
 */
export async function of(
  services: Pick<RunServices, "db" | "bucket" | "times" | "version">,
  log: Log,
  run: RunRow,
  wanted: Wanted,
): Promise<File> {
  const { format, values, dialect, asUrl } = wanted;
  checkOptions(wanted);
  checkState(run);
  const isWritten = !Formats.isMade(format);
  if (format === "line_items_csv" && Table.listOf(Task.get(run.taskId)?.fields ?? []) === undefined)
    throw invalidRequest([{ path: "format", message: "the task of this run has no line items" }]);
  const fileName = isWritten ? `${run.runId}${endings[format]}` : Formats.nameOf(format, run.runId);
  if (Formats.isMade(format) || (isTable(format) && values !== "both")) {
    const Made = await import("./made.ts");
    const made = await Made.make(services, log, run, {
      ...{
        format,
        shown: values,
        mapping: wanted.mapping,
        partial: wanted.partial === true,
        asUrl,
        deadline: wanted.deadline,
      },
      command: commandFor(run, wanted),
    });
    if (Formats.isMade(format)) {
      const { contentType } = Formats.made[format];
      const { told } = made;
      const content =
        made.kind === "stored"
          ? { kind: made.kind, rel: made.rel }
          : { kind: "whole" as const, body: made.bytes };
      return { fileName, contentType, content, ...(told === undefined ? {} : { told }) };
    }
    const text = made.kind === "bytes" ? Buffer.from(made.bytes).toString("utf8") : "";
    return { fileName, contentType: Files.contentTypes[format], content: await inDialect(text, dialect) };
  }
  return written(services, log, run, { ...wanted, format, fileName });
}

const isTable = (format: Format) => format === "csv" || format === "line_items_csv";

/** A file that was written when the run ended. */
async function written(
  { bucket }: Pick<RunServices, "bucket">,
  log: Log,
  run: RunRow,
  wanted: Wanted & { format: Files.Format; fileName: string },
): Promise<File> {
  const { format, dialect, asUrl, fileName } = wanted;
  const contentType = Files.contentTypes[format];
  const gone = () => new AppError("not_found", "the results of this run are no longer there");
  const rel = Files.places(run)[format];
  const found = await Bucket.head(bucket, log, rel);
  if (found === undefined) throw gone();
  const isLarge = found.bytes > sizes.directAnswerBytes;
  if (isLarge && !Dialect.isStored(dialect)) {
    const message = `the table is too large to be converted here: ${commandFor(run, wanted)} does it`;
    throw new AppError("conflict", message, {
      details: { reason: "results_too_large", bytes: found.bytes, limit_bytes: sizes.directAnswerBytes },
    });
  }
  if (asUrl || isLarge) return { fileName, contentType, content: { kind: "stored", rel } };
  const bytes = await Bucket.get(bucket, log, rel);
  if (bytes === undefined) throw gone();
  return { fileName, contentType, content: await inDialect(Buffer.from(bytes).toString("utf8"), dialect) };
}

/** As text, because the gateway counts base64 against its limit. */
async function inDialect(text: string, dialect: Dialect.Dialect): Promise<File["content"]> {
  if (Dialect.isStored(dialect)) return { kind: "whole", body: text };
  return { kind: "whole", body: (await import("./convert.ts")).table(text, dialect) };
}

function checkOptions({ format, values, dialect, asUrl }: Wanted): void {
  const isStored = Dialect.isStored(dialect);
  if (!isTable(format) && !isStored) {
    const path = dialect.byteOrderMark ? "bom" : "dialect";
    throw invalidRequest([{ path, message: "only for the formats csv and line_items_csv" }]);
  }
  if (!isTable(format) && !Formats.isMade(format) && values !== "both")
    throw invalidRequest([{ path: "values", message: "not for json and jsonl: they hold both" }]);
  if (Formats.isMade(format) && Formats.made[format].mapped && values !== "both")
    throw invalidRequest([{ path: "values", message: "only for tables and workbooks" }]);
  if (asUrl && isTable(format) && !(isStored && values === "both")) {
    const message = "the stored table has commas, no byte order mark, and both printed and canonical values";
    throw invalidRequest([{ path: "as", message }]);
  }
}

function checkState(run: RunRow): void {
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
}

/** The command that makes the same file at any size on the caller's machine. */
function commandFor(run: RunRow, { format, values, dialect }: Wanted): string {
  const file = Formats.isMade(format)
    ? `${Formats.beginningOf(format)}results${Formats.made[format].ending}`
    : "results.csv";
  const options = [
    `--format ${format}`,
    ...(values === "both" ? [] : [`--values ${values}`]),
    ...(dialect.name === "comma" ? [] : [`--dialect ${dialect.name}`]),
    ...(Formats.isMade(format) && Formats.made[format].mapped ? ["--mapping mapping.json"] : []),
  ];
  return `ocrlty results ${run.runId} ${options.join(" ")} --out ${file}`;
}

/**
 * Reads the caller's mapping, for formats that need one.
 * @param asked.mapping - its key below the data root, or its JSON.
 * @throws AppError `invalid_request` if it is missing, invalid, or for another format; `storage_unavailable`.
 */
export async function mappingOf(
  bucket: Bucket.Bucket,
  log: Log,
  asked: { format: Format; mapping?: string | undefined; partial: "0" | "1" },
  principal: Pick<Principal, "keyId" | "scopes">,
): Promise<unknown> {
  const { format, mapping: key } = asked;
  if (!Formats.isMade(format) || !Formats.made[format].mapped) {
    const ledgers = Formats.names.filter((name) => Formats.made[name].mapped).join(", ");
    for (const path of ["mapping", "partial"] as const)
      if (asked[path] !== undefined && asked[path] !== "0")
        throw invalidRequest([{ path, message: `only for the formats ${ledgers}` }]);
    return undefined;
  }
  if (key === undefined) {
    const message = `is missing: ${format} needs your accounts, as JSON or as a file below the data root (docs/ledgers.md)`;
    throw invalidRequest([{ path: "mapping", message }]);
  }
  const viewer = { keyId: principal.keyId, allKeys: Visible.reachesAll(principal) };
  return (await import("#core/export/stored")).read(bucket, log, { key, format, viewer });
}

import * as Place from "#core/artifact/place";
import * as Csv from "#core/export/table/csv";
import * as Table from "#core/export/table/table";
import type { Finishing } from "#core/run/finishing";
import type { ItemRow, RunRow } from "#core/run/run.sql";
import type { Item } from "#core/run/schema";
import * as Serialize from "#core/run/serialize";
import * as Task from "#core/task/task";
import * as Limits from "#spec/limits";
import * as Files from "./files.ts";

/** The item's row without `pendingArtifact`. */
export type Row = Omit<ItemRow, "pendingArtifact">;

/**
 * A section of a document: a fixed text, or a text for each item in the order of the indexes. `artifacts`: the item
 * from its artifact, for the first document. `items`: the same item, read from the first document. `rows`: the row
 * without its result.
 */
export type Section =
  | { kind: "text"; text: string }
  | { kind: "artifacts"; textOf(item: Item): string }
  | { kind: "items"; textOf(item: Item): string }
  | { kind: "rows"; textOf(row: Row): string };

export interface Document {
  rel: string;
  contentType: string;
  sections: Section[];
}

/** The keys of a run's results in this format; undefined for line items of a task that has none. */
function place(
  run: Pick<RunRow, "keyId" | "runId" | "createdAt" | "taskId">,
  format: Files.Format,
): { rel: string; contentType: string } | undefined {
  const hasLines = Table.listOf(Task.get(run.taskId)?.fields ?? []) !== undefined;
  if (format === "line_items_csv" && !hasLines) return undefined;
  return { rel: Files.places(run)[format], contentType: Files.contentTypes[format] };
}

/**
 * The documents that are written when a run ends. The batch artifact is last, because it names the others. The bytes
 * depend only on the rows, the items' artifacts and the task, whose schema never changes.
 * @param run - the row while the run is finishing.
 * @param mostItems - up to how many items the artifact itself lists.
 */
export function list(
  run: RunRow,
  outcome: Finishing["outcome"],
  mostItems: number = Limits.batches.artifactItems,
): Document[] {
  const fields = Task.get(run.taskId)?.fields ?? [];
  const table = Csv.of(Table.ofItems(fields));
  const rows = Table.ofLines(fields);
  const lines = rows && Csv.of(rows);
  const sections: Record<Files.Format, Section[] | undefined> = {
    jsonl: [{ kind: "artifacts", textOf: (item) => `${JSON.stringify(item)}\n` }],
    json: [
      text(`{"run_id":${JSON.stringify(run.runId)},"items":[`),
      { kind: "items", textOf: listed },
      text("\n]}\n"),
    ],
    csv: [text(table.header), { kind: "items", textOf: table.records }],
    line_items_csv: lines && [text(lines.header), { kind: "items", textOf: lines.records }],
  };
  const files = Files.formats.flatMap((format) => {
    const at = place(run, format);
    const parts = sections[format];
    return at === undefined || parts === undefined ? [] : [{ ...at, sections: parts }];
  });
  return [...files, artifact(run, outcome, mostItems)];
}

const text = (written: string): Section => ({ kind: "text", text: written });

/** Elements of a JSON list, one per line. Indexes begin at 0 and have no gaps. */
const listed = (element: { index: number }) =>
  `${element.index === 0 ? "" : ","}\n${JSON.stringify(element)}`;

/** The batch artifact (docs/results.md). */
function artifact(run: RunRow, outcome: Finishing["outcome"], mostItems: number): Document {
  const rel = Place.batchKey(run.keyId, run.runId, run.createdAt);
  // The run as it will be, except for what happens after its end.
  const ended: RunRow = { ...run, state: outcome, waitingFor: null, artifactRel: rel, webhook: null };
  const task = Task.get(run.taskId);
  const all = run.total <= mostItems;
  const head = JSON.stringify(Serialize.run(ended, 0)).slice(0, -1);
  const tail = {
    items_rel: place(run, "jsonl")?.rel ?? null,
    task_snapshot: {
      task_id: run.taskId,
      prompt: task?.prompt ?? null,
      schema: task?.validationSchema ?? null,
      prompt_sha256: task?.promptSha256 ?? null,
      schema_sha256: task?.schemaSha256 ?? null,
    },
    results: Object.fromEntries(Files.formats.map((format) => [format, place(run, format)?.rel ?? null])),
    principal: { key_id: run.keyId, role: run.principalRole },
  };
  const rest = JSON.stringify(tail).slice(1);
  return {
    rel,
    contentType: "application/json",
    sections: all
      ? [
          text(`${head},"items":[`),
          { kind: "items", textOf: listed },
          text(`\n],"inputs_index":[`),
          { kind: "rows", textOf: (row) => listed(inputOf(row)) },
          text(`\n],${rest}\n`),
        ]
      : [text(`${head},"items":null,"inputs_index":null,${rest}\n`)],
  };
}

const dataRoot = "data/";

/** Identifies an item's picture without giving access to it. */
function inputOf(row: Row) {
  const { index, customId, file, tags, sourceKind, objectKey, url, declaredMimeType, etag } = row;
  return {
    index,
    custom_id: customId,
    file,
    tags,
    source_kind: sourceKind,
    // Only names below the data root: the name of an upload would give access to it.
    image_key: objectKey?.startsWith(dataRoot) ? objectKey.slice(dataRoot.length) : null,
    image_url: sourceKind === "url" && url !== null ? withoutSecrets(url) : null,
    declared_mime_type: declaredMimeType,
    etag,
  };
}

/** The signature of a URL is in its query; the rest identifies the picture. */
function withoutSecrets(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

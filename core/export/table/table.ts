import type { Field, FieldKind, NormalizedValue } from "#core/canonical/normalize";
import { documentsOf } from "#core/run/documents";
import type { Item } from "#core/run/schema";

/**
 * A run's results as tables: the columns, their order, and the values of their cells. Every table that is written (CSV,
 * a workbook's sheet) is one of these two.
 *
 * Printed values come first; canonical values were added after all existing columns, so that no column moved: `total`
 * is printed, `total_value` and `total_currency` are canonical.
 */

/** The values that a table has: as printed, canonical, or both. */
export const values = ["both", "printed", "canonical"] as const;
export type Values = (typeof values)[number];

/** An item, possibly written by an older or newer server version. Of its warnings, a table has only the codes. */
export type Row = Omit<Item, "warnings" | Later> & { [Name in Later]?: Item[Name] | undefined } & {
  warnings: readonly { code: string }[];
  /** Which document of the item, from 1; missing where the item is one document. */
  document?: number | undefined;
};
type Later =
  | "tags"
  | "pages"
  | "task_id"
  | "schema_errors"
  | "normalized"
  | "checks"
  | "model"
  | "prompt_sha256"
  | "schema_sha256"
  | "image_sha256";

/** One record of a table: a document, or one row of its list. */
export interface Entry {
  /** The document: the item itself, or one of several in its file. */
  item: Row;
  /** Index within the document, from 0; absent in the table of items. */
  line?: number;
  /** The printed values: the item's result, or the row of its list. */
  printed: unknown;
}

export interface Column {
  name: string;
  /**
   * `about`: about the item itself. `printed`: a field of the task as printed. `canonical`: the canonical form of a
   * field.
   */
  role: "about" | "printed" | "canonical";
  /** The cell type in a workbook. Amounts and dates are given as canonical text. */
  type: "text" | "integer" | "boolean" | "number" | "date";
  /** Undefined and null give an empty cell. */
  valueOf(entry: Entry): unknown;
  /** The number of printed decimals, for numbers. */
  decimalsOf?(entry: Entry): number | undefined;
}

export interface Table {
  columns: readonly Column[];
  entriesOf(item: Row): Entry[];
}

/** The table of documents, one for each item that was not split: their outcome, their fields outside of lists as printed, and the canonical forms. */
export function ofItems(fields: readonly Field[], shown: Values = "both"): Table {
  const single = fields.filter(({ path }) => !path.includes("[]"));
  const about = [
    ...named,
    text("status", ({ item }) => item.status),
    text("request_id", ({ item }) => item.request_id),
    { ...text("schema_ok", ({ item }) => item.schema_ok), type: "boolean" as const },
    text("error_code", ({ item }) => item.error?.code),
    text("error_message", ({ item }) => item.error?.message),
  ];
  // Columns that were added later come after the task's fields, so that no column moves.
  const behind = [
    text("warnings", ({ item }) => spaced(item.warnings.map(({ code }) => code))),
    text("complete", completeOf),
  ];
  const more = [
    text("checks_failed", ({ item }) => spaced(failed(item).map(({ id }) => id))),
    text("ambiguous", ({ item }) =>
      spaced(single.flatMap(({ path }) => (item.normalized?.[path]?.ambiguous ? [path] : []))),
    ),
    tagged,
    text("quality", ({ item }) => item.quality && (item.quality.ok ? "ok" : spaced(item.quality.reasons))),
    { ...text("pages", ({ item }) => item.pages), type: "integer" as const },
    numbered,
    timed,
  ];
  const columns = laidOut({ fields: single, about, behind, more, shown, keyOf: (path) => path });
  return {
    columns,
    entriesOf: (item) => documentsOf(item).map((document) => ({ item: document, printed: document.result })),
  };
}

/**
 * The table of rows of the task's list of objects, the first if it has several; `line` counts from 1 within the document.
 * Undefined for a task without one.
 */
export function ofLines(fields: readonly Field[], shown: Values = "both"): Table | undefined {
  const list = listOf(fields);
  if (list === undefined) return undefined;
  const within = `${list}[].`;
  const own = fields
    .filter(({ path }) => path.startsWith(within))
    .map(({ path, kind }) => ({ path: path.slice(within.length), kind }));
  const keyOf = (path: string, { line = 0 }: Entry) => `${list}[${line}].${path}`;
  const about = [...named, { ...text("line", ({ line = 0 }) => line + 1), type: "integer" as const }];
  const more = [
    // A check of a sum over all rows is not about a single row.
    text("checks_failed", (entry) =>
      spaced(
        failed(entry.item)
          .filter(({ fields: paths }) => paths.some((path) => path.startsWith(keyOf("", entry))))
          .map(({ id }) => id),
      ),
    ),
    text("ambiguous", (entry) =>
      spaced(
        own.flatMap(({ path }) => (entry.item.normalized?.[keyOf(path, entry)]?.ambiguous ? [path] : [])),
      ),
    ),
    tagged,
    numbered,
  ];
  const columns = laidOut({ fields: own, about, behind: [text("complete", completeOf)], more, shown, keyOf });
  return {
    columns,
    entriesOf: (whole) =>
      documentsOf(whole).flatMap((item) => {
        const rows = valueAt(item.result, list);
        if (!Array.isArray(rows)) return [];
        return rows.map((printed: unknown, line) => ({ item, line, printed }));
      }),
  };
}

/** The path of the list of objects whose rows get a table of their own. */
export function listOf(fields: readonly Field[]): string | undefined {
  return fields.find(({ path }) => path.includes("[]."))?.path.split("[].")[0];
}

const text = (name: string, of: Column["valueOf"]): Column => ({
  name,
  role: "about",
  type: "text",
  valueOf: of,
});

const named: readonly Column[] = [
  { ...text("index", ({ item }) => item.index), type: "integer" },
  text("custom_id", ({ item }) => item.custom_id),
  text("file", ({ item }) => item.file),
];

/** All tags in one cell: which names there are is known only when all items have been seen. */
const tagged = text("tags", ({ item }) => item.tags && JSON.stringify(item.tags));

/** Empty where the file is one document. */
const numbered: Column = { ...text("document", ({ item }) => item.document), type: "integer" };

/** What a receipt's part of the run's cost is (`cost.per_model_second`). Of a file of several documents the first has it. */
const timed: Column = {
  ...text("model_seconds", ({ item }) =>
    (item.document ?? 1) === 1 ? (item.timings_ms.inference / 1000).toFixed(3) : undefined,
  ),
  type: "number",
};

/** Empty if nothing is missing, because the field is absent then. */
const completeOf = ({ item }: Entry) => item.complete;
const failed = (item: Row) => (item.checks ?? []).filter(({ ok }) => !ok);
const spaced = (words: readonly string[]) => [...new Set(words)].join(" ");

interface Layout {
  fields: readonly Field[];
  about: readonly Column[];
  behind: readonly Column[];
  more: readonly Column[];
  shown: Values;
  /** The key of a field's canonical form among the item's. */
  keyOf(path: string, entry: Entry): string;
}

function laidOut({ fields, about, behind, more, shown, keyOf }: Layout): Column[] {
  const names = new Set([...about, ...behind].map(({ name }) => name));
  const printed = fields.map(({ path, kind }): Column & { kind: FieldKind } => ({
    // A field with the name of one of our columns gets a prefix.
    name: names.has(path) ? `result.${path}` : path,
    role: "printed",
    type: "text",
    valueOf: (entry) => valueAt(entry.printed, path),
    kind,
  }));
  for (const { name } of printed) names.add(name);
  // A field with the name of another field's canonical column keeps its name, because it existed first.
  const free = (name: string) => (names.has(name) ? `canonical.${name}` : name);
  const canonical = fields.flatMap(({ path, kind }, i) =>
    parts[kind].map(({ part, type }): Column => {
      const at = (entry: Entry): NormalizedValue | undefined => {
        const all = entry.item.normalized;
        const key = keyOf(path, entry);
        return all && Object.hasOwn(all, key) ? all[key] : undefined;
      };
      return {
        name: free(`${printed[i]?.name}_${part}`),
        role: "canonical",
        type,
        valueOf: (entry) => at(entry)?.[part],
        ...(part === "value" && type === "number" ? { decimalsOf: (entry) => at(entry)?.decimals } : {}),
      };
    }),
  );
  const checked = more.map((column) => ({ ...column, name: free(column.name) }));
  if (shown === "printed") return [...about, ...printed, ...behind];
  // A text has no canonical form; its printed form is used.
  const kept = shown === "both" ? printed : printed.filter(({ kind }) => kind === "text");
  return [...about, ...kept, ...behind, ...canonical, ...checked];
}

/** The columns of each kind's canonical form. */
const parts: Record<FieldKind, readonly { part: "value" | "currency" | "unit"; type: Column["type"] }[]> = {
  money: [
    { part: "value", type: "number" },
    { part: "currency", type: "text" },
  ],
  count: [
    { part: "value", type: "number" },
    { part: "unit", type: "text" },
  ],
  percent: [{ part: "value", type: "number" }],
  date: [{ part: "value", type: "date" }],
  time: [{ part: "value", type: "text" }],
  currency: [{ part: "value", type: "text" }],
  text: [],
};

/**
 * The value at a path of names (`totals.tax`); undefined if there is none. An answer that breaks its schema may have
 * any shape.
 */
export function valueAt(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (at, step) =>
        typeof at === "object" && at !== null && Object.hasOwn(at, step)
          ? (at as Record<string, unknown>)[step]
          : undefined,
      value,
    );
}

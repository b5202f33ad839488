import type { extractJson, JsonObject } from "#core/vision/answer/json";
import { type Salvaged, salvage } from "#core/vision/answer/salvage";
import type { Tile } from "../long-paper/tile.ts";
import { leastRows } from "./least-rows.ts";

/*
 * An answer that used up its tokens in a long list is continued in further calls (docs/documents.md, "Long lists").
 * Each call tells the model how many rows were read and what the last of them are, and asks for the rows after these.
 * It tells fewer rows than were read: the answer must begin with the ones that were left out, which shows where its
 * rows belong.
 */

/** The most further calls for one answer. */
export const mostCalls = 16;
/** A row must differ from this many rows before it. */
const windowRows = 20;
/** The number of last rows that the prompt repeats, as long as they are short. */
const toldRows = 3;
const toldCharacters = 2_000;
/** Lists are looked for in groups of groups, not in rows. */
const maxDepth = 8;

/** The part of an incomplete answer that was read. */
export interface Begun {
  value: JsonObject;
  /** The names of the path to its longest list. */
  list: string[];
  rows: unknown[];
}

/** @returns undefined if so few rows were read that the list did not make the answer long. */
export function begin(read: Salvaged | null | undefined): Begun | undefined {
  if (read === null || read === undefined) return undefined;
  const list = longest(read.value, []);
  if (list === undefined || list.rows.length < leastRows) return undefined;
  const isOther = read.brokenList !== undefined && read.brokenList !== list.path.join(".");
  // The next answer has all rows of any other incomplete list.
  const value = isOther ? without(read.value, read.brokenList?.split(".") ?? []) : read.value;
  return { value, list: list.path, rows: list.rows };
}

/** The fault of an answer that never ends: its record, and the rows so far. */
export function salvaged({ value, list, rows }: Begun): Salvaged {
  return { value, rows: rows.length, brokenList: list.join(".") };
}

/**
 * After how many rows the next answer may begin, the latest first. The row after each of these places is known and
 * differs from those before it, so that the place is recognized.
 */
export function seams({ rows }: Begun): number[] {
  const keys = rows.map(keyOf);
  return keys
    .flatMap((key, at) => {
      const before = keys.slice(Math.max(0, at - windowRows), at);
      return at > 0 && !before.includes(key) ? [at] : [];
    })
    .toReversed();
}

/** The text after the pictures. Its rows are the model's own answer about the page, as JSON. */
export function request({ list, rows }: Begun, seam: number): string {
  let told: string[] = [];
  for (const row of rows.slice(Math.max(0, seam - toldRows), seam).toReversed()) {
    const next = [JSON.stringify(row), ...told];
    if (next.join("\n").length <= toldCharacters) told = next;
  }
  const field = `"${list.join(".")}"`;
  return [
    `The first ${seam} entries of ${field} have been read already. The last of them are, in their order:`,
    ...told,
    `Answer with the whole JSON object again, with one difference: ${field} starts with the entry that comes after these, and holds all others up to the last one. Leave out the entries that have been read.`,
  ].join("\n");
}

/** What `request` asks for in a question: the path of the list, and how many of its entries have been read; undefined where it does not. */
export function asked(question: string): { list: string[]; after: number } | undefined {
  const found = /The first (\d+) entries of "([^"\n]+)" have been read already\. /.exec(question);
  return found === null ? undefined : { list: (found[2] ?? "").split("."), after: Number(found[1]) };
}

/** An answer, extended by the next one. */
interface Joined extends Begun {
  added: number;
  /** The next answer began with the first row again. */
  restarted: boolean;
}

/**
 * Puts the next answer behind the first `seam` rows, or behind fewer where it repeats some of them. The answer must
 * begin with the known rows after that place, so that no row is taken twice, and equal rows on the paper are all kept.
 * @returns undefined if it does not.
 */
export function join(begun: Begun, seam: number, next: JsonObject): Joined | undefined {
  const found = valueAt(next, begun.list);
  if (!Array.isArray(found)) return undefined;
  const [known, given] = [begun.rows.map(keyOf), found.map(keyOf)];
  for (let from = seam; from >= 0; from -= 1) {
    const repeated = known.length - from;
    if (given.length < repeated || known.slice(from).some((key, at) => key !== given[at])) continue;
    const rows = [...begun.rows, ...found.slice(repeated)];
    const value = filled(begun.value, next, begun.list, rows);
    return { value, list: begun.list, rows, added: given.length - repeated, restarted: from === 0 };
  }
  return undefined;
}

/** A call's text, and after how many rows it was asked to go on; undefined for the one that began. */
export interface Text {
  text: string;
  afterRow: number | undefined;
  call: Recorded;
}

/** The facts about a call's text in its record. */
interface Recorded {
  pages: number[];
  tile?: Tile;
  raw_model_text: string | null;
  after_row?: number;
  repeated?: true;
}

/** The texts of calls that count, by the answers that they are parts of. */
export function grouped(calls: readonly Recorded[]): Text[][] {
  const answers: Text[][] = [];
  for (const call of calls) {
    const { raw_model_text, after_row: afterRow, repeated } = call;
    if (repeated) continue;
    const text = { text: raw_model_text ?? "", afterRow, call };
    if (afterRow === undefined) answers.push([text]);
    else answers.at(-1)?.push(text);
  }
  return answers;
}

/** A complete answer, as it was read then. */
export function wholeIn(texts: readonly Text[], reader: typeof extractJson): JsonObject | undefined {
  const last = texts.at(-1);
  const read = reader(last?.text ?? "");
  if (!read.ok || last === undefined) return undefined;
  if (last.afterRow === undefined) return read.value;
  const begun = begunIn(texts.slice(0, -1));
  return begun && join(begun, last.afterRow, read.value)?.value;
}

/** The part of an incomplete answer that was read. */
export function salvagedIn(texts: readonly Text[]): Salvaged | undefined {
  const [first, ...others] = texts;
  if (others.length === 0) return salvage(first?.text ?? "");
  const begun = begunIn(texts);
  return begun && salvaged(begun);
}

function begunIn([first, ...others]: readonly Text[]): Begun | undefined {
  let begun = begin(salvage(first?.text ?? ""));
  for (const { text, afterRow = 0 } of others) {
    const next = salvage(text)?.value;
    begun = begun && next && join(begun, afterRow, next);
  }
  return begun;
}

const isGroup = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function longest(group: JsonObject, path: string[]): { path: string[]; rows: unknown[] } | undefined {
  const lists = Object.entries(group).flatMap(([name, value]) => {
    if (Array.isArray(value)) return [{ path: [...path, name], rows: value as unknown[] }];
    const within = isGroup(value) && path.length < maxDepth ? longest(value, [...path, name]) : undefined;
    return within === undefined ? [] : [within];
  });
  return lists.toSorted((a, b) => b.rows.length - a.rows.length)[0];
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const name of path) found = isGroup(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  return found;
}

function without(group: JsonObject, [name, ...others]: readonly string[]): JsonObject {
  const entries = Object.entries(group).flatMap(([key, value]) => {
    if (key !== name) return [[key, value] as const];
    return others.length > 0 && isGroup(value) ? [[key, without(value, others)] as const] : [];
  });
  return Object.fromEntries(entries) as JsonObject;
}

/** The first answer with the given rows, and with the members that only the next answer has. */
function filled(first: JsonObject, next: JsonObject, list: readonly string[], rows: unknown[]): JsonObject {
  const [name, ...others] = list;
  const keys = [...Object.keys(first), ...Object.keys(next).filter((key) => !Object.hasOwn(first, key))];
  const entries = keys.map((key) => {
    if (key === name && others.length === 0) return [key, rows];
    const mine = Object.hasOwn(first, key) ? first[key] : undefined;
    const other = Object.hasOwn(next, key) ? next[key] : undefined;
    if (isGroup(mine) && isGroup(other)) return [key, filled(mine, other, key === name ? others : [], rows)];
    return [key, mine ?? other ?? null];
  });
  return Object.fromEntries(entries) as JsonObject;
}

/** A row's values for comparison, because two readings of a row differ in case and blanks. */
function keyOf(row: unknown): string {
  return JSON.stringify(row, (_name, value: unknown) =>
    typeof value === "string" ? value.normalize("NFKC").toLowerCase().replace(/\s+/g, "") : value,
  );
}

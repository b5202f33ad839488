import type { Normalized } from "#core/canonical/normalize";
import type { Task } from "#core/task/task";
import * as Seam from "./long-paper/seam.ts";
import type { Tile } from "./long-paper/tile.ts";

/*
 * One answer from those of several calls, each about some pages of a document (docs/documents.md, "Several pages"):
 * depending on the field, the value of the first page that has it, of the last, or the rows of all pages. Nothing is
 * added up, and no value is changed.
 */

type Value = Record<string, unknown>;

export interface Merged {
  value: Value;
  /** Paths of fields whose values differ between two pages. */
  disagree: string[];
  /** True if two tiles should show the same rows, and do not. */
  unclear: boolean;
}

/** An answer, and its canonical forms, by which two ways to print a value are compared. */
interface Part {
  value: Value;
  normalized: Normalized;
  /** Which part of its page it is about, if not all of it. */
  tile?: Tile | undefined;
}

/** @param parts - in the order of the pages, or of the tiles of one page; at least one. */
export function merge(task: Pick<Task, "fields" | "lastPage">, parts: readonly Part[]): Merged {
  const merging: Merging = { task, parts, disagree: [], unclear: false };
  const value = ofGroup(
    merging,
    "",
    parts.map((part) => part.value),
  );
  return { value, disagree: merging.disagree, unclear: merging.unclear };
}

interface Merging {
  task: Pick<Task, "lastPage">;
  parts: readonly Part[];
  disagree: string[];
  unclear: boolean;
}

const isGroup = (value: unknown): value is Value =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @param values - one of each part, undefined if it has none. */
function ofGroup(merging: Merging, path: string, values: readonly unknown[]): Value {
  const groups = values.map((value) => (isGroup(value) ? value : undefined));
  const names = new Set(groups.flatMap((group) => (group === undefined ? [] : Object.keys(group))));
  // A null prototype, because the model chose the names.
  const merged: Value = Object.create(null);
  for (const name of names) {
    const here = path === "" ? name : `${path}.${name}`;
    const given = groups.map((group) =>
      group !== undefined && Object.hasOwn(group, name) ? group[name] : undefined,
    );
    merged[name] = ofField(merging, here, given);
  }
  return { ...merged };
}

function ofField(merging: Merging, path: string, values: readonly unknown[]): unknown {
  const { lastPage } = merging.task;
  const isLast = lastPage.some((name) => path === name || path.startsWith(`${name}.`));
  if (values.some(Array.isArray)) {
    const lists = values.filter(Array.isArray) as unknown[][];
    if (isLast) return lists.findLast((list) => list.length > 0) ?? lists.at(-1);
    return rowsOf(merging, values).filter((row) => !isCarried(row));
  }
  if (values.some(isGroup)) return ofGroup(merging, path, values);
  const given = values.filter((value) => value !== undefined && value !== null);
  if (isLast) return given.at(-1) ?? null;
  if (contradict(merging.parts, path, values)) merging.disagree.push(path);
  return given[0] ?? null;
}

/** The rows of all parts; of two tiles of a page the rows that both show are taken once. */
function rowsOf(merging: Merging, values: readonly unknown[]): unknown[] {
  let all: unknown[] = [];
  for (const [at, value] of values.entries()) {
    const [before, { tile } = {}] = [merging.parts[at - 1]?.tile, merging.parts[at]];
    const rows = Array.isArray(value) ? value : [];
    const isBelow = tile !== undefined && before?.number === tile.number - 1;
    const joined = isBelow ? Seam.join(all, rows, tile.shared) : undefined;
    if (joined?.isClear === false) merging.unclear = true;
    all = joined?.rows ?? [...all, ...rows];
  }
  return all;
}

/** True if the two values differ: they are not the same value in another form, and neither is a part of the other. */
function contradict(parts: readonly Part[], path: string, values: readonly unknown[]): boolean {
  const said = values.flatMap((value, index) =>
    typeof value === "string" && lettersOf(value) !== ""
      ? [{ letters: lettersOf(value), canonical: parts[index]?.normalized[path]?.value }]
      : [],
  );
  const [first, ...others] = said;
  return others.some((other) => {
    if (first === undefined || first.letters.includes(other.letters)) return false;
    if (other.letters.includes(first.letters)) return false;
    return first.canonical === undefined || first.canonical === null || first.canonical !== other.canonical;
  });
}

/** Letters and digits alone: pages differ in case, spaces and punctuation. */
const lettersOf = (text: string) =>
  text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "");

/**
 * Labels of the sum that a page takes over from the one before it. Nothing else may stand in a row's text than that, the
 * page, and an amount: "Übertragungskabel" is an item.
 */
const carried =
  /^(?:zwischen)?(?:übertrag|uebertrag)|^(?:amount|balance|total|sub ?total)? ?(?:carried|brought) ?(?:forward|over)|^[bc]\/f(?:wd)?|^(?:à|a) reporter|^report(?: de la page)?(?: précédente)?|^suma (?:anterior|y sigue)|^suma y sigue|^saldo anterior|^(?:a )?riport(?:o|are)|^transport(?:eren)?$|^over(?:dracht|te dragen)/iu;
const besides =
  /^(?:[\s\d.,:;'’()€$£/-]|\b(?:von|auf|aus|from|to|of|de|la|da|van|page|pages|seite|blatt|página|pagina|p|s|eur|usd|gbp|chf)\b)*$/iu;

/** True for a row that only takes over the sum of another page. */
function isCarried(row: unknown): boolean {
  if (!isGroup(row)) return false;
  const texts = Object.values(row).filter((value): value is string => typeof value === "string");
  const [label, ...others] = texts.filter((text) => /\p{L}/u.test(text) && !besides.test(text));
  if (label === undefined || others.length > 0) return false;
  const found = carried.exec(label.trim());
  return found !== null && besides.test(label.trim().slice(found[0].length));
}

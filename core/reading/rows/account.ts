import * as Checks from "#core/canonical/checks/checks";
import type { Rule } from "#core/canonical/checks/rule";
import * as Decimal from "#core/canonical/money/decimal";
import type { Field, Normalized } from "#core/canonical/normalize";
import type { Rows } from "./schema.ts";

/*
 * Row accounting: whether the list of items is complete, from evidence on the paper itself (docs/documents.md, "Are all
 * rows there?"). Three things are compared with the rows that the model returned: the printed sum, the printed number
 * of items, and how many lines of print end where amounts stand. A sum that fits proves more than a count, which may
 * mean pieces or rows, with or without deposits; lines seen only tell where many are missing.
 */

/** The evidence on the paper, apart from the answer. */
export interface Evidence {
  printed: number | null;
  seen: number | null;
  /** The rows of two parts of long paper could not be matched. */
  unclear?: boolean | undefined;
  /** The answer is incomplete. */
  cut?: boolean | undefined;
}

/** An answer and its canonical values. */
interface Answer {
  value: unknown;
  normalized: Normalized;
}

interface Task {
  checks: readonly Rule[];
  fields: readonly Field[];
}

export interface Account {
  complete: boolean | null;
  rows: Rows;
}

/**
 * If the paper has this many more lines with amounts than the answer has rows and sums, miscounted lines cannot be the
 * reason.
 */
const farMore = { lines: 15, times: 4 };

/** @returns undefined for a task without a list of items that have an amount, and for an answer without it. */
export function account(task: Task, answer: Answer, evidence: Evidence): Account | undefined {
  const rule = task.checks.find((each) => each.rule === "items_sum_is_subtotal");
  if (rule === undefined) return undefined;
  const list = rule.items.slice(0, rule.items.lastIndexOf("[]"));
  const rows = at(answer.value, list);
  if (!Array.isArray(rows)) return undefined;
  const returned = rows.length;
  const counts = [returned, piecesOf(rule, returned, answer.normalized)];
  const known = { returned, printed: evidence.printed, seen: evidence.seen };
  const [complete, reason] = verdict({
    ...{ evidence, returned, counts, sum: sumOf(task, rule.items, answer) },
    lines: returned + amountsBeside(task.fields, list, answer.normalized),
  });
  return { complete, rows: { ...known, reason } };
}

interface Compared {
  evidence: Evidence;
  returned: number;
  /** The numbers that a printed count may mean: rows or pieces. */
  counts: number[];
  /** True if the rows add up to the printed sum; undefined if nothing can be added up. */
  sum: boolean | undefined;
  /** The number of rows and single amounts of the answer; each is a printed line. */
  lines: number;
}

function verdict({ evidence, returned, counts, sum, lines }: Compared): [boolean | null, Rows["reason"]] {
  const { printed, seen, unclear, cut } = evidence;
  if (cut) return [false, "answer_too_long"];
  const matches = printed === null ? undefined : counts.includes(printed);
  const isShort = printed !== null && printed > Math.max(...counts);
  // A printed count may include bags or gifts: it does not overrule a sum that fits, but the sum is no proof then.
  if (sum === true) return isShort ? [null, "count_differs"] : [true, "adds_up"];
  if (sum === false) return [matches ? null : false, "sum_differs"];
  if (matches && returned > 0) return [true, "count_matches"];
  if (matches === false) return [isShort ? false : null, "count_differs"];
  if (seen !== null && seen >= Math.max(lines + farMore.lines, farMore.times * lines))
    return [false, "rows_seen"];
  return [null, unclear ? "parts_unclear" : "nothing_to_compare"];
}

/**
 * The result of the check of the rows, unless its tolerance could hide a row. If the total is higher than the rows, the
 * reason may be a missing tax; missing rows are equally likely, and must be reported.
 */
function sumOf(task: Task, items: string, { value, normalized }: Answer): boolean | undefined {
  const verdicts = Checks.examine(task, value, normalized);
  const isOfRows = (id: string) => id.startsWith("items_sum_is_");
  const left = verdicts.flatMap((verdict) => ("leftOut" in verdict ? [verdict.leftOut] : []));
  if (left.some(({ id, reason }) => id === "items_sum_is_total" && reason === "tax_missing")) return false;
  const check = verdicts
    .flatMap((verdict) => ("check" in verdict ? [verdict.check] : []))
    .find(({ id }) => isOfRows(id));
  if (check === undefined || !check.ok) return check?.ok;
  const off = Decimal.abs(Decimal.minus(Decimal.of(check.expected), Decimal.of(check.actual)));
  if (Decimal.sign(off) === 0) return true;
  const [list, name] = [items.slice(0, items.lastIndexOf("[]")), items.slice(items.lastIndexOf("[]") + 2)];
  const prices = Object.entries(normalized)
    .filter(([path]) => path.startsWith(`${list}[`) && path.endsWith(name))
    .map(([, { value }]) => Decimal.abs(Decimal.of(value)));
  return prices.some((price) => Decimal.compare(price, off) <= 0) ? undefined : true;
}

/** The pieces of all rows: whole quantities count as they are, all others as one. */
function piecesOf(
  rule: Rule & { rule: "items_sum_is_subtotal" },
  rows: number,
  normalized: Normalized,
): number {
  const path = rule.beside?.quantity;
  let pieces = 0;
  for (let row = 0; row < rows; row += 1) {
    const quantity = path === undefined ? undefined : normalized[path.replace("[]", `[${row}]`)]?.value;
    pieces += quantity !== undefined && /^[1-9]\d{0,3}$/.test(quantity) ? Number(quantity) : 1;
  }
  return pieces;
}

/** Amounts of the answer outside of the list. */
function amountsBeside(fields: readonly Field[], list: string, normalized: Normalized): number {
  const money = new Set(fields.filter(({ kind }) => kind === "money").map(({ path }) => path));
  return Object.keys(normalized).filter(
    (path) => !path.startsWith(`${list}[`) && money.has(path.replace(/\[\d+\]/g, "[]")),
  ).length;
}

function at(value: unknown, path: string): unknown {
  let found = value;
  for (const name of path.split("."))
    found =
      typeof found === "object" && found !== null && Object.hasOwn(found, name)
        ? (found as Record<string, unknown>)[name]
        : undefined;
  return found;
}

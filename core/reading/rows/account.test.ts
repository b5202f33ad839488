import { describe, expect, test } from "vitest";
import { answerOf, documents as made } from "#core/canonical/checks/documents-for-tests";
import { isPresent, documents as labeled } from "#core/canonical/checks/labeled-for-tests";
import { normalize } from "#core/canonical/normalize";
import * as Task from "#core/task/task";
import { account, type Evidence } from "./account.ts";

const task = Task.get("receipt_v1") as Task.Task;

interface Paper {
  prices: (string | null)[];
  quantities?: string[];
  totals?: Record<string, string>;
}

function accountOf({ prices, quantities = [], totals = {} }: Paper, evidence: Partial<Evidence> = {}) {
  const items = prices.map((price, at) => ({
    ...{ name: `x${at}`, quantity: quantities[at] ?? null, unit_price: null, price },
  }));
  const value = { items, totals };
  const normalized = normalize(task.fields, value);
  const found = account(task, { value, normalized }, { printed: null, seen: null, ...evidence });
  return [found?.complete, found?.rows.reason];
}

const three = ["1.00", "2.00", "3.00"];

describe("the rows of an answer", () => {
  test.each<[string, Paper, Partial<Evidence>, boolean | null, string]>([
    ["that add up are all", { prices: three, totals: { total: "6.00" } }, {}, true, "adds_up"],
    [
      "that add up to less are not all",
      { prices: three, totals: { total: "9.50" } },
      {},
      false,
      "sum_differs",
    ],
    [
      "that add up to more are not those of the paper",
      { prices: three, totals: { total: "5.00" } },
      {},
      false,
      "sum_differs",
    ],
    ["as many as the paper says are all", { prices: three }, { printed: 3 }, true, "count_matches"],
    [
      "with as many pieces as the paper says are all",
      { prices: three, quantities: ["2", "1", "0.456 kg"] },
      { printed: 4 },
      true,
      "count_matches",
    ],
    ["fewer than the paper says are not all", { prices: three }, { printed: 5 }, false, "count_differs"],
    ["more than the paper says are not decided", { prices: three }, { printed: 2 }, null, "count_differs"],
    [
      "that add up, but are fewer than the paper says, are not decided",
      { prices: three, totals: { total: "6.00" } },
      { printed: 5 },
      null,
      "count_differs",
    ],
    [
      "that do not add up, but are as many as the paper says, are not decided",
      { prices: three, totals: { total: "9.00" } },
      { printed: 3 },
      null,
      "sum_differs",
    ],
    ["beside many more lines with amounts are not all", { prices: three }, { seen: 40 }, false, "rows_seen"],
    [
      "beside a few more lines with amounts are not decided",
      { prices: three },
      { seen: 9 },
      null,
      "nothing_to_compare",
    ],
    [
      "that add up are all, however many lines have amounts",
      { prices: three, totals: { total: "6.00" } },
      { seen: 40 },
      true,
      "adds_up",
    ],
    ["with nothing to compare are not decided", { prices: three }, {}, null, "nothing_to_compare"],
    [
      "of parts that could not be joined are not decided",
      { prices: three },
      { unclear: true },
      null,
      "parts_unclear",
    ],
    [
      "that broke off are not all, even if they add up",
      { prices: three, totals: { total: "6.00" } },
      { cut: true },
      false,
      "answer_too_long",
    ],
    [
      "none, on paper without amounts, are not decided",
      { prices: [], totals: { total: "6.00" } },
      { seen: 3 },
      null,
      "nothing_to_compare",
    ],
    ["none, beside a page of amounts, are not all", { prices: [] }, { seen: 20 }, false, "rows_seen"],
  ])("%s", (_name, paper, evidence, complete, reason) => {
    expect(accountOf(paper, evidence)).toEqual([complete, reason]);
  });

  test("are not reported as complete if the tolerance could hide a row", () => {
    // Rounded down to 100 rupiah: a row of 50 may be missing, one of 20,000 may not.
    expect(accountOf({ prices: ["20,000", "30,040"], totals: { total: "50,000" } })[0]).toBe(true);
    expect(accountOf({ prices: ["40", "50,000"], totals: { total: "50,000" } })[0]).not.toBe(true);
  });

  test("are not judged if the task has no list with a sum, or the answer lacks the list", () => {
    const of = (id: string, value: unknown) => {
      const known = Task.get(id) as Task.Task;
      return account(known, { value, normalized: {} }, { printed: 3, seen: 9 });
    };
    expect(of("receipt_fields_v1", { total: "1.00" })).toBeUndefined();
    expect(of("receipt_v1", { items: null })).toBeUndefined();
    expect(of("receipt_v1", null)).toBeUndefined();
  });
});

/** An answer without each of its rows in turn; rows without an amount are left alone. */
function* lacking({ taskId, answer }: Known) {
  const list = taskId === "invoice_v1" ? "line_items" : "items";
  const rows = (answer as Record<string, Record<string, string>[]>)[list] ?? [];
  for (const [at, { price, amount }] of rows.entries())
    if (price ?? amount) yield { taskId, answer: { ...(answer as object), [list]: rows.toSpliced(at, 1) } };
}

interface Known {
  taskId: string;
  answer: unknown;
}

function completeOf({ taskId, answer }: Known): boolean | null | undefined {
  const known = Task.get(taskId) as Task.Task;
  const normalized = normalize(known.fields, answer);
  return account(known, { value: answer, normalized }, { printed: null, seen: null })?.complete;
}

function shares(documents: readonly Known[]) {
  const listed = documents.filter((each) => [...lacking(each)].length > 0 && completeOf(each) !== undefined);
  const whole = listed.map(completeOf);
  const cut = listed.flatMap((document) => [...lacking(document)]).map(completeOf);
  return { wrong: whole.filter((each) => each === false).length, whole, cut };
}

test("no correct document is reported as incomplete, and at most one in ten documents without a row is reported as complete", () => {
  const { wrong, cut } = shares(made.map((each) => ({ taskId: each.taskId, answer: answerOf(each) })));
  expect(wrong).toBe(0);
  expect(cut.filter((each) => each === false).length).toBeGreaterThanOrEqual(0.8 * cut.length);
  expect(cut.filter((each) => each === true).length).toBeLessThanOrEqual(0.1 * cut.length);
});

test.skipIf(!isPresent)("the same holds for receipts that people labeled (needs ../shared)", () => {
  const { wrong, whole, cut } = shares(labeled());
  expect(wrong).toBe(0);
  expect(whole.filter((each) => each === true).length).toBeGreaterThanOrEqual(20);
  expect(cut.filter((each) => each === false).length).toBeGreaterThanOrEqual(0.7 * cut.length);
  expect(cut.filter((each) => each === true).length).toBeLessThanOrEqual(0.1 * cut.length);
});

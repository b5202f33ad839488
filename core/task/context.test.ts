import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as Context from "#core/task/context";

test("The table of docs/gpu.md has the least context of each task.", () => {
  const page = readFileSync("docs/gpu.md", "utf8");
  const rows = [...page.matchAll(/^\| `(\w+_v\d)` \| ([\d,]+) \|$/gm)].map(([, id, tokens]) => [
    id,
    Number(tokens?.replace(",", "")),
  ]);
  expect(rows).toEqual(Context.leastContexts());
});

test("A context of 4,096 tokens is too small for invoices, lists of items and whole receipts.", () => {
  expect(Context.tooLargeFor(4_096)).toEqual(["invoice_v1", "items_light_v1", "receipt_v1"]);
  expect(Context.tooLargeFor(8_192)).toEqual([]);
});

import { expect, test } from "vitest";
import * as Changes from "./changes.ts";
import * as GroundTruthRecord from "./record.ts";

const records = (given: object[]) =>
  given.map((value, index) => {
    const { record, issues } = GroundTruthRecord.parse(value, { index });
    if (record === undefined) throw new Error(JSON.stringify(issues));
    return record;
  });

test("two versions differ by records, and by the labels of one, wherever these stand", async () => {
  const before = [
    { file: "same.jpg", total: "1", items: [{ name: "A" }] },
    { file: "gone.jpg", total: "1" },
    {
      file: "a.jpg",
      fields: { "totals.total": "1", totals: { tax: null }, date: "?", items: [{ name: "A" }] },
    },
    { total: "0" },
  ];
  const after = [
    {
      file: "a.jpg",
      totals: { total: { any: ["1", "1.0"] }, tax: "" },
      items: [{ name: "B" }, { name: "C" }],
    },
    { file: "same.jpg", fields: { items: [{ name: "A" }], total: "1" } },
    { file: "new.jpg" },
    { total: "1" },
  ];
  expect(await Changes.compare(records(before), records(after))).toEqual({
    added: ["new.jpg"],
    removed: ["gone.jpg"],
    changed: [
      {
        image: "a.jpg",
        labels: [
          { path: "totals.total", before: "1", after: { any: ["1", "1.0"] } },
          { path: "date", before: "?", after: undefined },
          { path: "items.0.name", before: "A", after: "B" },
          { path: "items.1", before: undefined, after: { name: "C" } },
        ],
      },
      { image: "(no name)", labels: [{ path: "total", before: "0", after: "1" }] },
    ],
    same: 1,
  });
});

import { describe, expect, it } from "vitest";
import * as Facts from "#local/model/rules/facts";
import { receipts } from "#local/model/rules/fixtures/receipts";
import * as Rows from "#local/model/rules/rows";
import * as TillPaper from "#test/support/till-paper";

const read = (text: string) => Facts.find([TillPaper.fromText(text)]);

describe("the printed values, and nothing that is not printed", () => {
  it.each(receipts)("$name", ({ text, expected }) => {
    const { values } = read(text);
    const found = Object.fromEntries(
      Object.keys(expected).map((key) => [key, values.get(key)?.text ?? null]),
    );
    expect(found).toEqual(expected);
  });
});

describe("the item lines", () => {
  const columns = ["name", "quantity", "unit_price", "price"];

  it.each(receipts.filter((receipt) => receipt.items))("$name", ({ text, items }) => {
    const found = read(text).items.map((item) => columns.map((column) => item.get(column)?.text ?? null));
    expect(found).toEqual(items);
  });
});

describe("rows", () => {
  it.each([-6, -2, 3, 7])("stay together on paper that is turned by %s degrees", (degrees) => {
    const text = "Sub Total            10.00\nGST 6%                0.60\nTOTAL                10.60";
    const page = TillPaper.fromText(text);
    const angle = (degrees * Math.PI) / 180;
    const turned = page.lines.map((line) => ({
      ...line,
      points: line.points.map(({ x, y }) => ({
        x: x * Math.cos(angle) - y * Math.sin(angle),
        y: x * Math.sin(angle) + y * Math.cos(angle),
      })) as typeof line.points,
    }));
    expect(Rows.group([{ ...page, lines: turned }]).map((row) => row.text)).toEqual([
      "Sub Total 10.00",
      "GST 6% 0.60",
      "TOTAL 10.60",
    ]);
  });

  it("of two pictures do not mix", () => {
    const rows = Rows.group([TillPaper.fromText("first  1.00"), TillPaper.fromText("second  2.00")]);
    expect(rows.map((row) => row.text)).toEqual(["first 1.00", "second 2.00"]);
  });

  it("lose stray Chinese characters and characters of low confidence", () => {
    expect(Rows.clean("合计：TOTAL（RM）")).toBe(":TOTAL(RM)");
    expect(Rows.group([TillPaper.fromText("noise", 0.3)])).toEqual([]);
  });
});

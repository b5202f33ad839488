import { describe, expect, it } from "vitest";
import * as Amounts from "#local/model/rules/amounts";
import * as Rows from "#local/model/rules/rows";
import * as TillPaper from "#test/support/till-paper";

/** The numbers of the first row, read in the style of the whole paper. */
function numbers(...lines: string[]) {
  const rows = Rows.group([TillPaper.fromText(lines.join("\n"))]);
  const style = Amounts.detectStyle(rows);
  const [first] = rows.map((row, index) => Amounts.segments(row, index, style));
  return (first ?? []).flatMap((each) =>
    each.kind === "number" ? [[each.shown, each.value, each.form]] : [],
  );
}

describe("amounts", () => {
  it.each([
    ["1.591.600", 1591600, "Rp 2.000"],
    ["1,591,600", 1591600, "45,000"],
    ["35.000,00", 35000, "1.200,00"],
    ["1'249.00", 1249, "10.00"],
    ["1,234.56", 1234.56, "10.00"],
    ["24,23", 24.23, "1,99"],
    ["-3.50", -3.5, "1.00"],
    ["RM 5.00", 5, "1.00"],
    ["34,00 EUR", 34, "1,00"],
    [".00", 0, "1.00"],
  ])("%s is money", (text, value, other) => {
    expect(numbers(text, other, other)).toEqual([[text, value, "money"]]);
  });

  it("with one mark three digits from the end follow the paper: thousands in rupiah, a measure in euro", () => {
    expect(numbers("1.499", "12.000", "8.500")).toEqual([["1.499", 1499, "money"]]);
    expect(numbers("1,499", "12,00", "8,50")).toEqual([["1,499", 1.499, "measure"]]);
  });

  it("without any separator are read where the paper has none at all", () => {
    expect(numbers("45000", "12000", "5000")).toEqual([["45000", 45000, "money"]]);
  });

  it("lose tax codes, and keep sign and decimals where these stand apart", () => {
    expect(numbers("2.10ZRL", "1.00")).toEqual([["2.10", 2.1, "money"]]);
    expect(numbers("(1.50)", "1.00")).toEqual([["-1.50", -1.5, "money"]]);
    expect(numbers("10.00-", "1.00")).toEqual([["-10.00", -10, "money"]]);
  });

  it("are repaired where the recognizer misread a digit or a mark", () => {
    expect(numbers("RMO.28", "1.00")).toEqual([["RM0.28", 0.28, "money"]]);
    expect(numbers("52-00", "22.00")).toEqual([["52.00", 52, "money"]]);
    expect(numbers("15,000,00", "8.500,00")).toEqual([["15.000,00", 15000, "money"]]);
  });

  it.each(["06/01/2018", "12:17:26", "TEL 03-78057889", "CS00067741", "S98"])(
    "are not seen in %s",
    (text) => {
      expect(numbers(text, "1.00").filter(([, , form]) => form === "money")).toEqual([]);
    },
  );

  it("are distinguished from quantities, units and rates", () => {
    expect(numbers("2x", "1.00")).toEqual([["2x", 2, "integer"]]);
    expect(numbers("1.00PKT", "1.00")).toEqual([["1.00PKT", 1, "measure"]]);
    expect(numbers("19,00 %", "1,00")).toEqual([["19,00 %", 19, "percent"]]);
  });
});

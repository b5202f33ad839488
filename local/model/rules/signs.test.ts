import { describe, expect, it } from "vitest";
import * as Rows from "#local/model/rules/rows";
import * as Signs from "#local/model/rules/signs";
import * as TillPaper from "#test/support/till-paper";

const mended = (text: string, currency: string | undefined) =>
  Signs.mend(Rows.group([TillPaper.fromText(text)]), currency).map((row) => row.text);

describe("amounts are read as they are printed although their sign is lost", () => {
  it.each([
    ["GBP", "f12.50", "£12.50"],
    ["GBP", "Tea f3.20", "Tea £3.20"],
    ["GBP", "Teaf3.20", "Tea £3.20"],
    ["GBP", "TOTAL12.50", "TOTAL 12.50"],
    ["GBP", "Item @ f4.00 each", "Item @ £4.00 each"],
    ["EUR", "Total1234,50", "Total 1234,50"],
    ["EUR", "Totaal15,42", "Totaal 15,42"],
    ["EUR", "E12,50", "12,50"],
    ["INR", "Grand Total?250.00", "Grand Total 250.00"],
    ["TRY", "t45,00", "45,00"],
    [undefined, "3x2,196,57A", "3x2,19 6,57A"],
    [undefined, "2 x7,4914,98A", "2 x7,49 14,98A"],
  ])("%s: %s", (currency, read, printed) => {
    expect(mended(read, currency)).toEqual([printed]);
  });

  it("a digit is removed only if another amount proves that it is not one", () => {
    expect(mended("TOTAL3250.00\nUPI  250.00", "INR")).toEqual(["TOTAL 250.00", "UPI 250.00"]);
    expect(mended("TOTAL3250.00\nUPI  3250.00", "INR")).toEqual(["TOTAL 3250.00", "UPI 3250.00"]);
    expect(mended("TOTAL250.00\nUPI  250.00", "INR")).toEqual(["TOTAL 250.00", "UPI 250.00"]);
    // The sum of the rows above is proof as well.
    const parts = "Sub Total  240.00\nCGST 2.5%  6.00\nSGST 2.5%  6.00\nRound Off  -2.00\n";
    expect(mended(`${parts}Total3250.00`, "INR").at(-1)).toBe("Total 250.00");
    expect(mended("Dosa  180.00\nLassi  70.00\nTotal250.00", "INR").at(-1)).toBe("Total 250.00");
    // A missing value is better than a wrong one.
    expect(mended("TOTAL3250.00", "INR")).toEqual(["TOTAL3250.00"]);
  });

  it.each([
    ["another country's paper", "f12.50", undefined],
    ["a word and its size", "Vitamin B12.50", "EUR"],
    ["a version", "POS V2.10", "GBP"],
    ["a product that does not fit", "3x2,196,78A", undefined],
    ["a code", "PF12.50.11", "GBP"],
  ])("nothing changes: %s", (_why, text, currency) => {
    expect(mended(text, currency)).toEqual([text]);
  });
});

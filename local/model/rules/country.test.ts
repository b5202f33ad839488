import { describe, expect, it } from "vitest";
import { currencyOf } from "#local/model/rules/country";
import * as Rows from "#local/model/rules/rows";
import * as TillPaper from "#test/support/till-paper";

const of = (text: string) => currencyOf(Rows.group([TillPaper.fromText(text)]));

describe("the words of a country determine its currency", () => {
  it.each([
    ["GBP", "High Street, Leeds LS1 4DY"],
    ["GBP", "VAT No: 123 4567 89  GB 123 4567 89"],
    ["GBP", "www.copperkettle.co.uk"],
    ["GBP", "Tea  f3.20\nScone  f2.80"],
    ["EUR", "VAT Reg No: IE1234567T"],
    ["EUR", "SIRET 123 456 789 00012"],
    ["EUR", "P.IVA 01234567890"],
    ["EUR", "NIF: B12345678"],
    ["EUR", "Contribuinte 501234567"],
    ["EUR", "BTW NL001234567B01"],
    ["EUR", "USt-IdNr. DE123456789"],
    ["EUR", "MwSt 19%  1,90"],
    ["INR", "GSTIN: 32ABCDE1234F1Z5"],
    ["INR", "CGST 2.5%  6.75"],
    ["TRY", "KDV %10  12,73"],
    ["PLN", "PARAGON FISKALNY"],
    ["SEK", "Org.nr 556123-4567"],
    ["DKK", "CVR-nr. 12345678\nMoms 25%  10,00"],
    ["NOK", "Org.nr 912 345 678 MVA"],
    ["CZK", "DIC: CZ12345678"],
    ["HUF", "NYUGTA"],
    ["AUD", "ABN 12 345 678 901"],
  ])("%s: %s", (code, text) => {
    expect(of(text)).toBe(code);
  });

  it.each([
    ["nothing speaks", "Coffee  3.20\nTOTAL  3.20"],
    ["a word that several countries share", "TVA 10%  1,20"],
    ["a word that several countries share", "IVA 16%  1,60"],
    ["one f is a letter", "Size f3.20"],
    ["a code of an article", "AB12 3CD 4.50"],
    ["two countries on one paper", "P.IVA 01234567890\nKDV %10  12,73"],
  ])("none where %s: %s", (_why, text) => {
    expect(of(text)).toBeUndefined();
  });

  it("a neighbor that uses the same word for its tax is recognized by its own number", () => {
    expect(of("MWST-Nr. CHE-123.456.789 MWST\nMwSt 8.1%  1.20")).toBe("CHF");
    expect(of("RFC: ABC010203AB1\nIVA 16%  16.00")).toBe("MXN");
    expect(of("CIF: RO12345\nBON FISCAL\nTVA 9%  1,00")).toBe("RON");
  });
});

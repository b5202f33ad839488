import { expect, test } from "vitest";
import { printedCount, textRowsOf } from "./text-rows.ts";

test.each([
  ["ITEMS 12", 12],
  ["Items: 5", 5],
  ["No. of items: 7", 7],
  ["NUMBER OF ITEMS SOLD  23", 23],
  ["# ITEMS SOLD 4", 4],
  ["Total Items : 3", 3],
  ["Posten: 13", 13],
  ["Anzahl Artikel 8", 8],
  ["Gesamtanzahl Artikel: 8", 8],
  ["Artikel: 5", 5],
  ["Art.-Anz.: 6", 6],
  ["Nombre d'articles 9", 9],
  ["Nb d’articles : 9", 9],
  ["12 Artikel", 12],
  ["5 articles", 5],
  ["Nº artículos: 2", 2],
  ["Jumlah Item: 11", 11],
  ["Aantal artikelen 3", 3],
])("%s says how many items there are", (line, count) => {
  expect(printedCount(line)).toBe(count);
});

test.each([
  ["Artikel 4711"],
  ["Article 12"],
  ["Posten 3 Montage"],
  ["Items: 12.50"],
  ["Artikel: 0"],
  ["Artikel-Nr.: 12345"],
  ["TOTAL 12"],
  ["Items discount 5"],
])("%s does not", (line) => {
  expect(printedCount(line)).toBeUndefined();
});

/** The words of a page: one text for each line, with spaces between words; columns are far apart. */
const wordsOf = (lines: string[]) =>
  lines.flatMap((line, row) =>
    line.split(" ").map((text, at) => ({ text, x: at / 10, y: row / 50, width: 0.05, height: 0.012 })),
  );

test("lines of a text layer that end with an amount are counted, however mark, code and number are separated", () => {
  const lines = [
    ...["Milk 1,99 A", "Butter € 2.49", "Rice 1.234,50", "Soap -0.30", "Tea 12.00 EUR", "Nasi 25,000.00"],
    ...["Tel. 030 123456", "23.11.2026 12:30", "Seite 1", "Artikel: 6"],
  ];
  expect(textRowsOf({ words: wordsOf(lines) })).toEqual({ printed: 6, amounts: 6 });
});

test("of two different numbers of items none counts", () => {
  expect(textRowsOf({ words: wordsOf(["Items: 5", "Items: 6"]) }).printed).toBeUndefined();
});

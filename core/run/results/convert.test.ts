import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { parse } from "csv-parse/sync";
import { expect, test } from "vitest";
import * as Dialect from "#core/export/table/dialect";
import * as Convert from "./convert.ts";

const cells = [
  ["index", "total", "name"],
  ["0", "1.234,56", 'Tea "green"; 2 bags\tloose'],
  ["1", "'=1", "line\rline\nline"],
  ["2", "", "Äpfel 日本"],
];
const stored =
  'index,total,name\n0,"1.234,56","Tea ""green""; 2 bags\tloose"\n1,\'=1,"line\rline\nline"\n2,,Äpfel 日本\n';

test.each(Dialect.names)("a table with %s between its cells reads as the same cells", async (name) => {
  const separators = { comma: ",", semicolon: ";", tab: "\t" };
  const options = { delimiter: separators[name], record_delimiter: "\n" };
  const dialect = { name, byteOrderMark: false };
  expect(parse(Convert.table(stored, dialect), options)).toEqual(cells);
  expect(await text(Convert.stream(Readable.from([stored]), dialect))).toBe(Convert.table(stored, dialect));
});

test("the byte order mark is the first of the file's bytes, once", async () => {
  const dialect = { name: "semicolon", byteOrderMark: true } as const;
  // A source that is cut at any byte, also in the middle of a character.
  const bytes = Buffer.from(stored);
  const pieces = Array.from({ length: bytes.length }, (_, i) => bytes.subarray(i, i + 1));
  const written = await buffer(Convert.stream(Readable.from(pieces), dialect));
  expect(written.subarray(0, 3).toString("hex")).toBe("efbbbf");
  expect(written.toString("utf8")).toBe(Convert.table(stored, dialect));
  expect(written.toString("utf8").lastIndexOf("\ufeff")).toBe(0);
});

test("if the source ends with an error, so does the table", async () => {
  async function* broken() {
    yield stored.slice(0, 20);
    throw new Error("gone");
  }
  for (const name of Dialect.names)
    await expect(
      text(Convert.stream(Readable.from(broken()), { name, byteOrderMark: true })),
    ).rejects.toThrow("gone");
});

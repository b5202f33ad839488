import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parse as parser } from "csv-parse";
import { parse } from "csv-parse/sync";
import { stringify as stringifier } from "csv-stringify";
import { stringify } from "csv-stringify/sync";
import type { Dialect, Name } from "#core/export/table/dialect";

/** A module of its own, which the API loads when a call asks for another form than the stored one. */

/** What separates cells: Excel opens files with its country's list separator, `;` where the comma is for decimals. */
const delimiters = { comma: ",", semicolon: ";", tab: "\t" } as const satisfies Record<Name, string>;

/** UTF-8's byte order mark: without it Excel takes a file for its country's old character set. */
const mark = "\ufeff";

/** Of our own tables; left open, a carriage return in the first cells would be taken for the end of a line. */
const reading = { record_delimiter: "\n" };

/** A stored table in this dialect; cells stay as they are. Its whole text is in memory. */
export function table(text: string, { name, byteOrderMark }: Dialect): string {
  const converted =
    name === "comma" ? text : stringify(parse(text, reading), { delimiter: delimiters[name] });
  return byteOrderMark ? mark + converted : converted;
}

/** The same for a table of any size: what comes out is read while it is made, and fails when the source does. */
export function stream(source: Readable, { name, byteOrderMark }: Dialect): Readable {
  async function* out(): AsyncGenerator<string | Uint8Array> {
    if (byteOrderMark) yield mark;
    if (name === "comma") return yield* source;
    const converted = stringifier({ delimiter: delimiters[name] });
    const written = pipeline(source, parser(reading), converted);
    // The reader of the table gets the fault.
    written.catch(() => undefined);
    yield* converted;
    await written;
  }
  return Readable.from(out());
}

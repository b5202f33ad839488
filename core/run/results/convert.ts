import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parse as parser } from "csv-parse";
import { parse } from "csv-parse/sync";
import { stringify as stringifier } from "csv-stringify";
import { stringify } from "csv-stringify/sync";
import type { Dialect, Name } from "#core/export/table/dialect";

/** The API loads this module only when a call asks for another form than the stored one. */

/** The separator of cells. Excel expects its country's list separator: `;` where the comma is the decimal mark. */
const delimiters = { comma: ",", semicolon: ";", tab: "\t" } as const satisfies Record<Name, string>;

/** UTF-8's byte order mark: without it Excel assumes its country's old character set. */
const mark = "\ufeff";

/**
 * Our own tables end lines with LF. With automatic detection a carriage return in the first cells would count as a
 * line end.
 */
const reading = { record_delimiter: "\n" };

/** Converts a stored table to this dialect; the cells stay the same. The whole text is in memory. */
export function table(text: string, { name, byteOrderMark }: Dialect): string {
  const converted =
    name === "comma" ? text : stringify(parse(text, reading), { delimiter: delimiters[name] });
  return byteOrderMark ? mark + converted : converted;
}

/** Converts a table of any size while it is read. The output fails if the source does. */
export function stream(source: Readable, { name, byteOrderMark }: Dialect): Readable {
  async function* out(): AsyncGenerator<string | Uint8Array> {
    if (byteOrderMark) yield mark;
    if (name === "comma") return yield* source;
    const converted = stringifier({ delimiter: delimiters[name] });
    const written = pipeline(source, parser(reading), converted);
    // The reader of the table gets the error.
    written.catch(() => undefined);
    yield* converted;
    await written;
  }
  return Readable.from(out());
}

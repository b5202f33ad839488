import { Zip, ZipDeflate } from "fflate";
import type { Source } from "#core/export/table/maker";
import type { Item } from "#core/run/schema";
import * as Cells from "./cells.ts";
import * as Table from "./table.ts";

/*
 * A workbook (ECMA-376): a sheet of documents, and one of line items if the task has any. Written as a stream: the
 * first sheet is sent at once; the second is kept compressed until the first is complete, which takes some ten
 * megabytes per million rows. fflate writes the ZIP package. The XML is written here, because no maintained library
 * streams two sheets with a number format for each cell.
 */

/** Characters that are compressed at once. */
const pieceChars = 64 * 1024;
const encoder = new TextEncoder();
const namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';

/** The same items give the same bytes. @param options.maxRows - per sheet; for tests. */
export async function* make(
  { run, fields, items, shown, note }: Source,
  options: { maxRows?: number } = {},
): AsyncGenerator<Uint8Array> {
  const maxRows = options.maxRows ?? Cells.maxRows;
  const book = new Book(run.createdAt);
  const lines = Table.ofLines(fields, shown);
  const sheets = [
    new Sheets(book, "documents", Table.ofItems(fields, shown), { maxRows, note }),
    ...(lines === undefined ? [] : [new Sheets(book, "line_items", lines, { maxRows, note })]),
  ];
  for await (const item of items) {
    for (const sheet of sheets) sheet.add(item);
    yield* book.taken();
  }
  for (const sheet of sheets) sheet.end();
  book.end();
  yield* book.taken();
}

/** The package: its sheets as they are written, then the parts that name them. */
class Book {
  readonly #zip: Zip;
  readonly #names: string[] = [];
  readonly #createdAt: Date;
  #ready: Uint8Array[] = [];

  constructor(createdAt: Date) {
    this.#createdAt = createdAt;
    this.#zip = new Zip((error, piece) => {
      if (error) throw error;
      this.#ready.push(piece);
    });
  }

  /** The bytes that are ready to be sent. */
  *taken(): Generator<Uint8Array> {
    const ready = this.#ready;
    this.#ready = [];
    yield* ready;
  }

  /** Begins a sheet; its text is pushed to the result. */
  sheet(name: string): ZipDeflate {
    this.#names.push(name);
    return this.#part(`xl/worksheets/sheet${this.#names.length}.xml`);
  }

  end(): void {
    const ids = this.#names.map((name, i) => ({ name, id: i + 1 }));
    const office = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    const relationship = (id: number, type: string, target: string) =>
      `<Relationship Id="rId${id}" Type="${relations}/${type}" Target="${target}"/>`;
    const packaged = "http://schemas.openxmlformats.org/package/2006";
    this.#write(
      "xl/workbook.xml",
      `<workbook xmlns="${namespace}" xmlns:r="${relations}"><sheets>${ids
        .map(({ name, id }) => `<sheet name="${name}" sheetId="${id}" r:id="rId${id}"/>`)
        .join("")}</sheets></workbook>`,
    );
    this.#write(
      "xl/_rels/workbook.xml.rels",
      `<Relationships xmlns="${packaged}/relationships">${ids
        .map(({ id }) => relationship(id, "worksheet", `worksheets/sheet${id}.xml`))
        .join("")}${relationship(ids.length + 1, "styles", "styles.xml")}</Relationships>`,
    );
    this.#part("xl/styles.xml").push(encoder.encode(Cells.styles()), true);
    this.#write(
      "_rels/.rels",
      `<Relationships xmlns="${packaged}/relationships">${relationship(1, "officeDocument", "xl/workbook.xml")}</Relationships>`,
    );
    this.#write(
      "[Content_Types].xml",
      `<Types xmlns="${packaged}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${office}.sheet.main+xml"/>${ids
        .map(
          ({ id }) =>
            `<Override PartName="/xl/worksheets/sheet${id}.xml" ContentType="${office}.worksheet+xml"/>`,
        )
        .join("")}<Override PartName="/xl/styles.xml" ContentType="${office}.styles+xml"/></Types>`,
    );
    this.#zip.end();
  }

  #part(name: string): ZipDeflate {
    const part = new ZipDeflate(name, { level: 6 });
    part.mtime = this.#createdAt;
    this.#zip.add(part);
    return part;
  }

  #write(name: string, xml: string): void {
    this.#part(name).push(encoder.encode(declaration + xml), true);
  }
}

/** A table on one sheet, or on several if it has more rows than a sheet can hold. */
class Sheets {
  readonly #book: Book;
  readonly #name: string;
  readonly #table: Table.Table;
  readonly #letters: string[];
  readonly #maxRows: number;
  readonly #note: Source["note"];
  #part: ZipDeflate;
  #count = 1;
  #rows = 0;
  #text = "";

  constructor(
    book: Book,
    name: string,
    table: Table.Table,
    { maxRows, note }: { maxRows: number; note: Source["note"] },
  ) {
    this.#book = book;
    this.#name = name;
    this.#table = table;
    this.#letters = table.columns.map((_, i) => Cells.letters(i));
    this.#maxRows = maxRows;
    this.#note = note;
    this.#part = this.#begin();
  }

  add(item: Item): void {
    for (const entry of this.#table.entriesOf(item)) {
      if (this.#rows === this.#maxRows) {
        this.end();
        this.#count += 1;
        this.#note(
          `${this.#name}: a sheet holds ${this.#maxRows} rows, the others are in ${this.#name}_${this.#count}`,
        );
        this.#part = this.#begin();
      }
      this.#row((column, ref) => this.#cell(column, ref, entry));
    }
  }

  end(): void {
    const last = `${this.#letters.at(-1)}${this.#rows}`;
    this.#text += `</sheetData><autoFilter ref="A1:${last}"/></worksheet>`;
    this.#push(true);
  }

  #begin(): ZipDeflate {
    const widths = this.#table.columns.map(({ type }, i) => {
      const width = type === "text" ? 20 : 12;
      return `<col min="${i + 1}" max="${i + 1}" width="${width}" customWidth="1"/>`;
    });
    this.#rows = 0;
    this.#text = `${declaration}<worksheet xmlns="${namespace}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>${widths.join("")}</cols><sheetData>`;
    this.#row(({ name }, ref) => Cells.text(ref, name, true));
    return this.#book.sheet(this.#count === 1 ? this.#name : `${this.#name}_${this.#count}`);
  }

  #row(cellOf: (column: Table.Column, ref: string) => string): void {
    this.#rows += 1;
    const cells = this.#table.columns.map((column, i) => cellOf(column, `${this.#letters[i]}${this.#rows}`));
    this.#text += `<row r="${this.#rows}">${cells.join("")}</row>`;
    if (this.#text.length >= pieceChars) this.#push(false);
  }

  #push(isLast: boolean): void {
    this.#part.push(encoder.encode(this.#text), isLast);
    this.#text = "";
  }

  #cell(column: Table.Column, ref: string, entry: Table.Entry): string {
    const value = column.valueOf(entry);
    if (value === undefined || value === null || value === "") return "";
    if (typeof value === "number" && column.type === "integer") return Cells.integer(ref, value);
    if (typeof value === "boolean" && column.type === "boolean") return Cells.boolean(ref, value);
    const whole = typeof value === "string" ? value : JSON.stringify(value);
    const written =
      column.type === "number"
        ? Cells.number(ref, whole, column.decimalsOf?.(entry))
        : column.type === "date"
          ? Cells.date(ref, whole)
          : undefined;
    if (written !== undefined) return written;
    const { text, isCut } = Cells.fitting(whole);
    if (isCut)
      this.#note(
        `${this.#name}: the cell ${ref} is cut, ${whole.length} characters of which a cell holds ${Cells.maxText}`,
      );
    return Cells.text(ref, text);
  }
}

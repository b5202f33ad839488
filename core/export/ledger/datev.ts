import * as Decimal from "#core/canonical/money/decimal";
import * as Csv from "#core/export/table/csv";
import type { Source } from "#core/export/table/maker";
import * as Book from "./book.ts";
import { columns } from "./datev-columns.ts";
import * as Mapping from "./mapping.ts";
import * as Paper from "./paper.ts";
import * as Windows1252 from "./windows-1252.ts";

/*
 * DATEV-Format, "Buchungsstapel" (header version 700, category 21, version 13) as described by developer.datev.de: a
 * line about the batch, the column names, one line per booking; Windows-1252, `;`, CR LF, quoted texts, decimal comma.
 * A booking is the gross amount of one tax rate: DATEV computes the tax from it by the tax key.
 */

export const mapping = Mapping.Datev;

/** The most lines that DATEV accepts in a batch. */
const mostBookings = 99_999;
const longest = { number: 36, text: 60 };
const places = 2;

export async function* make(source: Source): AsyncGenerator<Uint8Array> {
  const settings = source.mapping as Mapping.Datev;
  const { period } = settings;
  const entries = Book.entries(source, {
    ...{ format: "datev", mapping: settings, needs: [], sameAs: Book.samePaper, places, digits: 10 },
    most: { bookings: mostBookings },
    check: ({ date }) => {
      if (date < period.from || date > period.to)
        throw new Paper.LeftOut("outside_period", `${date} is outside of the period of the batch`);
    },
  });
  // The first paper is read before anything is written, so that a task that cannot be booked yields no file.
  const first = await entries.next();
  yield line(header(source, settings));
  yield line([...columns]);
  if (!first.done) yield* bookings(source, settings, first.value);
  for await (const entry of entries) yield* bookings(source, settings, entry);
}

const line = (fields: readonly string[]) => Windows1252.encode(`${fields.join(";")}\r\n`);
const text = (value: string) => `"${value.replaceAll('"', '""')}"`;
const day = (iso: string) => iso.replaceAll("-", "");

/** The line about the batch: 31 fields in the order of the specification. */
function header({ run, note }: Source, settings: Mapping.Datev): string[] {
  const { consultant, client, account_length: length, period, finalize } = settings;
  const name = writable(settings.description ?? "", "the description of the batch", note);
  return [
    ...[text("EXTF"), "700", "21", text("Buchungsstapel"), "13"],
    // The run's time, not the current time, so that the same results give the same file.
    run.createdAt.toISOString().replace(/\D/g, ""),
    // Imported on, origin, exported by, imported by.
    ...["", text(""), text(""), text("")],
    ...[String(consultant), String(client), day(settings.fiscal_year_start), String(length)],
    ...[day(period.from), day(period.to), text(name), text(settings.initials ?? "")],
    // Financial accounting, independent of an accounting standard.
    ...["1", "0", finalize ? "1" : "0", text(settings.currency)],
    ...["", text(""), "", "", text(settings.chart ?? ""), "", "", text(""), text("")],
  ];
}

const index = (name: (typeof columns)[number]) => columns.indexOf(name);
const at = {
  amount: index("Umsatz (ohne Soll/Haben-Kz)"),
  side: index("Soll/Haben-Kennzeichen"),
  currency: index("WKZ Umsatz"),
  account: index("Konto"),
  counterAccount: index("Gegenkonto (ohne BU-Schlüssel)"),
  key: index("BU-Schlüssel"),
  date: index("Belegdatum"),
  number: index("Belegfeld 1"),
  text: index("Buchungstext"),
  finalize: index("Festschreibung"),
};

function* bookings(source: Source, settings: Mapping.Datev, entry: Book.Entry): Generator<Uint8Array> {
  const { note } = source;
  const number = numberOf(entry, note);
  const what = "the booking text";
  const vendor = writable(entry.vendor ?? "", `${entry.name}: ${what}`, note);
  const guarded = Csv.safe(vendor, { mayBeAmount: false });
  const words = Book.fitting(guarded, longest.text, { what, name: entry.name, note });
  for (const booking of entry.bookings) {
    const fields = columns.map(() => "");
    fields[at.amount] = Book.fixed(Decimal.abs(booking.gross), places).replace(".", ",");
    fields[at.side] = text(Decimal.sign(booking.gross) < 0 ? "H" : "S");
    fields[at.currency] = text(settings.currency);
    fields[at.account] = booking.account;
    fields[at.counterAccount] = entry.counterAccount ?? "";
    if (booking.code !== "") fields[at.key] = text(booking.code);
    // Day and month; the year is that of the batch.
    fields[at.date] = entry.date.slice(8, 10) + entry.date.slice(5, 7);
    fields[at.number] = text(number);
    fields[at.text] = text(words);
    // An empty field would mean that the booking is final.
    fields[at.finalize] = settings.finalize ? "1" : "0";
    yield line(fields);
  }
}

/** Characters that a document number (Belegfeld 1) may not have. */
const notOfNumber = /[^A-Za-z0-9_$&%*+\-/]/gu;

function numberOf({ number = "", name }: Book.Entry, note: Source["note"]): string {
  const written = number.replace(notOfNumber, "-");
  if (written !== number) note(`${name}: the number ${JSON.stringify(number)} is written as ${written}`);
  return Book.fitting(written, longest.number, { what: "the number", name, note });
}

function writable(value: string, what: string, note: Source["note"]): string {
  const one = value.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  const { text: kept, lacks } = Windows1252.writable(one);
  if (lacks.length > 0)
    note(`${what} lacks ${lacks.join(" ")}: Windows-1252, in which DATEV reads it, has no such character`);
  return kept.trim();
}

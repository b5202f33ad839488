import type { Row } from "#local/model/rules/rows";

/** A date or a time as printed. */
interface Stamp {
  text: string;
  /** `YYYY-MM-DD` or `HH:MM:SS`; of two readings of 03/04/2018 the day comes first unless the country writes otherwise. */
  iso: string;
  row: number;
  confidence: number;
}

/** Names of the months in English, German, French, Indonesian and Malay, folded; any start of three letters counts. */
const MONTHS: string[][] = [
  ["january", "januar", "januari", "janvier"],
  ["february", "februar", "februari", "fevrier", "pebruari"],
  ["march", "marz", "maerz", "mrz", "mars", "maret", "mac"],
  ["april", "avril"],
  ["may", "mai", "mei"],
  ["june", "juni", "juin", "jun"],
  ["july", "juli", "juillet", "julai"],
  ["august", "agustus", "agt", "ags", "aout", "ogos"],
  ["september", "septembre", "sept"],
  ["october", "oktober", "octobre"],
  ["november", "novembre", "nopember"],
  ["december", "dezember", "decembre", "desember", "disember"],
];
/**
 * Spanish, Italian, Portuguese, Dutch, Swedish, Danish and Norwegian, Polish, Turkish. Their abbreviations are also
 * words of menus (SUB, SET, MAG), so they count only beside a year of four digits.
 */
const MONTHS_ABROAD: string[] = [
  "enero gennaio janeiro stycznia ocak",
  "febrero febbraio fevereiro lutego subat",
  "marzo marco maart mrt marts marca",
  "abril aprile kwietnia nisan",
  "mayo maggio maio maj maja mayis",
  "junio giugno junho czerwca haziran",
  "julio luglio julho lipca temmuz",
  "agosto augustus augusti sierpnia agustos",
  "septiembre settembre setembro wrzesnia eylul",
  "octubre ottobre outubro pazdziernika ekim",
  "noviembre novembro listopada kasim",
  "diciembre dicembre dezembro grudnia aralik",
];
/** 05 0ct 2024: the recognizer takes a large O for a zero. */
const MONTH_WORD = "(?:0(?=[CcKk][Tt])|\\p{L})\\p{L}{2,13}";
/**
 * OCR drops the space before a following time: 28.02.2009:58 is 09:58 of the 28th of February 2020, and four
 * digits of a year count only from 19.. and 20...
 */
const YEAR = "(?:\\d{2}(?=(?:[01]\\d|2[0-3]):[0-5]\\d)|(?:19|20)\\d{2}|\\d{2})";
/** This form is tried first: in "06. 06.04.2020" the date is the second number. */
const FULL_YEAR = "(?:19|20)\\d{2}(?!:[0-5]\\d)";
const SLASH = "\\s?[/\\-]\\s?";
const POINT = "\\s?[.,]\\s?";
/** A point that was read as a colon, on one side only: two colons are a time. */
const COLON = "\\s?:\\s?";
const dayMonth = ([a, b, y]: string[], monthFirst: boolean): [number, number, number] => {
  const [first, second] = [Number(a), Number(b)];
  const monthIsFirst = second > 12 || (monthFirst && first <= 12);
  return [fullYear(y), monthIsFirst ? first : second, monthIsFirst ? second : first];
};
const FORMS: {
  pattern: RegExp;
  read: (parts: string[], monthFirst: boolean) => [number, number, number] | undefined;
}[] = [
  {
    pattern: /(?<!\d)((?:19|20)\d{2})[/.-](\d{1,2})[/.-](\d{2}|\d)(?![/.-]?\d{3})/g,
    read: ([y, m, d]) => [Number(y), Number(m), Number(d)],
  },
  ...[FULL_YEAR, YEAR]
    .flatMap((year) => [SLASH, POINT].map((separator) => ({ year, separator })))
    .map(({ year, separator }) => ({
      pattern: new RegExp(
        `(?<![\\d/]|\\d[.\\-])(\\d{1,2})${separator}(\\d{1,2})${separator}(${year})(?!\\d?[/\\-](?!\\d{1,2}:\\d))`,
        "g",
      ),
      read: dayMonth,
    })),
  {
    pattern: new RegExp(
      `(?<![\\d/:])(\\d{2})(?:${COLON}(\\d{2})${POINT}|${POINT}(\\d{2})${COLON})(${YEAR})(?![\\d/:\\-])`,
      "g",
    ),
    read: ([a, b, c, y], monthFirst) => dayMonth([a ?? "", b ?? c ?? "", y ?? ""], monthFirst),
  },
  {
    pattern: new RegExp(
      `(?<!\\d)(\\d{1,2})\\.?\\s?[/\\-. ]?\\s?(?:de\\s)?(${MONTH_WORD})\\.?\\s?[/\\-.,' ]?\\s?(?:del?\\s)?(${YEAR})(?!\\d{3})`,
      "gu",
    ),
    // A stray letter before the month was a separator: 14AMay. 7dejuniode2025 has lost its spaces.
    read: ([d, word = "", y]) =>
      withMonth(word, fullYear(y), Number(d)) ??
      withMonth(word.slice(1), fullYear(y), Number(d)) ??
      (y?.length === 4 ? withMonthAbroad(word, fullYear(y), Number(d)) : undefined),
  },
  {
    pattern: new RegExp(`(${MONTH_WORD})\\.?\\s?(\\d{1,2})(?:st|nd|rd|th)?[,.]?\\s?((?:19|20)\\d{2})`, "gu"),
    read: ([word, d, y]) => withMonth(word, fullYear(y), Number(d)),
  },
];
const TIME =
  /(?<![\d.]|\d:)([01]?\d|2[0-3])\s?[:.]\s?([0-5]\d)(?:\s?[:.]\s?([0-5]\d))?(?!\d)\s?([AaPp]\.?[Mm]\b\.?)?/g;
/** A time glued to the year before it: `15/05/201710:49:40AM`. */
const AFTER_DATE = /^\s?([01]?\d|2[0-3])[:.]([0-5]\d)(?:[:.]([0-5]\d))?\s?([AaPp]\.?[Mm]\b\.?)?/;

const LABEL = /dat[aeou]|fecha|tarih\b|tanggal|\btgl|tarikh|\bdd\b|printed|issued|\ble\b|beleg/i;
const OTHER_DATE =
  /valid|expir|until|before|effective|gultig|gueltig|bis\b|delivery|print|return|umtausch|warranty|due|fallig|echeance|lahir|birth|promo|angebot|jatuh/i;
const DUE = /\bdue|fallig|faellig|zahlbar bis|echeance|jatuh tempo|pay(able)? by|payment date/i;
const OLDEST_YEAR = 1990;

export interface Dates {
  /** Of the purchase. */
  date?: Stamp;
  time?: Stamp;
  due?: Stamp;
}

/** All dates of a text with their positions, so that their digits are not taken for amounts. */
export function find(
  text: string,
  monthFirst = false,
): { text: string; iso: string; start: number; end: number }[] {
  const found: { text: string; iso: string; start: number; end: number }[] = [];
  for (const { pattern, read } of FORMS) {
    for (const match of text.matchAll(pattern)) {
      const start = match.index;
      const end = start + match[0].length;
      if (found.some((other) => start < other.end && other.start < end)) continue;
      const parts = read(match.slice(1), monthFirst);
      if (parts && plausible(...parts)) {
        found.push({ text: tidy(match[0]), iso: isoDate(...parts), start, end });
      }
    }
  }
  return found.sort((a, b) => a.start - b.start);
}

/** As printed, without the recognizer's slips that no reader of dates would take: 14AMay, 02:03.20, 29,02.20. */
function tidy(text: string): string {
  const separator = /[/.-]/.exec(text)?.[0] ?? "/";
  const stray = /^(\d{1,2})[A-Za-z]([A-Z][a-z]{2}.*)$/.exec(text);
  if (stray) return `${stray[1]}${separator}${stray[2]}`;
  if (/\p{L}/u.test(text)) return text.trim().replace(/0(?=[CcKk][Tt])/, "O");
  return text
    .trim()
    .replace(/(?<=\d)\s?[/.,:-]\s?(?=\d)/g, (mark) => (/[,:]/.test(mark) ? separator : mark.trim()));
}

/** Times of day in a text, with their positions. */
export function findTimes(text: string): { text: string; iso: string; start: number; end: number }[] {
  const dates = find(text);
  const glued = dates.flatMap((date) => {
    const match = AFTER_DATE.exec(text.slice(date.end));
    return match ? [{ match, start: date.end }] : [];
  });
  const free = [...text.matchAll(TIME)]
    // A dot makes a time only with seconds or a.m. and p.m.: 12.30 is rather a price.
    .filter((match) => match[0].includes(":") || match[3] || match[4])
    .map((match) => ({ match, start: match.index }));
  const found: { text: string; iso: string; start: number; end: number }[] = [];
  for (const { match, start } of [...glued, ...free]) {
    const end = start + match[0].length;
    const clash = [...found, ...dates].some((other) => start < other.end && other.start < end);
    if (!clash) found.push({ text: match[0].trim(), iso: isoTime(match), start, end });
  }
  return found.sort((a, b) => a.start - b.start);
}

const AMERICAN = /\b[A-Z]{2}\W{0,2}\d{5}(-\d{4})?\b|\(?\b\d{3}\)?[-. ]\d{3}[-. ]\d{4}\b|\bsales tax\b|US\$/;
const NOT_AMERICAN = /\b(RM|Rp|EUR|GBP|SGD|CHF|MYR|IDR|GST|VAT|MwSt|PPN|PB1|TVA)\b|[€£]/i;

/** True if the paper looks American, so that 6/10/2019 is the tenth of June. */
export function monthComesFirst(rows: Row[]): boolean {
  const text = rows.map((row) => row.text).join("\n");
  return /\$/.test(text) && AMERICAN.test(text) && !NOT_AMERICAN.test(text);
}

/** Chooses the date of purchase, its time and, on invoices, the day of payment. */
export function choose(rows: Row[], monthFirst: boolean): Dates {
  const dates: (Stamp & { score: number; due: boolean })[] = [];
  const times: Stamp[] = [];
  rows.forEach((row, index) => {
    const confidence = Math.min(...row.cells.map((cell) => cell.confidence));
    const rowTimes = findTimes(row.text);
    for (const time of rowTimes) times.push({ text: time.text, iso: time.iso, row: index, confidence });
    for (const date of find(row.text, monthFirst)) {
      const label = fold(`${row.text.slice(0, date.start)} ${rows[index - 1]?.text ?? ""}`.slice(0, 60));
      const before = fold(row.text.slice(0, date.start));
      const due = DUE.test(before);
      const score =
        (LABEL.test(before) ? 3 : LABEL.test(label) ? 1 : 0) +
        (rowTimes.length > 0 ? 2 : 0) -
        (OTHER_DATE.test(before) ? 4 : 0);
      dates.push({ text: date.text, iso: date.iso, row: index, confidence, score, due });
    }
  });
  const seen = (iso: string) => dates.filter((other) => other.iso === iso).length;
  // A lone date of expiry is not the date of purchase.
  const usual = dates.filter((date) => !date.due && date.score >= 0);
  // Ties go to the date that is printed more often, then to the first.
  const date = [...usual].sort((a, b) => b.score - a.score || seen(b.iso) - seen(a.iso) || a.row - b.row)[0];
  const time =
    times.find((each) => each.row === date?.row) ??
    times.find((each) => date && Math.abs(each.row - date.row) <= 2) ??
    times[0];
  const due = dates.find((each) => each.due);
  return { ...(date ? { date } : {}), ...(time ? { time } : {}), ...(due ? { due } : {}) };
}

function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function fullYear(text: string | undefined): number {
  const year = Number(text);
  return year < 100 ? 2000 + year : year;
}

function withMonth(
  word: string | undefined,
  year: number,
  day: number,
): [number, number, number] | undefined {
  const folded = fold(word ?? "").replace(/^0/, "o");
  // A word may only begin like a month: 1 MARKER 12 is not a day of March.
  const month =
    folded.length < 3 ? -1 : MONTHS.findIndex((names) => names.some((name) => name.startsWith(folded)));
  return month < 0 ? undefined : [year, month + 1, day];
}

function withMonthAbroad(word: string, year: number, day: number): [number, number, number] | undefined {
  const folded = fold(word);
  const bare = folded.replace(/^de(?=\p{L}{3})|(?<=\p{L}{3})del?$/gu, "");
  for (const each of [folded, bare]) {
    const month = each.length < 3 ? -1 : MONTHS_ABROAD.findIndex((names) => ` ${names}`.includes(` ${each}`));
    if (month >= 0) return [year, month + 1, day];
  }
  return undefined;
}

function plausible(year: number, month: number, day: number): boolean {
  // Due dates and warranties are in the future; later years are misread.
  const newest = new Date().getFullYear() + 10;
  const date = new Date(Date.UTC(year, month - 1, day));
  return (
    year >= OLDEST_YEAR && year <= newest && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  );
}

function isoDate(year: number, month: number, day: number): string {
  return `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
}

function isoTime([, hours, minutes, seconds, half]: RegExpExecArray | RegExpMatchArray): string {
  const twelve = Number(hours) % 12;
  const hour = half ? (/^p/i.test(half) ? twelve + 12 : twelve) : Number(hours);
  return `${String(hour).padStart(2, "0")}:${minutes}:${seconds ?? "00"}`;
}

import * as BikramSambat from "./bikram-sambat.ts";
import type { Calendar } from "./calendar.ts";
import * as Languages from "./languages.ts";
import { nameKey } from "./unify.ts";

/**
 * Names of months, weekdays and halves of the day in every language of CLDR, as Intl prints them. Generating one
 * language's names takes about a millisecond, all of them 300. So a table of the most common names is searched first,
 * then the languages of the document's currency, and the others only for a word that none of those has.
 */

/** A set of months 1 to 12, weekdays 0 to 6 (Sunday is 0) or hours 0 to 23, one bit each. */
export type Mask = number;

export const members = (mask: Mask): number[] =>
  Array.from({ length: 24 }, (_, bit) => bit).filter((bit) => mask & (1 << bit));

/** English, German, French, Spanish, Italian, Portuguese, Dutch, Indonesian, Malay, Scandinavian; Roman numbers. */
const commonMonths: readonly string[] = [
  "january januar januari janvier enero gennaio janeiro janner i",
  "february februar februari fevrier febrero febbraio fevereiro feber pebruari fev ii",
  "march marz maerz mrz mars marzo marco maart maret mac iii",
  "april avril abril aprile avr iv",
  "may mai mayo maggio maio mei maj v",
  "june juni juin junio giugno junho vi",
  "july juli juillet julio luglio julho julai vii",
  "august aout agosto augustus agustus ogos augusti agt ags viii",
  "september septembre septiembre setiembre settembre setembro sept ix",
  "october oktober octobre octubre ottobre outubro okt x",
  "november novembre noviembre novembro nopember xi",
  "december dezember decembre diciembre dicembre dezembro desember disember des dis xii",
];

/** A short form is a prefix of at least this many letters. */
const minPrefix = 3;
/**
 * Words that mean different months in different languages. For these, all languages of the document's currency are
 * searched, not only the first match. A test regenerates the list.
 */
export const shared = new Set(
  `ara bra dag dip ful gun han jan jol kan kas kaw kel kol kpa ktu kuk kur kwa lip lis listopad listopada
  lui lun lut lwe maa mac mad mae mam mar mas mat may mbi mfu mor ngb nge nya nyakanga out pay rar sap see
  sit srp su taa tha tis yeb`.split(/\s+/),
);

let common: Map<string, Mask> | undefined;

function commonIndex(): Map<string, Mask> {
  if (common) return common;
  common = new Map<string, Mask>();
  for (const [index, names] of commonMonths.entries()) {
    for (const name of names.split(" ")) {
      add(common, name, index + 1);
      for (let end = minPrefix; end < name.length; end += 1) add(common, name.slice(0, end), index + 1);
    }
  }
  return common;
}

function add(index: Map<string, Mask>, name: string, bit: number): void {
  index.set(name, (index.get(name) ?? 0) | (1 << bit));
}

/** The date styles that names are taken from. Short names are also cut from long ones. */
const styles = {
  month: [{ dateStyle: "long" }, { dateStyle: "medium" }, { month: "long" }, { month: "short" }],
  weekday: [{ dateStyle: "full" }, { weekday: "short" }],
  literal: [{ dateStyle: "full" }, { dateStyle: "medium" }],
} as const satisfies Record<string, readonly Intl.DateTimeFormatOptions[]>;

/** One day per month, at noon so that no time zone moves it to another day. */
const sampleDays = Array.from({ length: 12 }, (_, month) => Date.UTC(2031, month, 1 + month * 2, 12));
const week = Array.from({ length: 7 }, (_, index) => Date.UTC(2031, 0, 1 + index, 12));
/** For calendars with other months, the shortest of which has five days. */
const manyDays = Array.from({ length: 100 }, (_, index) => Date.UTC(2031, 0, 1 + index * 4, 12));

const languages = new Map<string, Map<string, Mask>>();

/** Names of one kind in one language, cached. */
function wordsOf(tag: string, kind: keyof typeof styles, calendar = "gregory"): Map<string, Mask> {
  const key = `${kind} ${tag} ${calendar}`;
  const known = languages.get(key);
  if (known) return known;
  const words = new Map<string, Mask>();
  for (const style of styles[kind]) {
    const locale = `${tag}-u-ca-${calendar}-nu-latn`;
    const format = new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" });
    const days = kind === "weekday" ? week : calendar === "gregory" ? sampleDays : manyDays;
    for (const [index, day] of days.entries()) {
      for (const { type, value } of format.formatToParts(day)) {
        if (type !== kind) continue;
        const name = nameKey(value);
        if (type === "weekday") add(words, name, new Date(day).getUTCDay());
        else if (type === "month") add(words, name, monthAt(calendar, day, index));
        else for (const word of wordsIn(name)) add(words, word, 0);
      }
    }
  }
  languages.set(key, words);
  return words;
}

const numeric = new Map<string, Intl.DateTimeFormat>();

function monthAt(calendar: string, day: number, index: number): number {
  if (calendar === "gregory") return index + 1;
  const format =
    numeric.get(calendar) ??
    new Intl.DateTimeFormat(`en-u-ca-${calendar}-nu-latn`, { month: "numeric", timeZone: "UTC" });
  numeric.set(calendar, format);
  return Number(format.formatToParts(day).find(({ type }) => type === "month")?.value);
}

/** The words of a text, including the signs and digits that occur in names. */
export function wordsIn(text: string): string[] {
  return text.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/**
 * The months that a word may name, as a mask; 0 if it names none. If a word means different months in different
 * languages (Croatian and Polish `lis`), the currency's languages decide; without a currency the mask has all meanings
 * in the main languages. `name` is in the form of `nameKey`.
 */
export function monthsOf(name: string, currency: string | null | undefined): Mask {
  const usual = commonIndex().get(name) ?? 0;
  const open = shared.has(name);
  // An English name is read as English unless another language of the currency may give it another meaning.
  if (usual && (!open || !currency || english.test(name))) return usual;
  const own = currency ? Languages.of(currency).filter((tag) => Languages.writes(tag, name)) : [];
  const found = exact(own, name, open) || usual || beginning(own, name, false);
  return found || anywhere(name, open) || inflected(own, name);
}

const english = /^(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)/;

/** The months in the first language that has the word, or in all languages where they differ. */
function exact(tags: readonly string[], name: string, all: boolean): Mask {
  let found = 0;
  for (const tag of tags) {
    found |= wordsOf(tag, "month").get(name) ?? 0;
    if (found && !all) break;
  }
  return found;
}

/** The months whose names begin with the text, in the first language that has one, or in all. */
function beginning(tags: readonly string[], name: string, all: boolean): Mask {
  if ([...name].length < minPrefix) return 0;
  let found = 0;
  for (const tag of tags) {
    for (const [full, mask] of wordsOf(tag, "month")) if (full.startsWith(name)) found |= mask;
    if (found && !all) break;
  }
  return found;
}

/** Longest case ending that is added to a name, and the shortest name for which one is looked for. */
const maxEnding = 4;
const minStem = 4;

/**
 * The months in the first language that has one in this word: with a case ending, or after a preposition of one letter.
 */
function inflected(tags: readonly string[], name: string): Mask {
  for (const tag of tags) {
    const months = wordsOf(tag, "month");
    const joined = /^[\p{Script=Hebrew}\p{Script=Syriac}]/u.test(name)
      ? months.get(name.slice(1))
      : undefined;
    if (joined) return joined;
    for (const [full, mask] of months) {
      const ending = name.length - full.length;
      if (full.length >= minStem && ending > 0 && ending <= maxEnding && name.startsWith(full)) return mask;
    }
  }
  return 0;
}

/** The last words that were found in no language, cached: an answer full of them then costs one look-up each. */
const unknown = new Set<string>();
const maxUnknown = 1000;

function anywhere(name: string, open: boolean): Mask {
  if (unknown.has(name) || !/\p{L}/u.test(name)) return 0;
  const { main, others } = Languages.all();
  const fitting = [...main, ...others].filter((tag) => Languages.writes(tag, name));
  const found =
    exact(fitting, name, open) ||
    beginning(
      main.filter((tag) => Languages.writes(tag, name)),
      name,
      true,
    );
  if (!found) {
    if (unknown.size >= maxUnknown) unknown.clear();
    unknown.add(name);
  }
  return found;
}

/** Most words of a month's name, and most words that are searched. */
const maxNameWords = 7;
const maxWords = 8;

/**
 * Finds a month's name among words, the longest name first, in all calendars. Null if there is none. `isParticle` is
 * true for words that are never a name by themselves.
 */
export function findMonth(
  words: readonly string[],
  isParticle: (word: string) => boolean,
  currency: string | null | undefined,
): { from: number; to: number } | null {
  const few = words.slice(0, maxWords);
  const runs = few.flatMap((_, from) =>
    few.slice(from, from + maxNameWords).map((__, more) => ({ from, to: from + more + 1 })),
  );
  runs.sort((a, b) => b.to - b.from - (a.to - a.from));
  const all = runs.map((run) => ({ ...run, name: few.slice(run.from, run.to).join(" ") }));
  const named = all.filter(({ name }) => !isParticle(name));
  const [only] = named;
  if (named.length === 1 && only && commonIndex().has(only.name)) return only;
  const own = currency ? Languages.of(currency) : [];
  const isOwn = (name: string) =>
    own.some((tag) => Languages.writes(tag, name) && wordsOf(tag, "month").has(name));
  // A short word that may also be a month (Breton `Du`) counts as one only if no other word is there.
  return (
    (few.length === 1 ? all : named).find(({ name }) => isOwn(name)) ??
    named.find(({ name }) => commonIndex().has(name)) ??
    named.find(({ name }) => calendars.some((calendar) => monthsOfCalendar(name, calendar) > 0)) ??
    named.find(({ name }) => monthsOf(name, currency) > 0) ??
    null
  );
}

/** Names of months in calendars that have their own, in the languages of their users. */
const ownNames: Partial<Record<Calendar, readonly string[]>> = {
  persian: ["fa", "fa-AF", "ps", "ckb-IR", "uz-Arab", "az", "ku", "en"],
  "islamic-umalqura": ["ar", "en"],
  ethiopic: ["am", "ti", "om", "en"],
};

/** Calendars with months of their own. */
export const calendars = ["persian", "islamic-umalqura", "ethiopic", "bikram-sambat"] as const;

let nepali: Map<string, Mask> | undefined;

/**
 * The months of a calendar that a word may name, as a mask; 0 if it names none or the calendar has no names of its own.
 */
export function monthsOfCalendar(name: string, calendar: Calendar): Mask {
  if (calendar !== "bikram-sambat") {
    const tags = (ownNames[calendar] ?? []).filter((tag) => Languages.writes(tag, name));
    const found = tags.map((tag) => wordsOf(tag, "month", calendar).get(name) ?? 0).find((mask) => mask > 0);
    return found ?? 0;
  }
  if (!nepali) {
    nepali = new Map();
    for (const [index, names] of BikramSambat.monthNames.entries()) {
      for (const each of names.split(" ")) add(nepali, nameKey(each), index + 1);
    }
  }
  return nepali.get(name) ?? 0;
}

/** Languages whose weekdays are looked up in addition to those of the document's currency. */
const weekdayLanguages = ["en", "de", "fr", "es", "it", "pt", "nl", "id", "ja", "zh", "ko"];

/**
 * The weekdays that a word may name, as a mask; 0 if it names none in a common language or in one of the currency's.
 */
export function weekdaysOf(name: string, currency: string | null | undefined): Mask {
  for (const tag of [...weekdayLanguages, ...(currency ? Languages.of(currency) : [])]) {
    const found = wordsOf(tag, "weekday").get(name);
    if (found) return found;
  }
  return 0;
}

/** True if a word may occur between the parts of dates in a language of the currency, or in a main language. */
export function isParticle(word: string, currency: string | null | undefined): boolean {
  const has = (tag: string) => wordsOf(tag, "literal").has(word);
  const own = currency ? Languages.of(currency).some(has) : false;
  return own || Languages.all().main.some((tag) => Languages.writes(tag, word) && has(tag));
}

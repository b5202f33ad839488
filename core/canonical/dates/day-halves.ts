import * as Languages from "./languages.ts";
import type { Mask } from "./names.ts";
import { nameKey } from "./unify.ts";

/** Words for halves and parts of the day, and the hours (of 24) that each may mean. */

const morning = 0x000fff;
const afternoon = 0xfff000;

/** The words that most papers print. */
const common = new Map<string, Mask>([
  ...["am", "a m", "a", "vorm", "上午", "午前", "오전"].map((word) => [word, morning] as const),
  ...["pm", "p m", "p", "nachm", "下午", "午後", "오후"].map((word) => [word, afternoon] as const),
]);

const day = Date.UTC(2031, 3, 16);
const msPerHour = 3_600_000;

function periodOf(format: Intl.DateTimeFormat, hour: number): string {
  const parts = format.formatToParts(day + hour * msPerHour);
  return nameKey(parts.find(({ type }) => type === "dayPeriod")?.value ?? "");
}

const halves = new Map<string, Map<string, Mask>>();
const parts = new Map<string, Map<string, Mask>>();

/** A language's words for the two halves of the day. */
function halvesOf(tag: string): Map<string, Mask> {
  const known = halves.get(tag);
  if (known) return known;
  const format = new Intl.DateTimeFormat(tag, { timeStyle: "short", hour12: true, timeZone: "UTC" });
  const [early, late] = [periodOf(format, 2), periodOf(format, 14)];
  // If a language's words for both halves are equal here, it has no words for them.
  const words = new Map(early === late ? [] : [[early, morning] as const, [late, afternoon] as const]);
  halves.set(tag, words);
  return words;
}

/** A language's words for the parts of the day: `in the afternoon`, `de la noche`. */
function partsOf(tag: string): Map<string, Mask> {
  const known = parts.get(tag);
  if (known) return known;
  const words = new Map<string, Mask>();
  for (const dayPeriod of ["long", "short"] as const) {
    const format = new Intl.DateTimeFormat(tag, {
      hour: "numeric",
      hour12: true,
      dayPeriod,
      timeZone: "UTC",
    });
    for (let hour = 0; hour < 24; hour += 1) {
      const word = periodOf(format, hour);
      if (word !== "") words.set(word, (words.get(word) ?? 0) | (1 << hour));
    }
  }
  parts.set(tag, words);
  return words;
}

function first(
  tags: readonly string[],
  word: string,
  wordsOf: (tag: string) => Map<string, Mask>,
): Mask | undefined {
  for (const tag of tags) {
    const hours = wordsOf(tag).get(word);
    if (hours !== undefined) return hours;
  }
  return undefined;
}

/** The last words that were found in no language, cached: an answer full of them then costs one look-up each. */
const unknown = new Set<string>();
const maxUnknown = 1000;

/**
 * The hours that a word beside a time may mean, as a mask; undefined if it is not a word for hours. `word` is in the
 * form of `nameKey`. The currency's languages are tried first. A word that is in no language costs a search of all
 * languages, once.
 */
export function hoursOf(word: string, currency: string | null | undefined): Mask | undefined {
  const usual = common.get(word);
  if (usual !== undefined || unknown.has(word) || !/\p{L}/u.test(word)) return usual;
  const own = [...(currency ? Languages.of(currency) : []), "en"].filter((tag) =>
    Languages.writes(tag, word),
  );
  const { main, others } = Languages.all();
  const all = [...main, ...others].filter((tag) => Languages.writes(tag, word));
  const found =
    first(own, word, halvesOf) ??
    first(own, word, partsOf) ??
    first(all, word, halvesOf) ??
    first(
      main.filter((tag) => Languages.writes(tag, word)),
      word,
      partsOf,
    );
  if (found === undefined) {
    if (unknown.size >= maxUnknown) unknown.clear();
    unknown.add(word);
  }
  return found;
}

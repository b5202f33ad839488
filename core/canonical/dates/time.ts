import * as DayHalves from "./day-halves.ts";
import type { Mask } from "./names.ts";
import { nameKey, unify } from "./unify.ts";

/** Hour, minute, second: `14:30`, `14.30`, `14h30`, `2:30:05`, `14 h 30 min 05 s`, `14時30分`, `오후 2시 30분`. */
const clock =
  /(?<!\d|\d[.:,/])(\d{1,2}) ?(?:[:.hч]|時|时|시|點|点) ?(\d{2})(?![\d/])(?: ?(?:[:.m]|min|мин|分|분) ?(\d{2})(?!\d)(?:[.,]\d{1,6})?)?(?: ?(?:s(?!\p{L})|мин\.?|秒|초|分|분))?/u;
/** The hour alone, if a word shows that it is one. */
const hourOnly = /(?<!\d|\d[.:,/])(\d{1,2}) ?(?:[h時时시點点]|uhr)?(?![\d\p{L}/:.])/u;

/** Words before a time that do not tell the half of the day: "at", labels. */
const ahead = new Set(
  `um a at le la las los l alle ore ora as kl klo klock kello godz cas saat pukul jam time zeit uhrzeit heure hora tijd tid
  waktu hour t den the o u as at เวลา 시간 時間 时间 時刻 ဆ`.split(/\s+/),
);
/** Such words after a time: "o'clock", and time zones, which are dropped. */
const after = new Set(
  `uhr h hrs hr hod hodz ur ure val ч น นาฬิกา oclock z utc gmt wib wita wit cet cest mez mesz msk ist jst kst sgt bst wet
  west eet eest est edt cst cdt mst mdt pst pdt aest aedt`.split(/\s+/),
);

/**
 * The canonical form, `HH:MM` or `HH:MM:SS`, of a printed time of day: `14:30`, `2:30 PM`, `PM 02:30`, `下午 2:30`,
 * `14.30`, `14h30`, `19:02 Uhr`, `15:20:07+02:00`. The half of the day may precede or follow the time, in every
 * language that Intl supports; time zones are dropped. Null if the text is not a time, or if an unknown word beside it
 * may change the hour. Never throws.
 */
export function parse(printed: string, currency?: string | null): { value: string } | null {
  const text = unify(printed);
  if (!text) return null;
  const found = clock.exec(text) ?? (/\p{L}/u.test(text) ? hourOnly.exec(text) : null);
  return found && read(text, found, currency);
}

/** A UTC offset after the time, `+02:00`, `-0500`, `GMT+2`; also a zone in brackets. */
const offset =
  /(?:utc|gmt) ?[+-] ?\d{1,2}(?::?[0-5]\d)?$|(?:[+-]0\d|\+1[0-4])(?::?[0-5]\d)?$|\((?:[^()\d]*|(?:utc|gmt) ?[+-] ?\d{1,2}(?::?[0-5]\d)?)\)$/;

function read(
  text: string,
  match: RegExpExecArray,
  currency: string | null | undefined,
): { value: string } | null {
  const [whole, hourText = "", minute, second] = match;
  const before = text.slice(0, match.index);
  const behind = text.slice(match.index + whole.length).replace(offset, "");
  if (
    before.trim() === "-" ||
    /\d/.test(before + behind) ||
    /[^\p{L}\p{M}\p{Cf}\s.:,'()/\u0f0b-]/u.test(before + behind)
  )
    return null;
  const phrases = [
    { words: phraseOf(before), silent: ahead },
    { words: phraseOf(behind), silent: after },
  ];
  const halves = phrases.map(({ words, silent }) => halfIn(words, silent, currency));
  const unknown = halves.some(({ known }) => !known);
  const mask = halves.map(({ hours }) => hours).find((hours) => hours !== undefined);
  const printed = Number(hourText);
  if (minute === undefined && mask === undefined && !/\D$/.test(whole.trim())) return null;
  // After noon, an unknown word cannot change the hour.
  if (unknown && printed <= 12 && mask === undefined) return null;
  const hour = mask === undefined || printed > 12 ? printed : hourBy(printed, mask);
  if (hour === null || hour > 23 || Number(minute ?? 0) > 59 || Number(second ?? 0) > 59) return null;
  const padded = String(hour).padStart(2, "0");
  return { value: `${padded}:${minute ?? "00"}${second === undefined ? "" : `:${second}`}` };
}

const phraseOf = (text: string) => nameKey(text.replace(/:/g, " "));

/** The hour of 24 that a printed hour means within the word's hours; null if there is none or two. */
function hourBy(printed: number, hours: Mask): number | null {
  const [only, another] = [printed % 12, (printed % 12) + 12].filter((each) => hours & (1 << each));
  return another === undefined ? (only ?? null) : null;
}

/** The hours that the words beside a time allow, and whether all words are known. */
function halfIn(
  phrase: string,
  silent: ReadonlySet<string>,
  currency: string | null | undefined,
): { hours?: Mask; known: boolean } {
  const words = phrase.split(" ").filter((word) => word !== "");
  const open = words.filter((word) => !silent.has(word));
  // All words are known not to matter, so no language is searched.
  if (open.length === 0) return { known: true };
  const whole = DayHalves.hoursOf(phrase, currency) ?? DayHalves.hoursOf(open.join(" "), currency);
  if (whole !== undefined) return { hours: whole, known: true };
  const found = open.map((word) => DayHalves.hoursOf(word, currency));
  const hours = found.find((each) => each !== undefined);
  return hours === undefined ? { known: false } : { hours, known: true };
}

/** A time with a colon or signs of its own within a date's text; a time with points only may be part of the date. */
const sure =
  /(?<![\d.:])\d{1,2} ?(?:[:h]|時|时|시|點|点) ?\d{2}(?!\d)(?: ?(?:[:m.]|min|分|분) ?\d{2}(?!\d)(?:[.,]\d+)?)?(?: ?(?:s|秒|초|分|분)(?!\p{L}))?/u;
const tail = / ?[( ]\d{1,2}(?:[.h]\d{2}(?:[.m]\d{2})?| ?(?:uhr|h|am|pm)\.?)(?: ?(?:[ap]m|uhr|h|hrs))?\)?$/;
const digitsOf = (text: string) => text.replace(/\D+/g, "").length;

/**
 * The possible forms of a date's text without the time before or after it. `cut` is true if a time was removed from the
 * end: any remaining text there belongs to the time.
 */
export function withoutTimes(text: string): { text: string; cut: boolean; rest: string }[] {
  const match = sure.exec(text);
  if (match) {
    const before = text.slice(0, match.index);
    const behind = text.slice(match.index + match[0].length);
    const isBehind = digitsOf(before) >= 4;
    return isBehind
      ? [{ text: before.replace(/t$/, ""), cut: true, rest: behind }]
      : [{ text: behind, cut: false, rest: before }];
  }
  const cut = text.replace(tail, "");
  const whole = { text, cut: false, rest: "" };
  return cut === text ? [whole] : [whole, { text: cut, cut: true, rest: text.slice(cut.length) }];
}

import * as Halves from "./day-halves.ts";
import { nameKey, unify } from "./unify.ts";

/** Hour, minute, second: `14:30`, `14.30`, `14h30`, `2:30:05`, `14 h 30 min 05 s`, `14時30分`, `오후 2시 30분`. */
const clock =
  /(?<![\d.:,/])(\d{1,2}) ?(?:[:.h]|時|时|시|點|点) ?(\d{2})(?![\d/])(?: ?(?:[:.m]|min|分|분) ?(\d{2})(?!\d)(?:[.,]\d{1,6})?)? ?(?:s(?![\p{L}])|秒|초|分|분|m(?![\p{L}]))?/u;
/** The hour alone, where a word says that it is one. */
const hourOnly = /(?<![\d.:,/])(\d{1,2}) ?(?:[h時时시點点]|uhr)?(?![\d\p{L}/:.])/u;

/** What stands beside times and says nothing of the half of the day: labels, "o'clock", zones. */
const beside = new Set(
  `um a at le la las los ore ora alle as kl klo klock kello godz cas saat pukul jam time zeit uhrzeit heure hora tijd
  tid waktu uhr h hrs hr hod hodz ur ure val chasov ч น นาฬิกา เวลา 시간 時間 时间 時刻 t den den. o the u z utc gmt wib wita wit cet
  cest mez mesz msk ist jst kst sgt bst wet west eet eest est edt cst cdt mst mdt pst pdt aest aedt ca ཆུཚོད`.split(
    /\s+/,
  ),
);

/**
 * The canonical form, `HH:MM` or `HH:MM:SS`, of a printed time of day: `14:30`, `2:30 PM`, `PM 02:30`, `下午 2:30`,
 * `14.30`, `14h30`, `19:02 Uhr`, `15:20:07+02:00`. The half of the day may stand before or behind, in the words of
 * every language that Intl knows; zones are dropped. Null when it is none, or a word beside it may change the
 * hour and is not known. Never throws.
 */
export function parse(printed: string, currency?: string | null): { value: string } | null {
  const text = unify(printed);
  if (!text) return null;
  const joined = joinNames(text).replace(/^\d{4}-\d\d-\d\dt(?=\d)/, "");
  const found = clock.exec(joined);
  if (found) return read(joined, found, currency);
  const hour = hourOnly.exec(joined);
  return hour && /\p{L}/u.test(joined) ? read(joined, hour, currency) : null;
}

/** Points inside of a name (p.m., ب.ظ.) part nothing. */
const joinNames = (text: string) =>
  text.replace(/(\p{L}\p{M}*)\. ?(?=\p{L}\.)/gu, "$1").replace(/(\p{L}\p{M}*)\.(?=\p{L})/gu, "$1");

/** A distance from UTC behind the time, `+02:00`, `-0500`, `GMT+2`; also a zone in brackets. */
const offset = /(?:(?:utc|gmt) ?)?[+-] ?\d{1,2}(?::?\d{2})?$|\((?:[^()\d]*)\)$/;

function read(
  text: string,
  match: RegExpExecArray,
  currency: string | null | undefined,
): { value: string } | null {
  const [whole, hourText = "", minute, second] = match;
  const before = text.slice(0, match.index);
  const behind = text.slice(match.index + whole.length).replace(offset, "");
  if (/\d/.test(before + behind) || /[^\p{L}\p{M}\s.:,'()-]/u.test(before + behind)) return null;
  const sign = hourText === "" ? "" : whole;
  const words = [before, behind]
    .map((part) => nameKey(part.replace(/[:,()]/g, " ").replace(/-/g, " ")))
    .filter(Boolean);
  const hours = hourOf(Number(hourText), words, currency);
  if (hours === null || (minute === undefined && !saysHour(sign, words, currency))) return null;
  if (hours > 23 || Number(minute ?? 0) > 59 || Number(second ?? 0) > 59) return null;
  const padded = String(hours).padStart(2, "0");
  return { value: `${padded}:${minute ?? "00"}${second === undefined ? "" : `:${second}`}` };
}

/** An hour without minutes needs a word that makes it one. */
function saysHour(sign: string, words: readonly string[], currency: string | null | undefined): boolean {
  return (
    /\D$/.test(sign.trim()) ||
    words.some((word) => word === "uhr" || Halves.hoursOf(word, currency) !== undefined)
  );
}

/** The hour of 24, by the words beside it; null when one of them may change it and is not known. */
function hourOf(
  printed: number,
  phrases: readonly string[],
  currency: string | null | undefined,
): number | null {
  let hour = printed;
  let decided = false;
  for (const phrase of phrases) {
    const single = phrase.split(" ");
    // All known not to matter: no language is asked.
    if (single.every((word) => beside.has(word))) continue;
    const parts = Halves.hoursOf(phrase, currency) === undefined ? single : [phrase];
    for (const word of parts) {
      const hours = Halves.hoursOf(word, currency);
      if (hours === undefined) {
        // Past noon nothing is left to change; before it only words that are known not to.
        if (beside.has(word) || (printed > 12 && word.length <= 12)) continue;
        if (printed === 0 || isZone(word)) continue;
        return null;
      }
      if (decided || printed > 12) continue;
      const fits = [printed % 12, (printed % 12) + 12].filter((each) => hours & (1 << each));
      const [only] = fits;
      if (fits.length !== 1 || only === undefined) return null;
      hour = only;
      decided = true;
    }
  }
  return hour;
}

/** Names of zones are three to five Latin letters that end in t or c; a half of the day is none of them. */
const isZone = (word: string) => /^(?:[a-z]{1,3}[sd]?t|utc)$/.test(word);

/** A time with a colon or signs of its own, as it stands in a date's text; points alone may be the date's. */
const sure =
  /(?<![\d.:])\d{1,2} ?(?:[:h]|時|时|시|點|点) ?\d{2}(?!\d)(?: ?(?:[:m.]|min|分|분) ?\d{2}(?!\d)(?:[.,]\d+)?)?(?: ?(?:s|秒|초|分|분)(?!\p{L}))?/u;
const tail = / ?[( ]\d{1,2}(?:[.h]\d{2}(?:[.m]\d{2})?| ?(?:uhr|h|am|pm)\.?)(?: ?(?:[ap]m|uhr|h|hrs))?\)?$/;
const digitsOf = (text: string) => text.replace(/\D+/g, "").length;

/**
 * A date's text as it may be without the time before or behind it. `cut` is true where a time was taken off behind:
 * what is left there belongs to it.
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

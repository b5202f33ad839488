import type { DateOrder } from "#core/canonical/country/day-order";
import type { Calendar } from "./calendar.ts";
import * as Names from "./names.ts";
import * as Time from "./time.ts";
import { nameKey, unify } from "./unify.ts";

/** The parts of a printed date, before anything is decided about them. */
export interface Shape {
  /** As printed, from left to right: three numbers, or the two beside a month's name. */
  numbers: readonly string[];
  /** The month's name as `nameKey` makes it; null where all three are numbers. */
  month: string | null;
  /** Where the name stands: first, in the middle, or last. */
  monthAt: 0 | 1 | 2;
  /** Fixed by marks such as 年月日; else null. */
  order: DateOrder | null;
  /** `.`, `/`, `-`, a space, or nothing. */
  separator: string;
  /** Printed with the year: `令和`, `民國`, `พ.ศ.`. */
  era: Calendar | null;
  /** All other words: weekdays, labels. */
  words: readonly string[];
}

const eras: Record<string, Calendar> = {
  r: "reiwa",
  令和: "reiwa",
  令: "reiwa",
  reiwa: "reiwa",
  h: "heisei",
  平成: "heisei",
  平: "heisei",
  heisei: "heisei",
  s: "showa",
  昭和: "showa",
  昭: "showa",
  showa: "showa",
  民國: "roc",
  民国: "roc",
  中華民國: "roc",
  中华民国: "roc",
  minguo: "roc",
  พศ: "buddhist",
  ပသ: "buddhist",
  be: "buddhist",
  คศ: "gregory",
  ad: "gregory",
  ce: "gregory",
  ap: "persian",
  هـ: "islamic-umalqura",
  ه: "islamic-umalqura",
  ah: "islamic-umalqura",
  bs: "bikram-sambat",
  विसं: "bikram-sambat",
  बिसं: "bikram-sambat",
};
/** Letters that mean an era only directly before the year. */
const shortEras = new Set(["r", "h", "s", "令", "平", "昭"]);

/** Signs that never occur beside a date: amounts, telephone numbers, paths, sums. */
const foreign = /[+#$€£¥₩₹฿%@*\\=<>&;_"!?|~^{}]/;
/** Words before a number that is not part of a date. */
const otherNumbers =
  /(?:^|[^\p{L}])(?:v|ver|vers|version|rev|build|fw|sw|ip|tel|telefon|telephone|phone|ph|mob|fax|no|nr|num|inv|ref|art|id|sku|ean|vat|iban)[.:]*[ -]*$/u;
/** Words between the parts of dates in the languages of most papers; those of other languages come from Intl. */
const particles = new Set(
  "de del di da of the la le den der dem do el a al d en er ng y du ta m г р th st nd rd ter an оны сарын сар ko e a ی".split(
    " ",
  ),
);

/** The most common form: three numbers and nothing else. */
const bare = /^(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})$/;
const compact = /^((?:19|20)\d\d)(\d\d)(\d\d)$/;
/** Longest label before a date, and longest text after one. */
const maxBefore = 40;
const maxBehind = 30;

/**
 * The parts of a printed date; null if the text has none, or contains anything that does not belong to a date. Never
 * throws.
 */
export function scan(printed: string, currency: string | null | undefined): Shape | null {
  const text = unify(printed);
  if (!text) return null;
  const found = bare.exec(text);
  if (found) {
    const [, a = "", separator = "", b = "", c = ""] = found;
    return { ...nothing, numbers: [a, b, c], separator };
  }
  const digits = compact.exec(text);
  if (digits) return { ...nothing, numbers: digits.slice(1), order: "ymd" };
  for (const candidate of Time.withoutTimes(text)) {
    const shape = shapeOf(candidate.text, candidate.cut, currency);
    if (shape) return { ...shape, words: [...shape.words, ...Names.wordsIn(nameKey(candidate.rest))] };
  }
  return null;
}

const nothing: Shape = {
  numbers: [],
  month: null,
  monthAt: 1,
  order: null,
  separator: "",
  era: null,
  words: [],
};

function shapeOf(text: string, cut: boolean, currency: string | null | undefined): Shape | null {
  const counted = text.replace(/元年/, "1年");
  const numbers = counted.match(/\d+/g) ?? [];
  if (numbers.length < 2 || numbers.length > 3 || numbers.some(({ length }) => length > 4)) return null;
  const pieces = counted.split(/\d+/);
  const [before = "", ...rest] = pieces;
  const behind = rest.pop() ?? "";
  const beside = cut ? before : before + behind;
  if (before.length > maxBefore || (!cut && behind.length > maxBehind) || foreign.test(beside)) return null;
  if (otherNumbers.test(before) || (/-\s*$/.test(before) && !/\p{L}/u.test(before))) return null;
  const piece = { before, between: rest, behind, cut };
  return numbers.length === 3 ? ofNumbers(numbers, piece, currency) : ofName(numbers, piece, currency);
}

interface Pieces {
  before: string;
  between: readonly string[];
  behind: string;
  /** True if a time followed the date: then other words may follow, too. */
  cut: boolean;
}

/** What kind of number it is, by the sign directly after it or the word directly before it. */
const marks: readonly [RegExp, RegExp, string][] = [
  [/^ ?(?:年|년)/, /^(?!)/, "y"],
  [/^ ?(?:月|월)/, / ?(?:tháng|thg|thang) ?$/, "m"],
  [/^ ?(?:日|일|号|號)/, /^(?!)/, "d"],
];

function ofNumbers(
  numbers: readonly string[],
  { before, between, behind }: Pieces,
  currency: string | null | undefined,
): Shape | null {
  const around = [before, ...between, behind];
  const roles = numbers.map(
    (_, at) =>
      marks.find(([after, ahead]) => after.test(around[at + 1] ?? "") || ahead.test(around[at] ?? ""))?.[2] ??
      "",
  );
  const [first = "", second = ""] = between.map((piece) => piece.trim());
  const { era, words } = eraOf(before, between.join(" "), behind);
  const shape = { ...nothing, numbers, era, words };
  // Years of an emperor or the republic follow its name.
  const led = era !== null && countedFromOne.has(era);
  const matching = orders.filter((each) => roles.every((role, at) => !role || role === each[at]));
  const marked = led || roles.some((role) => role !== "");
  const order = marked ? matching.find((each) => fits(numbers, each)) : undefined;
  if (order) return { ...shape, order };
  // "113年09-10月": the two months that a uniform invoice of Taiwan is valid for.
  if (matching.length === 0) return null;
  if (/^[./-]?$/.test(first) && /^[./-]?$/.test(second)) {
    // Two different separators are accepted only if the year is unmistakable: "16/4 2031", "16/4-2031".
    const same = first === second || (numbers[2]?.length === 4 && first !== "" && second !== ".");
    return same ? { ...shape, separator: first || " " } : null;
  }
  const joined = between.join(" ");
  return /\p{L}/u.test(joined) && connects(joined, currency) ? shape : null;
}

const orders = ["ymd", "dmy", "mdy"] as const;
const countedFromOne = new Set<Calendar>(["reiwa", "heisei", "showa", "roc"]);
const isEra = (word: string) => Object.hasOwn(eras, word) && !shortEras.has(word);

/** True if the numbers have as many digits as the parts in this order may have. */
function fits(numbers: readonly string[], order: DateOrder): boolean {
  const lengthOf = (part: string) => numbers[order.indexOf(part)]?.length ?? 0;
  const isFull = lengthOf("y") > 2 || numbers.every(({ length }) => length <= 2);
  return lengthOf("d") <= 2 && lengthOf("m") <= 2 && isFull;
}

/** True if the text contains only punctuation and words that may occur between the parts of a date. */
function connects(text: string, currency: string | null | undefined): boolean {
  if (/[^\p{L}\p{M}\s.,/'()\u0f0b-]/u.test(text)) return false;
  return Names.wordsIn(nameKey(text)).every(
    (word) => particles.has(word) || isEra(word) || Names.isParticle(word, currency),
  );
}

/** The era beside a year, and the other words around it. */
function eraOf(before: string, between: string, behind: string): { era: Calendar | null; words: string[] } {
  const ahead = Names.wordsIn(nameKey(before));
  const after = Names.wordsIn(nameKey(`${between} ${behind}`));
  const last = ahead.at(-1) ?? "";
  const next = [
    ...ahead.filter((word) => word === last || !shortEras.has(word)),
    ...after.filter((word) => !shortEras.has(word)),
  ];
  const named = next.find((word) => Object.hasOwn(eras, word));
  return { era: named === undefined ? null : (eras[named] ?? null), words: [...ahead, ...after] };
}

function ofName(
  numbers: readonly string[],
  pieces: Pieces,
  currency: string | null | undefined,
): Shape | null {
  const [between = ""] = pieces.between;
  const places = [
    { at: 1 as const, text: between },
    { at: 0 as const, text: pieces.before },
    { at: 2 as const, text: pieces.behind },
  ];
  for (const { at, text } of places) {
    if (!/\p{L}/u.test(text)) continue;
    const found = monthIn(text, currency);
    if (!found) continue;
    const loose = at === 1 || connects(between, currency);
    const tail = at === 2 ? found.rest : pieces.behind;
    const fits =
      loose && (pieces.cut || isTail(tail, currency)) && (at !== 1 || connects(found.rest, currency));
    if (!fits) return null;
    const others = at === 0 ? found.rest : pieces.before;
    const { era, words } = eraOf(others, at === 1 ? found.rest : between, tail);
    return { ...nothing, numbers, month: found.name, monthAt: at, era, words };
  }
  return null;
}

/**
 * True if the text may follow a date with a month's name: a weekday, an era or a mark of the year, in short or known
 * words.
 */
function isTail(text: string, currency: string | null | undefined): boolean {
  return Names.wordsIn(nameKey(text)).every(
    (word) => word.length <= 4 || Names.weekdaysOf(word, currency) > 0 || Names.isParticle(word, currency),
  );
}

/** The month's name in a text, and the rest of the text. */
function monthIn(text: string, currency: string | null | undefined): { name: string; rest: string } | null {
  const words = nameKey(text)
    .split(" ")
    .filter((word) => word !== "");
  const run = Names.findMonth(words, (word) => particles.has(word), currency);
  if (!run) return null;
  const rest = [...words.slice(0, run.from), ...words.slice(run.to)].join(" ");
  return { name: words.slice(run.from, run.to).join(" "), rest };
}

import type { Sheet } from "#core/evaluation/compare/sheet";
import type { Labelled } from "#core/ground-truth/record";

/**
 * A script that nearly only one language uses identifies that language. For others only the script is known: Latin
 * letters do not identify a language. Han is taken as Chinese unless there is kana.
 */
const scripts: readonly (readonly [string, RegExp])[] = [
  ["Latin", /\p{Script=Latin}/gu],
  ["Cyrillic", /\p{Script=Cyrillic}/gu],
  ["Arabic", /\p{Script=Arabic}/gu],
  ["Devanagari", /\p{Script=Devanagari}/gu],
  ["zh", /\p{Script=Han}/gu],
  ["ja", /\p{Script=Hiragana}|\p{Script=Katakana}/gu],
  ["ko", /\p{Script=Hangul}/gu],
  ["th", /\p{Script=Thai}/gu],
  ["lo", /\p{Script=Lao}/gu],
  ["km", /\p{Script=Khmer}/gu],
  ["my", /\p{Script=Myanmar}/gu],
  ["el", /\p{Script=Greek}/gu],
  ["he", /\p{Script=Hebrew}/gu],
  ["hy", /\p{Script=Armenian}/gu],
  ["ka", /\p{Script=Georgian}/gu],
  ["am", /\p{Script=Ethiopic}/gu],
  ["bn", /\p{Script=Bengali}/gu],
  ["ta", /\p{Script=Tamil}/gu],
  ["te", /\p{Script=Telugu}/gu],
  ["gu", /\p{Script=Gujarati}/gu],
  ["kn", /\p{Script=Kannada}/gu],
  ["ml", /\p{Script=Malayalam}/gu],
  ["pa", /\p{Script=Gurmukhi}/gu],
  ["si", /\p{Script=Sinhala}/gu],
];
/** Letters that are enough to determine a paper's script. */
const maxLetters = 5000;

/** The language, or else the script, of most labeled letters; null if there are none. */
export function languageOf({ scalars, lists }: Sheet<Labelled | undefined>): string | null {
  const texts: string[] = [];
  let length = 0;
  for (const label of [...scalars, ...lists.flat(2)]) {
    if (label?.kind !== "value" || length > maxLetters) continue;
    const text = String(label.accepted[0]);
    length += text.length;
    texts.push(text);
  }
  const all = texts.join(" ").slice(0, maxLetters);
  const counts = new Map<string, number>();
  for (const [name, letters] of scripts) {
    const count = all.match(letters)?.length ?? 0;
    if (count > 0) counts.set(name, count);
  }
  if (counts.has("ja") && counts.has("zh"))
    counts.set("ja", (counts.get("ja") ?? 0) + (counts.get("zh") ?? 0));
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most?.[0] ?? null;
}

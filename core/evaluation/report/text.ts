import { type Html, html } from "#core/html";

/* Texts and numbers of a report. Values come from papers, models and labels, and are always shown as plain text. */

/** Characters that are invisible or change the direction of text; each is shown by its number. */
const hidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * A text cut after this many code points, without invisible characters and those that change the direction of the
 * line.
 */
export function shown(text: string, most = 300): string {
  const points = [...text.slice(0, 2 * most).toWellFormed()];
  const cut = points.length > most || text.length > 2 * most ? `${points.slice(0, most).join("")}…` : text;
  return cut
    .toWellFormed()
    .replace(hidden, (each) => `⟨U+${each.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** A value as printed; null is shown in words in another typeface, so that it cannot be mistaken for a value. */
export const value = (text: string | null): Html =>
  text === null ? html`<span class="none">no value</span>` : html`<bdi class="value">${shown(text)}</bdi>`;

/** All accepted values, as printed. */
export const values = (all: readonly (string | null)[]): Html =>
  html`${all.map((text, i) => [i > 0 ? html` <span class="none">or</span> ` : "", value(text)])}`;

/** A share in percent with one digit; null is 0/0. */
export const percent = (share: number | null): string =>
  share === null ? "–" : `${(100 * share).toFixed(1)} %`;

export const interval = (ends: readonly number[] | null): string =>
  ends === null ? "" : `${percent(ends[0] ?? null).replace(" %", "")}–${percent(ends[1] ?? null)}`;

/** A count with blanks between thousands. */
export const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** A count with its noun, and a verb that agrees with it. */
export const counted = (n: number, one: string, several: string): string =>
  `${count(n)} ${n === 1 ? one : several}`;

/** A number with four significant digits. */
export const number = (n: number | null, unit = ""): string =>
  n === null ? "–" : `${Number(n.toPrecision(4))}${unit}`;

/** A share as a bar, with its interval as a line over it. The numbers are beside it, so screen readers skip it. */
export function bar(share: number | null, ends: readonly number[] | null): Html {
  const at = (n: number) => (100 * Math.min(1, Math.max(0, n))).toFixed(1);
  const [low, high] = [ends?.[0], ends?.[1]];
  const whisker =
    low === undefined || high === undefined
      ? undefined
      : html`<b style="left:${at(low)}%;width:${at(high - low)}%"></b>`;
  return html`<span class="bar" aria-hidden="true"><i style="width:${at(share ?? 0)}%"></i>${whisker}</span>`;
}

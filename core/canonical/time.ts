import { fold } from "./number.ts";

/**
 * The canonical form, `HH:MM` or `HH:MM:SS`, of a printed time of day: `14:30`, `2:30 PM`, `14.30`, `14h30`,
 * `19:02 Uhr`, `15:20:07`. Null when it is none. Never throws.
 */
export function parse(printed: string): { value: string } | null {
  const text = fold(printed);
  if (!text) return null;
  const match =
    /^(?:[a-z]{2,6}[:. ] ?)?(\d{1,2}) ?(?:[:.h]) ?(\d{2})(?: ?[:.m] ?(\d{2})(?:[.,]\d{1,3})?)? ?s?(?: ?([ap])\.? ?m\.?| ?(?:uhr|h|hrs?|wib|wita|wit|utc|gmt|z))?$/i.exec(
      text,
    );
  if (!match) return null;
  const [, hourText = "", minute = "", second, half] = match;
  let hour = Number(hourText);
  // Tills print "14:30 PM" too: a half of the day only matters up to twelve.
  if (half && hour <= 12) hour = (hour % 12) + (half.toLowerCase() === "p" ? 12 : 0);
  if (hour > 23 || Number(minute) > 59 || Number(second ?? 0) > 59) return null;
  return { value: `${String(hour).padStart(2, "0")}:${minute}${second === undefined ? "" : `:${second}`}` };
}

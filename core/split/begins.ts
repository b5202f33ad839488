import type { TextLayer } from "#core/reading/schema";
import type { Work } from "#core/reading/work";
import { joined, type Read } from "./parts.ts";

/*
 * Whether a page begins another document than the pages before it. Only what the pages say decides: a page without a merchant and
 * a number of its own goes on with the document before it.
 */

/** Names of the fields that tell documents apart, over all tasks; in a caller's own schema they count likewise. */
const parties = new Set([
  ...["merchant", "merchant.name", "supplier", "supplier.name", "company", "vendor", "vendor.name"],
]);
const numbers = ["invoice_number", "receipt_number", "number"];
/** Another day or time is another receipt where both pages have a total: pages of one document have one. */
const times = new Set(["date", "invoice_date", "time"]);
const totals = ["total", "totals.total"];

type Value = Record<string, unknown>;

/** The page goes on with the document before it. */
export async function goesOn(work: Work, document: readonly Read[], read: Read): Promise<boolean> {
  if (document.some(({ unit }) => unit.box !== undefined) || read.unit.box !== undefined) return false;
  const { answer, record } = read.performed;
  if (isFirst(record.text_layer)) return false;
  const [before, value] = [(await joined(work, document))?.value, answer.result];
  // A page that was not read may be the rest of a document that has no total yet, which then is not read either.
  if (value === null) return before === undefined || !hasTotal(before);
  if (before === undefined) return !hasHead(value);
  const disagree = (await joined(work, [...document, read]))?.disagree ?? [];
  return !begins(before, value, disagree);
}

/** @param disagree - paths of the fields of which the two say different things (Merge). */
function begins(before: Value, page: Value, disagree: readonly string[]): boolean {
  if (disagree.some((path) => parties.has(path))) return true;
  if (numbers.some((path) => isOtherNumber(valueAt(before, path), valueAt(page, path)))) return true;
  return disagree.some((path) => times.has(path)) && hasTotal(before) && hasTotal(page);
}

/** Neither is the end of the other: `RE-17` and `17` are one number, `14` and `4` are two. */
function isOtherNumber(one: unknown, other: unknown): boolean {
  if (!isGiven(one) || !isGiven(other)) return false;
  const [a, b] = [partsOf(one), partsOf(other)];
  const shared = Math.min(a.length, b.length);
  return shared > 0 && a.slice(-shared).join(" ") !== b.slice(-shared).join(" ");
}

/** Letters and digits of a number, each run by itself. */
const partsOf = (number: unknown): string[] =>
  String(number)
    .normalize("NFKC")
    .toLowerCase()
    .match(/\p{L}+|\p{N}+/gu) ?? [];

const hasTotal = (value: Value): boolean => totals.some((path) => isGiven(valueAt(value, path)));
const hasHead = (value: Value): boolean =>
  [...parties, ...numbers].some(
    (path) => typeof valueAt(value, path) === "string" && isGiven(valueAt(value, path)),
  );

const isGiven = (value: unknown) => value !== undefined && value !== null && value !== "";

function valueAt(value: unknown, path: string): unknown {
  let at = value;
  for (const name of path.split(".")) {
    if (typeof at !== "object" || at === null) return undefined;
    at = Object.hasOwn(at, name) ? (at as Value)[name] : undefined;
  }
  return at;
}

const ofPages =
  /\b(?:page|seite|blatt|página|pagina|pág\.?|pag\.?|side|sida|strona)\s*:?\s*1\s*(?:of|von|de|di|av|af|z|\/)\s*\d{1,3}\b/iu;

/** The words of the page say that it is the first of its document. */
function isFirst(layer: TextLayer | undefined): boolean {
  const words =
    layer?.pages.flatMap((page) => page.words.map((word) => word.split(" ").slice(4).join(" "))) ?? [];
  return ofPages.test(words.join(" "));
}

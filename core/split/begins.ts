import type { TextLayer } from "#core/reading/schema";
import type { Work } from "#core/reading/work";
import { joined, type Read } from "./parts.ts";

/*
 * Decides whether a page begins another document, from the values of the pages alone: a page without a merchant and a
 * number of its own continues the document before it.
 */

/** Names of the fields that tell documents apart, over all tasks; they are used in a caller's own schema, too. */
const parties = new Set([
  ...["merchant", "merchant.name", "supplier", "supplier.name", "company", "vendor", "vendor.name"],
]);
const numbers = ["invoice_number", "receipt_number", "number"];
/**
 * Another day or time means another receipt only if both pages have a total, because the pages of one document have one
 * total.
 */
const times = new Set(["date", "invoice_date", "time"]);
const totals = ["total", "totals.total"];

type Value = Record<string, unknown>;

/** True if the page continues the document before it. */
export async function goesOn(work: Work, document: readonly Read[], read: Read): Promise<boolean> {
  if (document.some(({ unit }) => unit.box !== undefined) || read.unit.box !== undefined) return false;
  const { answer, record } = read.performed;
  if (isFirst(record.text_layer)) return false;
  const [before, value] = [(await joined(work, document))?.value, answer.result];
  // A page that could not be read may be the rest of a document without a total; then that document counts as not read,
  // too.
  if (value === null) return before === undefined || !hasTotal(before);
  if (before === undefined) return !hasHead(value);
  const disagree = (await joined(work, [...document, read]))?.disagree ?? [];
  return !begins(before, value, disagree);
}

/** @param disagree - paths of the fields whose values differ between the two (Merge). */
function begins(before: Value, page: Value, disagree: readonly string[]): boolean {
  if (disagree.some((path) => parties.has(path))) return true;
  if (numbers.some((path) => isOtherNumber(valueAt(before, path), valueAt(page, path)))) return true;
  return disagree.some((path) => times.has(path)) && hasTotal(before) && hasTotal(page);
}

/** True if neither number is the end of the other: `RE-17` and `17` are the same number, `14` and `4` are not. */
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

/** True if the page's text says that it is the first page of its document. */
function isFirst(layer: TextLayer | undefined): boolean {
  const words =
    layer?.pages.flatMap((page) => page.words.map((word) => word.split(" ").slice(4).join(" "))) ?? [];
  return ofPages.test(words.join(" "));
}

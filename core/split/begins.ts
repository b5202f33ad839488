import type { TextLayer } from "#core/reading/schema";

/*
 * Whether a page begins another document than the pages before it. Only what the pages say decides: a page without a merchant and
 * a number of its own goes on with the document before it.
 */

/** Names of the fields that tell documents apart, over all tasks; in a caller's own schema they count likewise. */
const own = new Set([
  ...["merchant", "merchant.name", "supplier", "supplier.name", "company", "vendor", "vendor.name"],
  ...["invoice_number", "receipt_number", "number"],
]);
/** Another day is another receipt where both pages have a total: pages of one document have one. */
const dates = new Set(["date", "invoice_date"]);
const totals = ["total", "totals.total"];

interface Page {
  value: Record<string, unknown>;
  layer: TextLayer | undefined;
}

/**
 * @param disagree - paths of the fields of which the two say different things (Merge).
 */
export function begins(before: Page, page: Page, disagree: readonly string[]): boolean {
  if (disagree.some((path) => own.has(path))) return true;
  if (disagree.some((path) => dates.has(path)) && hasTotal(before) && hasTotal(page)) return true;
  return isFirst(page.layer);
}

const hasTotal = ({ value }: Page): boolean => totals.some((path) => isGiven(valueAt(value, path)));

const isGiven = (value: unknown) => value !== undefined && value !== null && value !== "";

function valueAt(value: unknown, path: string): unknown {
  let at = value;
  for (const name of path.split(".")) {
    if (typeof at !== "object" || at === null) return undefined;
    at = Object.hasOwn(at, name) ? (at as Record<string, unknown>)[name] : undefined;
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

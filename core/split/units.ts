import * as Document from "#core/document/document";
import { AppError } from "#core/error";
import type { Cut } from "#core/image/cut";
import type { Piece } from "#core/reading/pages";
import type { PartAnswer } from "#core/reading/schema";
import type { Work } from "#core/reading/work";
import { documents } from "#spec/limits";

/** What is read by one call: a page, or one of several receipts on it. */
export interface Unit {
  page: Document.Page;
  /** Where the receipt lies on the page; undefined for a whole page. */
  box: PartAnswer["box"];
}

/** The parts as they are stored for the next worker. */
export const planOf = (units: readonly Unit[]): Piece[][] =>
  units.map(({ page: { number, cut } }) => [{ page: number, ...(cut === undefined ? {} : { cut }) }]);

/**
 * The units as an earlier worker stored them; the pages are not looked at again. @throws AppError as Document.page
 * does.
 */
async function unitsIn(plan: readonly Piece[][], { document, signal }: Work): Promise<Unit[]> {
  const units: Unit[] = [];
  for (const { page: number, cut } of plan.flat()) {
    const page = await Document.page(document, number, { signal });
    units.push(cut === undefined ? { page, box: undefined } : { page: { ...page, cut }, box: boxOf(cut) });
  }
  return units;
}

/**
 * The units of the work: each page, or each receipt of a page that has several.
 * @param looks - whether the pages are looked at; otherwise none is cut.
 * @throws AppError `invalid_image` with `details.reason` `too_many_receipts`; as Document.page and look do.
 */
export async function unitsOf(work: Work, looks: boolean): Promise<Unit[]> {
  const { document, pages, signal, steps } = work;
  if (steps?.plan !== undefined) return await unitsIn(steps.plan, work);
  const units: Unit[] = [];
  for (const number of pages) {
    const page = await Document.page(document, number, { signal });
    const { papers } = looks ? await Document.look(page, { signal }) : { papers: [] };
    if (papers.length === 0) units.push({ page, box: undefined });
    for (const paper of papers) units.push({ page: { ...page, cut: paper }, box: boxOf(paper) });
    const receipts = units.filter(({ box }) => box !== undefined).length;
    if (receipts > documents.cutReceipts) throw tooMany(receipts);
  }
  return units;
}

function tooMany(receipts: number): AppError {
  const limit = documents.cutReceipts;
  return new AppError(
    "invalid_image",
    `more than ${limit} receipts lie on the pages: choose fewer with pages, or send them in several files`,
    { details: { reason: "too_many_receipts", found: receipts, limit } },
  );
}

/** The upright rectangle around the receipt, cut to the page. */
function boxOf({ corners }: Cut): PartAnswer["box"] {
  const within = (value: number) => Math.min(1, Math.max(0, value));
  const short = (value: number) => Math.round(value * 10_000) / 10_000;
  const [xs, ys] = [corners.map(({ x }) => within(x)), corners.map(({ y }) => within(y))];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return {
    ...{ x: short(x), y: short(y) },
    ...{ width: short(Math.max(...xs) - x), height: short(Math.max(...ys) - y) },
  };
}

import type { PdfGuards } from "#spec/guards";
import { LimitFault, type Objects } from "./objects.ts";
import { type Dict, Ref, type Value } from "./syntax.ts";

/*
 * The page tree (ISO 32000-2, section 7.7.3), walked before PDFium does: it may have cycles, or declare pages that it
 * does not have.
 */

export interface Leaf {
  dict: Dict;
  /** The page's own entry, or an ancestor's. */
  resources: Dict | undefined;
  /** MediaBox, its own or an ancestor's: left, bottom, right, top; undefined if it is none. */
  mediaBox: Box | undefined;
  /** Size of a unit in points times 72: 1 unless the page says otherwise. PDFium does not read it. */
  userUnit: number;
}

type Box = readonly [number, number, number, number];

interface Due {
  value: Value;
  depth: number;
  resources: Dict | undefined;
  mediaBox: Box | undefined;
}

/**
 * The pages in their order; empty if there is no tree.
 * @throws LimitFault with `pdf_too_many_pages` or `pdf_page_tree`.
 */
export function leaves(objects: Objects, limits: Pick<PdfGuards, "pages" | "treeDepth">): Leaf[] {
  const found: Leaf[] = [];
  const seen = new Set<number>();
  const root = objects.dict(objects.trailer.get("Root"));
  const due: Due[] = [
    { value: root?.get("Pages") ?? null, depth: 0, resources: undefined, mediaBox: undefined },
  ];
  for (let next = due.pop(); next !== undefined; next = due.pop()) {
    const { value, depth } = next;
    if (depth > limits.treeDepth) throw new LimitFault("pdf_page_tree");
    const dict = objects.dict(value);
    if (dict === undefined) continue;
    const kids = objects.get(dict.get("Kids"));
    const resources = objects.dict(dict.get("Resources")) ?? next.resources;
    const mediaBox = boxOf(objects, dict.get("MediaBox")) ?? next.mediaBox;
    if (!Array.isArray(kids)) {
      found.push({ dict, resources, mediaBox, userUnit: userUnitOf(objects, dict) });
      if (found.length > limits.pages) throw new LimitFault("pdf_too_many_pages");
      continue;
    }
    // A page may occur in the tree twice; a branch may not, because the tree would have no end.
    if (value instanceof Ref) {
      if (seen.has(value.number)) throw new LimitFault("pdf_page_tree");
      seen.add(value.number);
    }
    const declared = objects.get(dict.get("Count"));
    if (typeof declared === "number" && declared > limits.pages) throw new LimitFault("pdf_too_many_pages");
    if (kids.length + due.length > limits.pages * 2) throw new LimitFault("pdf_too_many_pages");
    for (const kid of kids.toReversed()) due.push({ value: kid, depth: depth + 1, resources, mediaBox });
  }
  return found;
}

/** Any two opposite corners may be given; a box without an area is none. */
function boxOf(objects: Objects, value: Value | undefined): Box | undefined {
  const list = objects.get(value);
  if (!Array.isArray(list) || list.length !== 4) return undefined;
  const [a, b, c, d] = list.map((each) => objects.get(each));
  if (typeof a !== "number" || typeof b !== "number" || typeof c !== "number" || typeof d !== "number")
    return undefined;
  const box: Box = [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
  return box[2] > box[0] && box[3] > box[1] ? box : undefined;
}

function userUnitOf(objects: Objects, dict: Dict): number {
  const unit = objects.get(dict.get("UserUnit"));
  return typeof unit === "number" && unit > 0 && Number.isFinite(unit) ? unit : 1;
}

import { guards, type PdfGuards } from "#spec/guards";
import { LimitFault, type Objects } from "./objects.ts";
import { kinds, type Loaded } from "./page.ts";
import { type Dict, Ref, Stream, type Value } from "./syntax.ts";
import type { Leaf } from "./tree.ts";

/*
 * How much there is to draw on a page: first the length of its operators, before PDFium reads them, then the number of
 * texts, lines and pictures that it made of them, before it draws. PDFium reads a form as often as it is drawn; only
 * the bounds of the process stop nested forms that are drawn repeatedly.
 */

/** The largest expansion by Flate (RFC 1951: a match of 258 bytes in two bits). */
const mostRatio = 1032;

/**
 * Checks the operators of a page and of the forms that it may draw, each once. Most pages are too short to be unfolded for it.
 * @throws LimitFault `pdf_page_content`.
 */
export function checkLength(objects: Objects, leaf: Leaf, { contentBytes }: Pick<PdfGuards, "contentBytes">) {
  const streams = [...contents(objects, leaf.dict.get("Contents")), ...forms(objects, leaf.resources)];
  const packed = streams.reduce((sum, stream) => sum + objects.packedLength(stream), 0);
  if (packed * mostRatio <= contentBytes) return;
  let room = contentBytes;
  for (const stream of streams) {
    const length = objects.unfoldedLength(stream, room);
    if (length === undefined || length > room) throw new LimitFault("pdf_page_content");
    room -= length;
  }
}

function contents(objects: Objects, value: Value | undefined): Stream[] {
  const found = objects.get(value);
  const all = Array.isArray(found) ? found.map((one) => objects.get(one)) : [found];
  return all.filter((one) => one instanceof Stream);
}

function forms(objects: Objects, resources: Dict | undefined): Stream[] {
  const found: Stream[] = [];
  const seen = new Set<number | Dict>();
  const due: (Dict | undefined)[] = [resources];
  while (due.length > 0) {
    const named = objects.dict(due.pop()?.get("XObject"));
    // Several forms may refer to the same object.
    if (named === undefined || seen.has(named)) continue;
    seen.add(named);
    for (const value of named.values()) {
      if (value instanceof Ref) {
        if (seen.has(value.number)) continue;
        seen.add(value.number);
      }
      const stream = objects.get(value);
      if (!(stream instanceof Stream) || objects.get(stream.dict.get("Subtype")) !== "/Form") continue;
      found.push(stream);
      due.push(objects.dict(stream.dict.get("Resources")));
    }
  }
  return found;
}

/** Checks the objects of a loaded page, those of its forms included. @throws LimitFault `pdf_page_content`. */
export function checkCount(
  { library, page }: Loaded,
  { pageObjects }: Pick<PdfGuards, "pageObjects"> = guards.pdf,
) {
  let count = 0;
  const add = (more: number) => {
    count += more;
    if (count > pageObjects) throw new LimitFault("pdf_page_content");
  };
  const due: number[] = [];
  const look = (objects: number, of: (i: number) => number) => {
    add(Math.max(0, objects));
    for (let i = 0; i < objects; i += 1) {
      const object = of(i);
      if (library.FPDFPageObj_GetType(object) === kinds.form) due.push(object);
    }
  };
  look(library.FPDFPage_CountObjects(page), (i) => library.FPDFPage_GetObject(page, i));
  for (let form = due.pop(); form !== undefined; form = due.pop()) {
    const holder = form;
    look(library.FPDFFormObj_CountObjects(holder), (i) => library.FPDFFormObj_GetObject(holder, i));
  }
}

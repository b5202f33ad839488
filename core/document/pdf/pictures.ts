import type { Objects } from "./objects.ts";
import { type Dict, Ref, Stream } from "./syntax.ts";
import type { Leaf } from "./tree.ts";

/** The most pictures and forms of a page that are checked. */
const mostLooks = 2_000;

/** Pixels of the largest picture that the page may draw, as declared, in forms too. @throws LimitFault. */
export function largest(objects: Objects, leaf: Leaf): number {
  let found = 0;
  const seen = new Set<number>();
  const walked = new Set<Dict>();
  const due: (Dict | undefined)[] = [leaf.resources];
  for (let next = due.pop(); due.length > 0 || next !== undefined; next = due.pop()) {
    const named = objects.dict(next?.get("XObject"));
    // Several forms may refer to the same object.
    if (named === undefined || walked.has(named)) continue;
    walked.add(named);
    for (const value of named.values()) {
      if (value instanceof Ref) {
        if (seen.has(value.number)) continue;
        seen.add(value.number);
      }
      if (seen.size > mostLooks) return found;
      const stream = objects.get(value);
      if (!(stream instanceof Stream)) continue;
      if (stream.dict.get("Subtype") === "/Form") due.push(objects.dict(stream.dict.get("Resources")));
      const [width, height] = [objects.get(stream.dict.get("Width")), objects.get(stream.dict.get("Height"))];
      if (typeof width === "number" && typeof height === "number") found = Math.max(found, width * height);
    }
  }
  return found;
}

import type { Objects } from "./objects.ts";
import { type Dict, Ref, Stream, type Value } from "./syntax.ts";
import type { Leaf } from "./tree.ts";

/*
 * Files inside of a document: a PDF can list them in three places, and common readers look at one or two of these. They
 * are only listed and read as bytes, never opened.
 */

export interface Attachment {
  /** The place where it was found first. */
  from: "name_tree" | "associated" | "annotation";
  bytes: Uint8Array;
}

/** All attachments together; e-invoices have some 20 kB. */
const mostBytes = 8_000_000;
const mostFiles = 100;
const mostNodes = 2_000;

/**
 * Each file once, by its stream. Those that do not fit into `most` bytes, or have filters that are not read, are left out.
 * @throws LimitFault.
 */
export function attachments(objects: Objects, leaves: readonly Leaf[], most = mostBytes): Attachment[] {
  const root = objects.dict(objects.trailer.get("Root"));
  const found: Attachment[] = [];
  const seen = new Set<Value>();
  let room = most;
  const add = (from: Attachment["from"], specification: Value | undefined) => {
    const files = objects.dict(objects.dict(specification)?.get("EF"));
    const stream = objects.get(files?.get("UF")) ?? objects.get(files?.get("F"));
    if (!(stream instanceof Stream) || seen.has(stream) || found.length >= mostFiles) return;
    seen.add(stream);
    const bytes = fitting(objects, stream, room);
    if (bytes === undefined) return;
    room -= bytes.length;
    found.push({ from, bytes });
  };
  for (const value of named(objects, objects.dict(root?.get("Names"))?.get("EmbeddedFiles")))
    add("name_tree", value);
  for (const dict of [root, ...leaves.map((leaf) => leaf.dict)])
    for (const value of associated(objects, dict)) add("associated", value);
  for (const { dict } of leaves) for (const value of annotated(objects, dict)) add("annotation", value);
  return found;
}

function fitting(objects: Objects, stream: Stream, room: number): Uint8Array | undefined {
  try {
    return objects.data(stream, room);
  } catch {
    return undefined;
  }
}

/** The values of a name tree (ISO 32000-2, section 7.9.6). */
function named(objects: Objects, root: Value | undefined): Value[] {
  const values: Value[] = [];
  const due: Value[] = [root ?? null];
  const seen = new Set<number>();
  for (let next = due.pop(); next !== undefined && seen.size < mostNodes; next = due.pop()) {
    if (next instanceof Ref) {
      if (seen.has(next.number)) continue;
      seen.add(next.number);
    }
    const node = objects.dict(next);
    const names = listIn(objects, node, "Names");
    for (let i = 1; i < names.length; i += 2) values.push(names[i] ?? null);
    due.push(...listIn(objects, node, "Kids"));
  }
  return values;
}

const associated = (objects: Objects, dict: Dict | undefined): Value[] => listIn(objects, dict, "AF");

function annotated(objects: Objects, page: Dict): Value[] {
  return listIn(objects, page, "Annots").flatMap((value) => {
    const annotation = objects.dict(value);
    return annotation?.get("Subtype") === "/FileAttachment" ? [annotation.get("FS") ?? null] : [];
  });
}

function listIn(objects: Objects, dict: Dict | undefined, key: string): Value[] {
  const value = objects.get(dict?.get(key));
  if (Array.isArray(value)) return value.slice(0, mostNodes);
  return value === null ? [] : [value];
}

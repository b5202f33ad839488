import * as Cii from "./cii.ts";
import { mostLines } from "./fields.ts";
import type { Embedded } from "./schema.ts";
import * as Sums from "./sums.ts";
import * as Ubl from "./ubl.ts";
import * as Xml from "./xml.ts";

/*
 * E-invoices (EN 16931) that a document carries as XML: exact values at no cost. They are found by root element and
 * namespace. File names and relationships are no help: files are called `factur-x.xml`, `xrechnung.xml` or anything, and
 * writers disagree about `/AFRelationship`.
 */

const readers = [Cii, Ubl] as const;

/** An attachment that is an e-invoice, or one that would be but cannot be read, with the reason. */
export type Found = { embedded: Embedded } | { problem: string };

/** Reads an attachment. Undefined for everything that is not an e-invoice, whatever it is called. */
function read(bytes: Uint8Array, limits?: typeof Xml.bounds): Found | undefined {
  if (!Xml.looksLikeXml(bytes)) return undefined;
  let root: Xml.Element;
  try {
    root = Xml.parse(bytes, limits);
  } catch (thrown) {
    if (!(thrown instanceof Xml.XmlError)) throw thrown;
    return mentionsInvoice(bytes) ? { problem: thrown.message } : undefined;
  }
  for (const { roots, guideline, read: fieldsOf } of readers) {
    const known = roots[root.ns];
    if (known?.name === root.name) return finished(known.syntax, guideline(root), fieldsOf(root));
  }
  return undefined;
}

/** True if unreadable XML names one of the namespaces near its beginning. */
function mentionsInvoice(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 8_000)).toString("latin1").replaceAll("\0", "");
  return readers.some(({ roots }) => Object.keys(roots).some((ns) => head.includes(ns)));
}

function finished(
  syntax: Embedded["syntax"],
  profile: string | null,
  { fields, beside }: ReturnType<typeof Cii.read>,
): Found {
  const lines = fields.line_items.length;
  const sums = Sums.check(fields, beside);
  const kept = { ...fields, line_items: fields.line_items.slice(0, mostLines) };
  return { embedded: { syntax, profile, fields: kept, lines, sums } };
}

/**
 * The e-invoice among a document's attachments: the first that can be read, else the first problem.
 * @param limits - for tests.
 */
export function find(attachments: Iterable<Uint8Array>, limits?: typeof Xml.bounds): Found | undefined {
  let problem: Found | undefined;
  for (const bytes of attachments) {
    const found = read(bytes, limits);
    if (found === undefined) continue;
    if ("embedded" in found) return found;
    problem ??= found;
  }
  return problem;
}

import { SaxesParser } from "saxes";

/*
 * XML as a tree of elements, within bounds. Nothing outside the file is ever read: a document type declaration, which is
 * where external and nested entities are declared, is refused, as EN 16931 files have none.
 */

/** An element: its namespace and local name, its text without that of its children, and its children in order. */
export interface Element {
  ns: string;
  name: string;
  /** Without surrounding white space. */
  text: string;
  attributes: Readonly<Record<string, string>>;
  children: Element[];
}

/** The largest file that is read. Files of the standard with 1,000 lines have about 2 MB. */
export const bounds = { bytes: 8_000_000, elements: 250_000, depth: 40, textCharacters: 100_000 };

/** The file cannot be read; `message` says why, without its content. */
export class XmlError extends Error {}

/** Declared encodings other than UTF-8 and UTF-16, which carry a mark or are the default. */
const declared = /^<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']/;

function textOf(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.subarray(0, 200)).toString("latin1");
  const utf16 = head.startsWith("\xff\xfe")
    ? "utf-16le"
    : head.startsWith("\xfe\xff")
      ? "utf-16be"
      : undefined;
  const encoding = utf16 ?? declared.exec(head.replace(/^\xef\xbb\xbf/, ""))?.[1] ?? "utf-8";
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(encoding, { fatal: true });
  } catch {
    throw new XmlError("it declares an encoding that is not known");
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw new XmlError("its bytes are not in the encoding that it declares");
  }
}

/** True if the bytes begin as XML does; tells XML from other attachments without parsing. */
export function looksLikeXml(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 400)).toString("latin1");
  return /^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<\0?(?:[?!A-Za-z_])/.test(head);
}

/**
 * Reads a file.
 * @throws XmlError for what is not well-formed, has a document type declaration, or exceeds `limits`.
 */
export function parse(bytes: Uint8Array, limits: typeof bounds = bounds): Element {
  if (bytes.byteLength > limits.bytes) throw new XmlError(`it has more than ${limits.bytes} bytes`);
  const parser = new SaxesParser({ xmlns: true, position: false });
  const open: Element[] = [];
  let root: Element | undefined;
  let elements = 0;
  parser.on("error", () => {
    throw new XmlError("it is not well-formed XML");
  });
  parser.on("doctype", () => {
    throw new XmlError("it has a document type declaration");
  });
  parser.on("opentag", (tag) => {
    elements += 1;
    if (elements > limits.elements) throw new XmlError(`it has more than ${limits.elements} elements`);
    if (open.length >= limits.depth) throw new XmlError(`it is nested more than ${limits.depth} deep`);
    const attributes = Object.fromEntries(
      Object.values(tag.attributes).map(({ local, value }) => [local, value]),
    );
    const element: Element = { ns: tag.uri, name: tag.local, text: "", attributes, children: [] };
    const parent = open.at(-1);
    if (parent === undefined) root = element;
    else parent.children.push(element);
    open.push(element);
  });
  const onText = (text: string) => {
    const element = open.at(-1);
    if (element !== undefined && element.text.length + text.length <= limits.textCharacters)
      element.text += text;
  };
  parser.on("text", onText);
  parser.on("cdata", onText);
  parser.on("closetag", () => {
    const element = open.pop();
    if (element !== undefined) element.text = element.text.trim();
  });
  parser.write(textOf(bytes)).close();
  if (root === undefined) throw new XmlError("it has no element");
  return root;
}

/** The children at a path of local names, whatever their prefixes. */
export function all(element: Element | undefined, path: string): Element[] {
  let found = element === undefined ? [] : [element];
  for (const name of path.split("/"))
    found = found.flatMap(({ children }) => children.filter((child) => child.name === name));
  return found;
}

/** The first child at a path of local names. */
export const first = (element: Element | undefined, path: string): Element | undefined =>
  all(element, path)[0];

/** The text of the first child at a path; null where there is none, or an empty one. */
export const text = (element: Element | undefined, path: string): string | null =>
  first(element, path)?.text || null;

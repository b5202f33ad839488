import { S3Error } from "#local/s3/error";

const entities: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const maxDepth = 8;

/** Text for XML; control characters as references, which AWS sends too although XML 1.0 has no such characters. */
function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped here.
  return text.replace(/[<>&"\u0000-\u001f\u007f\ufffe\uffff]/g, (char) => {
    const name = Object.keys(entities).find((one) => entities[one] === char);
    return name === undefined ? `&#x${char.charCodeAt(0).toString(16)};` : `&${name};`;
  });
}

/** Element content: text, an element's children, or the same element repeated. */
export type Content = string | number | boolean | { [name: string]: Content | Content[] | undefined };

/** A document with S3's namespace; undefined children are left out. */
export function render(name: string, content: Content): string {
  const namespace = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name}${name === "Error" ? "" : namespace}>${inner(content)}</${name}>`;
}

function inner(content: Content): string {
  if (typeof content !== "object") return escapeText(String(content));
  return Object.entries(content)
    .flatMap(([name, child]) =>
      (Array.isArray(child) ? child : child === undefined ? [] : [child]).map(
        (one) => `<${name}>${inner(one)}</${name}>`,
      ),
    )
    .join("");
}

export interface Element {
  name: string;
  text: string;
  children: Element[];
}

/** The root element of a small document. Throws S3Error MalformedXML; DTDs and CDATA are not accepted. */
export function parse(xml: string): Element {
  const root: Element = { name: "", text: "", children: [] };
  const open = [root];
  let at = 0;
  for (const match of xml.matchAll(/<(\/?)([A-Za-z][\w.:-]*)((?:\s[^<>]*?)?)(\/?)>|<\?[^<>]*\?>/g)) {
    const parent = open.at(-1) ?? malformed();
    parent.text += unescapeText(xml.slice(at, match.index));
    at = match.index + match[0].length;
    const [, closing, name, , empty] = match;
    if (name === undefined) continue;
    if (closing) {
      if (open.length < 2 || parent.name !== name) malformed();
      open.pop();
      continue;
    }
    const element: Element = { name, text: "", children: [] };
    parent.children.push(element);
    if (!empty) open.push(element);
    if (open.length > maxDepth) malformed();
  }
  const [document, second] = root.children;
  if (open.length !== 1 || document === undefined || second !== undefined) malformed();
  if (`${root.text}${xml.slice(at)}`.trim().replace(/^\ufeff/, "") !== "") malformed();
  return document ?? malformed();
}

/** The text of a direct child. */
export function child(element: Element, name: string): string | undefined {
  return element.children.find((one) => one.name === name)?.text;
}

function unescapeText(text: string): string {
  if (text.includes("<")) malformed();
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|\w{1,8})?;?/gi, (_, name: string | undefined) => {
    if (name?.startsWith("#")) {
      const point = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
      if (point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff))
        return String.fromCodePoint(point);
    }
    return (name !== undefined ? entities[name] : undefined) ?? malformed();
  });
}

function malformed(): never {
  throw new S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate");
}

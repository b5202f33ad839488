/** Cost of a value that the schema does not bound: generous for what receipts and invoices print. */
const stringTokens = 64;
const numberTokens = 12;
const items = 60;
const overhead = 16;
const maxDepth = 16;
/** Maximum number of schemas visited: a schema with many references to itself has no end. */
const maxNodes = 10_000;

/**
 * An upper estimate of the tokens of an answer to this schema, used for the attempt with a smaller `max_tokens`: it
 * must be far below endless and never below a real answer. Follows `maxLength`, `maxItems` and `$ref` within the
 * schema; anything unknown counts as one long string.
 */
export function tokenBound(schema: object): number {
  const root = schema as Node;
  return Math.ceil(overhead + bound(root, { root, left: maxNodes }, 0));
}

type Node = Record<string, unknown>;

interface Walk {
  root: Node;
  left: number;
}

function bound(node: Node, walk: Walk, depth: number): number {
  walk.left -= 1;
  if (depth > maxDepth || walk.left < 0) return stringTokens;
  const reference = node.$ref;
  if (typeof reference === "string") {
    const target = resolve(reference, walk.root);
    return target === undefined ? stringTokens : bound(target, walk, depth + 1);
  }
  const variants = [node.anyOf, node.oneOf, node.allOf].find(Array.isArray) as Node[] | undefined;
  if (variants !== undefined)
    return Math.max(...variants.map((each) => bound(each, walk, depth + 1)), stringTokens / 8);
  if (Array.isArray(node.enum)) return Math.max(4, ...node.enum.map((value) => JSON.stringify(value).length));
  if ("const" in node) return JSON.stringify(node.const ?? null).length;
  const types = Array.isArray(node.type) ? node.type : [node.type];
  return Math.max(2, ...types.map((type) => ofType(type, node, walk, depth)));
}

function ofType(type: unknown, node: Node, walk: Walk, depth: number): number {
  switch (type) {
    case "object": {
      const properties = Object.entries((node.properties ?? {}) as Record<string, Node>);
      // A name is split every two to three characters at worst; quotes, colon and comma come on top.
      return properties.reduce(
        (sum, [name, each]) => sum + name.length / 2 + 6 + bound(each, walk, depth + 1),
        4,
      );
    }
    case "array": {
      const first = (Array.isArray(node.prefixItems) ? node.prefixItems : []) as Node[];
      const prefix = first.reduce((sum, each) => sum + 2 + bound(each, walk, depth + 1), 0);
      if (first.length > 0 && !node.items) return 4 + prefix;
      const count = typeof node.maxItems === "number" ? node.maxItems : items;
      return 4 + prefix + count * (2 + bound((node.items ?? {}) as Node, walk, depth + 1));
    }
    case "number":
    case "integer":
      return numberTokens;
    case "boolean":
    case "null":
      return 2;
    default:
      return typeof node.maxLength === "number" ? Math.min(node.maxLength, 4_096) + 4 : stringTokens;
  }
}

function resolve(reference: string, root: Node): Node | undefined {
  if (!reference.startsWith("#/")) return reference === "#" ? root : undefined;
  let node: unknown = root;
  for (const part of reference.slice(2).split("/")) {
    if (typeof node !== "object" || node === null) return undefined;
    node = (node as Node)[part.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return typeof node === "object" && node !== null ? (node as Node) : undefined;
}

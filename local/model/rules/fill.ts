import type { Entry, Facts } from "#local/model/rules/facts";
import type { Printed } from "#local/model/rules/items";
import { canonical, type Scope, scopeOf } from "#local/model/rules/names";

/** A value of the answer, with the confidence of the text that it was read from. */
export type Filled =
  | { kind: "value"; value: string | number | boolean | null; confidence: number }
  | { kind: "array"; items: Filled[] }
  | { kind: "object"; entries: [string, Filled][] };

/** A node of a JSON Schema. Keywords that this server does not know leave the value free. */
type Node = Record<string, unknown>;

interface Walk {
  facts: Facts;
  root: Node;
  scope: Scope;
  /** The entry of a list that is being filled. */
  entry: Entry | undefined;
  /** The last property name on the way. */
  name: string | undefined;
  depth: number;
}

const MAX_DEPTH = 12;

/**
 * Fills a JSON Schema from the facts. Only the names of the properties decide what goes where; the answer has every
 * property of the schema, in its order, and null (or the emptiest value that the type allows) for what was not found.
 * Never computes a value.
 */
export function fill(schema: Node, facts: Facts): Filled {
  return walk(schema, {
    facts,
    root: schema,
    scope: "document",
    entry: undefined,
    name: undefined,
    depth: 0,
  });
}

function walk(raw: unknown, at: Walk): Filled {
  const options = alternatives(raw, at.root);
  if (at.depth > MAX_DEPTH) return nothing(options, at);
  const object = options.find((node) => isObject(node));
  const array = options.find((node) => typesOf(node).includes("array") || node.items !== undefined);
  if (object) return fillObject(object, at);
  if (array) return fillArray(array, at);
  return fillValue(options, at);
}

function isObject(node: Node): boolean {
  return typesOf(node).includes("object") || (node.properties !== undefined && node.type === undefined);
}

/** Follows references and opens anyOf, oneOf and allOf; a type list counts as several alternatives of one node. */
function alternatives(raw: unknown, root: Node, seen = new Set<unknown>()): Node[] {
  if (typeof raw !== "object" || raw === null || seen.has(raw)) return [];
  seen.add(raw);
  const node = raw as Node;
  if (typeof node.$ref === "string") return alternatives(resolve(node.$ref, root), root, seen);
  const { anyOf, oneOf, allOf, ...own } = node;
  const branches = [anyOf, oneOf].flatMap((some) => (Array.isArray(some) ? some : []));
  if (branches.length > 0) return branches.flatMap((branch) => alternatives(branch, root, seen));
  if (Array.isArray(allOf)) {
    const merged = allOf.flatMap((part) => alternatives(part, root, seen));
    return [Object.assign({}, own, ...merged)];
  }
  return [node];
}

function resolve(reference: string, root: Node): unknown {
  if (!reference.startsWith("#")) return undefined;
  return reference
    .slice(1)
    .split("/")
    .filter(Boolean)
    .reduce<unknown>((node, part) => {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      return typeof node === "object" && node !== null ? (node as Node)[key] : undefined;
    }, root);
}

function typesOf(node: Node): string[] {
  if (Array.isArray(node.type)) return node.type.filter((each) => typeof each === "string");
  return typeof node.type === "string" ? [node.type] : [];
}

function fillObject(node: Node, at: Walk): Filled {
  const properties = (node.properties ?? {}) as Record<string, unknown>;
  const scope = at.name === undefined ? at.scope : scopeOf(at.name, at.scope);
  const entries = Object.entries(properties).map(([name, child]): [string, Filled] => [
    name,
    walk(child, { ...at, scope, name, depth: at.depth + 1 }),
  ]);
  return { kind: "object", entries };
}

function fillArray(node: Node, at: Walk): Filled {
  const scope = at.name === undefined ? at.scope : scopeOf(at.name, at.scope);
  const list = scope === "item" ? at.facts.items : scope === "tax" ? at.facts.taxes : [];
  const most = typeof node.maxItems === "number" ? node.maxItems : list.length;
  return {
    kind: "array",
    items: list
      .slice(0, most)
      .map((entry) => walk(node.items, { ...at, scope, entry, name: undefined, depth: at.depth + 1 })),
  };
}

function fillValue(options: Node[], at: Walk): Filled {
  const key = at.name === undefined ? undefined : canonical(at.name, at.scope);
  const found = key === undefined ? undefined : lookUp(key, at);
  if (found === undefined) return nothing(options, at);
  for (const node of options) {
    const value = convert(found, node, key ?? "", at.facts);
    if (value !== undefined) return { kind: "value", value, confidence: found.confidence };
  }
  return nothing(options, at);
}

function lookUp(key: string, at: Walk): Printed | undefined {
  if (at.entry) return at.entry.get(key);
  return at.facts.values.get(key);
}

function convert(
  found: Printed,
  node: Node,
  key: string,
  facts: Facts,
): string | number | boolean | undefined {
  const types = typesOf(node);
  if (Array.isArray(node.enum)) return choice(found.text, node.enum);
  if (node.const !== undefined) return choice(found.text, [node.const]);
  if (types.length === 0 || types.includes("string")) {
    if (node.format === "date" || node.format === "time") return facts.iso.get(key);
    return found.text;
  }
  if (types.includes("number") || types.includes("integer")) {
    const value = numberOf(found.text);
    return value !== undefined && (types.includes("number") || Number.isInteger(value)) ? value : undefined;
  }
  return undefined;
}

/** The allowed value that the printed words mean: the same letters, or one contained in the other. */
function choice(text: string, allowed: unknown[]): string | undefined {
  const fold = (value: string) => value.toLowerCase().replace(/[^\p{L}\p{N}€£$]/gu, "");
  const words = allowed.filter((value): value is string => typeof value === "string" && fold(value) !== "");
  return (
    words.find((value) => fold(value) === fold(text)) ??
    words.find((value) => fold(text).includes(fold(value)) || fold(value).includes(fold(text)))
  );
}

/** The number of a printed amount: the last separator before two digits, or before one, is the decimal mark. */
function numberOf(text: string): number | undefined {
  const digits = /-?\d[\d.,' ]*/.exec(text)?.[0].replace(/[\s']/g, "");
  if (digits === undefined) return undefined;
  const decimal = /^(.*)[.,](\d{1,2})$/.exec(digits);
  const value = decimal
    ? Number(`${decimal[1]?.replace(/[.,]/g, "")}.${decimal[2]}`)
    : Number(digits.replace(/[.,]/g, ""));
  return Number.isFinite(value) ? value : undefined;
}

/** The value for an unknown fact, as far as the type has one. */
function nothing(options: Node[], at: Walk): Filled {
  const types = options.flatMap(typesOf);
  const confidence = at.facts.confidence;
  const some = (value: string | number | boolean | null): Filled => ({ kind: "value", value, confidence });
  const allowed = options.flatMap((node) => (Array.isArray(node.enum) ? node.enum : []));
  if (types.includes("null") || allowed.includes(null) || options.length === 0) return some(null);
  if (options.some((node) => isObject(node))) return { kind: "object", entries: [] };
  if (types.includes("array")) return { kind: "array", items: [] };
  const fixed = allowed[0] ?? options.find((node) => node.const !== undefined)?.const;
  if (typeof fixed === "string" || typeof fixed === "number" || typeof fixed === "boolean")
    return some(fixed);
  if (types.includes("string")) return some("");
  if (types.includes("number") || types.includes("integer")) return some(0);
  if (types.includes("boolean")) return some(false);
  return some(null);
}

import { formOf } from "./forms.ts";
import { annotations, applicators, keywordsByType, refusal } from "./keywords.ts";
import { endless, targetOf } from "./references.ts";
import type { JsonSchema } from "./schema.ts";
import { isSmall, visitValues } from "./values.ts";

/**
 * The portable subset of JSON Schema: what xgrammar, guidance, outlines, SGLang and llama.cpp all turn into a grammar.
 * Outside of it, a server silently changes its backend, ignores keywords that it does not know, answers 400, or crashes
 * for all callers (vllm-project/vllm issues 17248, 43920, 52011). A test checks our own tasks, and a caller's
 * `schema_override` is checked before it is sent. A schema is untrusted until it has passed: every loop is bounded.
 */

/** JSON text of the whole schema; the largest task of ours has 2,000. */
const maxSchemaBytes = 64 * 1024;
/** Schemas within schemas; grammars grow with the depth, and no document nests deeper. */
export const maxDepth = 10;
/** Schemas altogether. */
export const maxNodes = 1000;
/** Keywords of one schema: more than JSON Schema has, with OpenAPI's. */
const maxKeywords = 100;
/** Fields of one object. */
const maxProperties = 100;
/** Branches of one anyOf, and anyOf in the whole schema: alternatives multiply in the grammar. */
const maxBranches = 8;
const maxAlternatives = 20;
/** Bounds of lists: a grammar repeats its rule this often. */
const maxListLength = 1000;
const maxDescriptionLength = 1000;
/** Enough mistakes to begin with; further ones are not reported. */
export const maxIssues = 50;

/** Names that every engine and every language supports; this also excludes `__proto__` and similar names. */
const fieldName = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const refusedNames = new Set(["constructor", "prototype", "hasOwnProperty", "toString", "valueOf"]);
const numeric = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] as const;

interface SchemaIssue {
  /** The place in the schema: `properties.items.items`; an invalid name is replaced by its position. */
  path: string;
  message: string;
}

interface Portable {
  /** The reasons why the schema cannot be sent; the other results count only if this is empty. */
  issues: SchemaIssue[];
  /** The schema that is sent: without annotations, and without what is checked here. */
  model: JsonSchema;
  /** The schema that answers are checked against: everything that the caller's schema asserts, and nothing else. */
  checked: JsonSchema;
}

/**
 * Turns a caller's schema into the portable subset, or reports every reason why that is impossible, of all levels at
 * once. Any input is handled in bounded time: cyclic, deep, wide, or no schema at all. Messages name keywords and
 * limits, never values. Nothing is compiled, and no pattern is matched.
 *
 * Changed are: nullable `anyOf` (zod's) into a list of types; `$schema` and other annotations, lengths, our own
 * formats and those that servers distort, and patterns that zod adds by itself are left out of `model`.
 */
export function portable(schema: unknown): Portable {
  const walk = new Walk(schema);
  if (!isNode(schema)) {
    walk.report("", "must be a JSON Schema object");
    return { issues: walk.issues, model: {}, checked: {} };
  }
  // The walk comes first: it ends at its limits, even for input on which JSON.stringify would not (cycles, depth).
  const { model, checked } = walk.whole(schema);
  if (walk.issues.length === 0 && Buffer.byteLength(JSON.stringify(schema)) > maxSchemaBytes)
    walk.report("", `is larger than ${maxSchemaBytes} bytes`);
  return { issues: walk.issues, model, checked };
}

/** The current place of the lint in the schema. */
interface Place {
  path: string;
  depth: number;
}

type Node = Record<string, unknown>;
type Pair = Pick<Portable, "model" | "checked">;

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function join(path: string, step: string): string {
  return path === "" ? step : `${path}.${step}`;
}

const containers = ["$defs", "definitions"] as const;
const isAnnotation = (keyword: string) => annotations.has(keyword) || keyword === "description";

class Walk {
  readonly issues: SchemaIssue[] = [];
  readonly #root: JsonSchema;
  #nodes = 0;
  #alternatives = 0;
  /** Within a refused part, report only keywords that must not occur there. */
  #fragment = false;
  readonly #targets = new Map<string, Pair>();
  /** The path of each reference's first use. */
  readonly #usedAt = new Map<string, string>();

  constructor(root: unknown) {
    this.#root = isNode(root) ? root : {};
  }

  report(path: string, message: string): void {
    if (!this.#fragment && this.issues.length < maxIssues) this.issues.push({ path, message });
  }

  #refuse(path: string, keyword: string): void {
    if (this.issues.length < maxIssues) this.issues.push({ path, message: refusal(keyword) });
  }

  whole(schema: Node): Pair {
    const pair: Pair = { model: {}, checked: {} };
    this.#targets.set("#", pair);
    Object.assign(pair, this.visit(schema, "", 1));
    const named = typeof pair.model.$ref === "string" ? this.#targets.get(pair.model.$ref) : undefined;
    const root: Pair = { model: { ...(named ?? pair).model }, checked: { ...(named ?? pair).checked } };
    if (this.issues.length > 0) return root;
    if (root.model.type !== "object") this.report("", "the outermost type must be object");
    const models = new Map([...this.#targets].map(([reference, { model }]) => [reference, model]));
    for (const reference of endless(models))
      this.report(this.#usedAt.get(reference) ?? "", "$ref leads to itself without an end: allow null there");
    for (const container of containers) {
      const prefix = `#/${container}/`;
      const used = [...this.#targets].filter(([reference]) => reference.startsWith(prefix));
      for (const kind of ["model", "checked"] as const)
        if (used.length > 0)
          root[kind][container] = Object.fromEntries(
            used.map(([reference, target]) => [reference.slice(prefix.length), target[kind]]),
          );
    }
    return root;
  }

  visit(value: unknown, path: string, depth: number): Pair {
    const pair: Pair = { model: {}, checked: {} };
    this.#nodes += 1;
    if (this.#nodes > maxNodes || this.issues.length >= maxIssues) {
      if (this.#nodes === maxNodes + 1) this.report("", `has more than ${maxNodes} schemas`);
    } else if (!isNode(value)) this.report(path, "must be a schema object; true and false are not portable");
    else if (depth > maxDepth) this.report(path, `is nested deeper than ${maxDepth} schemas`);
    else this.#visitNode(value, path, depth, pair);
    return pair;
  }

  #visitNode(value: Node, path: string, depth: number, pair: Pair): void {
    const top = value === this.#root;
    const all = Object.keys(value);
    if (all.length > maxKeywords) {
      this.report(path, "has more keywords than JSON Schema has");
      return;
    }
    const keywords = top ? all.filter((keyword) => !containers.some((each) => each === keyword)) : all;
    const foreign = keywords.filter((keyword) => !isAnnotation(keyword) && !isKnown(keyword));
    for (const keyword of foreign.slice(0, maxIssues)) this.#refuse(path, keyword);
    for (const keyword of keywords.filter((each) => annotations.has(each)))
      if (!isSmall(value[keyword], maxNodes, maxDepth))
        this.report(path, `${keyword} is larger than it may be`);
    const { description } = value;
    if (description !== undefined) {
      if (typeof description === "string" && description.length <= maxDescriptionLength)
        pair.model.description = description;
      else this.report(path, `description must be a text of at most ${maxDescriptionLength} characters`);
    }
    this.#visitRefused(value, path, depth);
    const asserted = keywords.filter(isKnown);
    const applied = applicators.find((keyword) => value[keyword] !== undefined);
    if (applied !== undefined) {
      if (asserted.length > 1) this.report(path, `${applied} stands alone, beside a description at most`);
      if (applied === "$ref") this.#visitReference(value.$ref, path, pair);
      else this.#visitAlternatives(value[applied], applied, { path, depth }, pair);
    } else if (asserted.length > 0) this.#visitTyped(value, asserted, { path, depth }, pair);
    else if (foreign.length === 0)
      this.report(path, "is empty: it allows anything, and models then write endlessly");
  }

  /** A refused part may have further mistakes: all are reported at once. */
  #visitRefused({ allOf }: Node, path: string, depth: number): void {
    if (!Array.isArray(allOf)) return;
    const before = this.#fragment;
    this.#fragment = true;
    for (const [index, part] of allOf.slice(0, maxBranches).entries())
      this.visit(part, join(path, `allOf[${index}]`), depth + 1);
    this.#fragment = before;
  }

  #visitReference(reference: unknown, path: string, pair: Pair): void {
    const target = targetOf(this.#root, reference);
    if (typeof reference !== "string" || target === undefined) {
      this.report(path, "$ref must name a schema of this document: #/$defs/name, #/definitions/name or #");
      return;
    }
    // A reference becomes a rule of the grammar, which cannot have a description.
    pair.model = { $ref: reference };
    pair.checked = { $ref: reference };
    if (!this.#usedAt.has(reference)) this.#usedAt.set(reference, path);
    if (this.#targets.has(reference)) return;
    const found: Pair = { model: {}, checked: {} };
    this.#targets.set(reference, found);
    Object.assign(found, this.visit(target, reference.slice(2).replace("/", "."), 1));
  }

  #visitAlternatives(list: unknown, keyword: "anyOf" | "oneOf", { path, depth }: Place, pair: Pair): void {
    if (!Array.isArray(list) || list.length < 2 || list.length > maxBranches) {
      this.report(path, `${keyword} must be a list of 2 to ${maxBranches} schemas`);
      return;
    }
    const branches: unknown[] = list;
    const nullAt = branches.length === 2 ? branches.findIndex(isNull) : -1;
    if (nullAt !== -1) {
      const other = 1 - nullAt;
      const inner = this.visit(branches[other], join(path, `${keyword}[${other}]`), depth);
      if (inner.model.type !== undefined) {
        pair.model = { ...nullable(inner.model), ...pair.model };
        pair.checked = nullable(inner.checked);
        return;
      }
      this.#alternate(keyword, [inner, { model: { type: "null" }, checked: { type: "null" } }], path, pair);
      return;
    }
    const visited = branches.map((branch, index) =>
      this.visit(branch, join(path, `${keyword}[${index}]`), depth + 1),
    );
    this.#alternate(keyword, visited, path, pair);
  }

  #alternate(keyword: "anyOf" | "oneOf", branches: Pair[], path: string, pair: Pair): void {
    this.#alternatives += 1;
    if (this.#alternatives > maxAlternatives)
      this.report(path, `has more than ${maxAlternatives} anyOf and oneOf`);
    pair.model[keyword] = branches.map(({ model }) => model);
    pair.checked[keyword] = branches.map(({ checked }) => checked);
  }

  #visitTyped(node: Node, asserted: string[], { path, depth }: Place, pair: Pair): void {
    const types = this.#typesOf(node, path);
    if (types === undefined) return;
    const allowed = new Set(types.flatMap((type) => keywordsByType[type] ?? []));
    for (const keyword of asserted)
      if (keyword !== "type" && !allowed.has(keyword))
        this.report(path, `${keyword} does not go with type ${types.join(", ")}`);
    for (const keyword of asserted) {
      if (["format", "pattern", "contentEncoding"].includes(keyword)) continue;
      pair.checked[keyword] = node[keyword];
      if (keyword !== "minLength" && keyword !== "maxLength") pair.model[keyword] = node[keyword];
    }
    pair.model.type ??= types.length === 1 ? types[0] : types;
    pair.checked.type ??= pair.model.type;
    if (types.includes("object")) this.#visitObject(node, path, depth, pair);
    if (types.includes("array")) this.#visitArray(node, path, depth, pair);
    if (types.includes("string")) this.#visitString(node, path, pair);
    this.#visitNumber(node, types, path, pair);
    visitValues(node, types, (message) => this.report(path, message));
  }

  /** The types, also if only values imply them; undefined, after a report, if there are none. */
  #typesOf({ type, ...rest }: Node, path: string): string[] | undefined {
    const values = Array.isArray(rest.enum) ? rest.enum.slice(0, maxNodes) : [rest.const];
    const given: unknown[] =
      type === undefined && ("enum" in rest || "const" in rest)
        ? [...new Set(values.map(typeOfValue))]
        : Array.isArray(type)
          ? type
          : [type];
    const known = (name: unknown): name is string =>
      typeof name === "string" && Object.hasOwn(keywordsByType, name);
    const few = given.length > 0 && given.length <= Object.keys(keywordsByType).length;
    if (few && given.every(known) && new Set(given).size === given.length) return given;
    this.report(
      path,
      'type must be object, array, string, number, integer, boolean or null, or a list of them: ["string","null"]',
    );
    return undefined;
  }

  #visitObject(node: Node, path: string, depth: number, pair: Pair): void {
    const { properties, required = [] } = node;
    if (node.additionalProperties !== false) this.report(path, "additionalProperties must be false");
    const names = isNode(properties) ? Object.keys(properties) : [];
    if (!isNode(properties) || names.length === 0) {
      this.report(path, "an object needs at least one property");
      return;
    }
    if (names.length > maxProperties) {
      this.report(path, `has more than ${maxProperties} properties`);
      return;
    }
    const listed =
      Array.isArray(required) && required.length <= names.length ? new Set<unknown>(required) : undefined;
    const own = new Set<unknown>(names);
    const isList =
      listed?.size === (required as unknown[]).length && [...listed].every((name) => own.has(name));
    if (!isList) this.report(path, "required must list names of properties, each once");
    const visited: [string, Pair][] = [];
    for (const [index, name] of names.entries()) {
      if (fieldName.test(name) && !refusedNames.has(name))
        visited.push([name, this.visit(properties[name], join(path, `properties.${name}`), depth + 1)]);
      else
        this.report(
          join(path, `properties[${index}]`),
          "a name is a letter, then at most 63 letters, digits, _ . -",
        );
    }
    pair.model.properties = Object.fromEntries(visited.map(([name, { model }]) => [name, model]));
    pair.checked.properties = Object.fromEntries(visited.map(([name, { checked }]) => [name, checked]));
  }

  #visitArray(node: Node, path: string, depth: number, pair: Pair): void {
    this.#visitBounds(node, ["minItems", "maxItems"], path);
    const { items, prefixItems } = node;
    if (prefixItems !== undefined) {
      if (Array.isArray(prefixItems) && prefixItems.length > 0 && prefixItems.length <= maxBranches) {
        const visited = prefixItems.map((each, index) =>
          this.visit(each, join(path, `prefixItems[${index}]`), depth + 1),
        );
        pair.model.prefixItems = visited.map(({ model }) => model);
        pair.checked.prefixItems = visited.map(({ checked }) => checked);
      } else this.report(path, `prefixItems must be a list of 1 to ${maxBranches} schemas`);
      if (items === undefined || items === false) return;
    }
    if (items === undefined) this.report(path, "an array needs items");
    else if (Array.isArray(items)) {
      this.report(path, "items must be one schema: use prefixItems with items: false");
      for (const [index, each] of items.slice(0, maxBranches).entries())
        this.visit(each, join(path, `items[${index}]`), depth + 1);
    } else {
      const visited = this.visit(items, join(path, "items"), depth + 1);
      pair.model.items = visited.model;
      pair.checked.items = visited.checked;
    }
  }

  #visitString(node: Node, path: string, pair: Pair): void {
    this.#visitBounds(node, ["minLength", "maxLength"], path);
    const { sent, checked, refused } = formOf(node);
    Object.assign(pair.model, sent);
    Object.assign(pair.checked, checked);
    for (const { keyword, message } of refused)
      if (message === undefined) this.#refuse(path, keyword);
      else this.report(path, message);
  }

  #visitBounds(node: Node, [least, most]: readonly [string, string], path: string): void {
    const limit = least === "minItems" ? maxListLength : maxSchemaBytes;
    for (const keyword of [least, most]) {
      const bound = node[keyword];
      const fits = typeof bound === "number" && Number.isInteger(bound) && bound >= 0 && bound <= limit;
      if (bound !== undefined && !fits) this.report(path, `${keyword} must be a whole number up to ${limit}`);
    }
    if (Number(node[least]) > Number(node[most])) this.report(path, `${least} is greater than ${most}`);
  }

  #visitNumber(node: Node, types: string[], path: string, pair: Pair): void {
    for (const keyword of numeric) {
      const bound = node[keyword];
      if (bound === undefined) continue;
      if (typeof bound !== "number" || !Number.isFinite(bound))
        this.report(path, `${keyword} must be a number`);
      else if (types.includes("integer") && !types.includes("number") && !Number.isInteger(bound))
        this.report(path, `${keyword} must be whole`);
      // No grammar counts that far (zod's float64): for the check afterwards it is a bound like another.
      else if (Math.abs(bound) > Number.MAX_SAFE_INTEGER) delete pair.model[keyword];
    }
    if (Number(node.minimum) > Number(node.maximum)) this.report(path, "minimum is greater than maximum");
  }
}

const known = new Set<string>(["type", ...applicators, ...Object.values(keywordsByType).flat()]);
const isKnown = (keyword: string) => known.has(keyword);

function isNull(schema: unknown): boolean {
  if (!isNode(schema)) return false;
  const keywords = Object.keys(schema).filter((keyword) => !isAnnotation(keyword));
  return keywords.length === 1 && (schema.type === "null" || schema.const === null);
}

/** The same schema, and null. */
function nullable(schema: JsonSchema): JsonSchema {
  const types = [schema.type].flat();
  const { const: only, enum: values, ...rest } = schema;
  const listed = values ?? (only === undefined ? undefined : [only]);
  const all = Array.isArray(listed) && !listed.includes(null) ? [...listed, null] : listed;
  return {
    ...rest,
    type: types.includes("null") ? types : [...types, "null"],
    ...(all === undefined ? {} : { enum: all }),
  };
}

function typeOfValue(value: unknown): string {
  if (value === null) return "null";
  return typeof value;
}

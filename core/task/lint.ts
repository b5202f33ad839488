/**
 * The portable subset of JSON Schema: what xgrammar, guidance, outlines, SGLang and llama.cpp all turn into a
 * grammar. Outside of it a server silently changes its backend, answers 400, or, on bad days, dies for
 * everybody (vllm-project/vllm issues 17248, 43920, 52011). Our own tasks are held to it in a test, a caller's
 * `schema_override` before it is sent. A schema is hostile until it has passed: every loop here is bounded.
 */

/** JSON text of the whole schema; the largest task of ours has 2,000. */
export const maxSchemaBytes = 64 * 1024;
/** Schemas within schemas; grammars grow with the depth, and no document nests deeper. */
export const maxDepth = 10;
/** Schemas altogether. */
export const maxNodes = 1000;
/** Fields of one object. */
export const maxProperties = 100;
/** Values of one enum, and how long each may be. */
export const maxEnumValues = 100;
export const maxEnumLength = 200;
/** Branches of one anyOf, and anyOf in the whole schema: alternatives multiply in the grammar. */
export const maxBranches = 8;
export const maxAlternatives = 20;
/** Bounds of lists: a grammar repeats its rule this often. */
export const maxListLength = 1000;
export const maxDescriptionLength = 1000;
/** The first mistakes are enough to go on. */
export const maxIssues = 50;

/** xgrammar's string formats (vLLM's own list of what it supports); ours (`x-money`) are not among them. */
const portableFormats = new Set([
  "email",
  "date",
  "time",
  "date-time",
  "duration",
  "ipv4",
  "ipv6",
  "hostname",
  "uuid",
  "uri",
  "uri-reference",
  "uri-template",
  "json-pointer",
  "relative-json-pointer",
]);

const keywordsByType: Record<string, readonly string[]> = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "minItems", "maxItems"],
  string: ["format", "enum", "const"],
  number: ["minimum", "maximum", "enum", "const"],
  integer: ["minimum", "maximum", "enum", "const"],
  boolean: ["enum", "const"],
  null: ["const"],
};
const knownKeywords = new Set([...Object.values(keywordsByType).flat(), "type", "description", "anyOf"]);

/** Names that every engine and every language can carry; also keeps `__proto__` and its like out. */
const fieldName = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const refusedNames = new Set(["constructor", "prototype", "hasOwnProperty", "toString", "valueOf"]);

export interface SchemaIssue {
  /** Where in the schema: `properties.items.items`; a name that may not be one is given by its position. */
  path: string;
  message: string;
}

interface Walk {
  issues: SchemaIssue[];
  nodes: number;
  alternatives: number;
}

type Node = Record<string, unknown>;

/**
 * What keeps a schema from being sent to a model server; empty when nothing does. Any input is answered, in
 * time bounded by the limits above: cyclic, deep, wide, or no schema at all. Messages name keywords and
 * limits, never values. Nothing is compiled or matched: `pattern` and `$ref` are refused by name.
 */
export function lintModelSchema(schema: unknown): SchemaIssue[] {
  const walk: Walk = { issues: [], nodes: 0, alternatives: 0 };
  if (!isNode(schema)) return [{ path: "", message: "must be a JSON Schema object" }];
  // The walk first: it ends at its limits even where JSON.stringify would not (cycles, depth).
  visit(schema, "", 1, walk);
  if (walk.issues.length === 0) {
    if (schema.type !== "object") report(walk, "", "the outermost type must be object");
    if (Buffer.byteLength(JSON.stringify(schema)) > maxSchemaBytes) {
      report(walk, "", `is larger than ${maxSchemaBytes} bytes`);
    }
  }
  return walk.issues;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function report(walk: Walk, path: string, message: string): void {
  if (walk.issues.length < maxIssues) walk.issues.push({ path, message });
}

function join(path: string, step: string): string {
  return path === "" ? step : `${path}.${step}`;
}

function visit(value: unknown, path: string, depth: number, walk: Walk): void {
  walk.nodes += 1;
  if (walk.nodes > maxNodes || walk.issues.length >= maxIssues) {
    if (walk.nodes === maxNodes + 1) report(walk, "", `has more than ${maxNodes} schemas`);
    return;
  }
  if (!isNode(value)) {
    report(walk, path, "must be a schema object; true and false are not portable");
    return;
  }
  if (depth > maxDepth) {
    report(walk, path, `is nested deeper than ${maxDepth} schemas`);
    return;
  }
  const keywords = Object.keys(value);
  if (keywords.length === 0) {
    report(walk, path, "is empty: it allows anything, and models then write endlessly");
    return;
  }
  const unknown = keywords.filter((keyword) => !knownKeywords.has(keyword));
  for (const keyword of unknown.slice(0, maxIssues)) report(walk, path, refusal(keyword));
  if (unknown.length > 0) return;
  if (value.description !== undefined && !isShort(value.description, maxDescriptionLength)) {
    report(walk, path, `description must be a text of at most ${maxDescriptionLength} characters`);
  }
  if (value.anyOf !== undefined) {
    visitAlternatives(value, path, depth, walk);
    return;
  }
  const type = typeOf(value, path, walk);
  if (type === undefined) return;
  const misplaced = keywords.find(
    (keyword) => keyword !== "type" && keyword !== "description" && !keywordsByType[type]?.includes(keyword),
  );
  if (misplaced !== undefined) report(walk, path, `${misplaced} does not go with type ${type}`);
  else if (type === "object") visitObject(value, path, depth, walk);
  else if (type === "array") visitArray(value, path, depth, walk);
  else visitScalar(value, type, path, walk);
}

/** Words of JSON Schema may be repeated to the caller; anything else may be content. */
const refused: Record<string, string> = {
  $ref: "write the schema out in place",
  $defs: "write the schemas out in place",
  definitions: "write the schemas out in place",
  $schema: "leave it out",
  $id: "leave it out",
  title: "leave it out",
  examples: "leave it out",
  default: "leave it out",
  pattern: "check the form after the answer",
  minLength: "check lengths after the answer",
  maxLength: "check lengths after the answer",
  oneOf: "use anyOf",
  allOf: "merge the schemas",
  nullable: 'use a list of types: ["string","null"]',
  patternProperties: "name the properties",
  propertyNames: "name the properties",
  multipleOf: "check it after the answer",
  uniqueItems: "check it after the answer",
  exclusiveMinimum: "use minimum",
  exclusiveMaximum: "use maximum",
  prefixItems: "use an object",
};

function refusal(keyword: string): string {
  const advice = Object.hasOwn(refused, keyword) ? refused[keyword] : undefined;
  return advice === undefined
    ? "has a keyword outside the portable subset"
    : `${keyword} is outside the portable subset: ${advice}`;
}

function isShort(value: unknown, limit: number): value is string {
  return typeof value === "string" && value.length <= limit;
}

/** The one type besides null; undefined, and reported, when there is none. */
function typeOf({ type }: Node, path: string, walk: Walk): string | undefined {
  if (type === "null") return type;
  const [one, more] = Array.isArray(type) && type.length === 2 ? [type[0], type[1]] : [type, "null"];
  const [name, other] = one === "null" ? [more, one] : [one, more];
  if (
    typeof name === "string" &&
    name !== "null" &&
    other === "null" &&
    Object.hasOwn(keywordsByType, name)
  ) {
    return name;
  }
  report(
    walk,
    path,
    'type must be object, array, string, number, integer, boolean or null, or one of them with null: ["string","null"]',
  );
  return undefined;
}

function visitObject(node: Node, path: string, depth: number, walk: Walk): void {
  const { properties, required } = node;
  if (node.additionalProperties !== false) report(walk, path, "additionalProperties must be false");
  if (!isNode(properties)) {
    report(walk, path, "an object needs properties");
    return;
  }
  const names = Object.keys(properties);
  if (names.length === 0) {
    report(walk, path, "an object needs at least one property");
    return;
  }
  if (names.length > maxProperties) {
    report(walk, path, `has more than ${maxProperties} properties`);
    return;
  }
  const listed =
    Array.isArray(required) && required.length === names.length ? new Set<unknown>(required) : undefined;
  if (!names.every((name) => listed?.has(name)))
    report(walk, path, "required must list every property once; use null for what may be missing");
  for (const [index, name] of names.entries()) {
    if (fieldName.test(name) && !refusedNames.has(name)) {
      visit(properties[name], join(path, `properties.${name}`), depth + 1, walk);
    } else {
      report(
        walk,
        join(path, `properties[${index}]`),
        "a name is a letter, then at most 63 letters, digits, _ . -",
      );
    }
  }
}

function visitArray(node: Node, path: string, depth: number, walk: Walk): void {
  const { minItems, maxItems } = node;
  for (const [keyword, bound] of Object.entries({ minItems, maxItems })) {
    const fits = typeof bound === "number" && Number.isInteger(bound) && bound >= 0 && bound <= maxListLength;
    if (bound !== undefined && !fits)
      report(walk, path, `${keyword} must be a whole number up to ${maxListLength}`);
  }
  if (typeof minItems === "number" && typeof maxItems === "number" && minItems > maxItems) {
    report(walk, path, "minItems is greater than maxItems");
  }
  if (node.items === undefined) {
    report(walk, path, "an array needs items");
    return;
  }
  visit(node.items, join(path, "items"), depth + 1, walk);
}

function visitScalar(node: Node, type: string, path: string, walk: Walk): void {
  const { format, minimum, maximum } = node;
  if (format !== undefined && !(typeof format === "string" && portableFormats.has(format))) {
    report(walk, path, "format is not one that every engine knows");
  }
  for (const [keyword, bound] of Object.entries({ minimum, maximum })) {
    const fits =
      typeof bound === "number" && Number.isFinite(bound) && Math.abs(bound) <= Number.MAX_SAFE_INTEGER;
    if (bound !== undefined && !fits) report(walk, path, `${keyword} must be a number within ±2^53`);
    else if (bound !== undefined && type === "integer" && !Number.isInteger(bound))
      report(walk, path, `${keyword} must be whole`);
  }
  if (typeof minimum === "number" && typeof maximum === "number" && minimum > maximum) {
    report(walk, path, "minimum is greater than maximum");
  }
  visitValues(node, type, path, walk);
}

function visitValues(node: Node, type: string, path: string, walk: Walk): void {
  if (node.enum !== undefined && node.const !== undefined) {
    report(walk, path, "enum and const exclude each other");
    return;
  }
  if (node.const !== undefined && !isValue(node.const, node, type))
    report(walk, path, "const must be a short value of the type");
  if (node.enum === undefined) return;
  if (!Array.isArray(node.enum) || node.enum.length === 0 || node.enum.length > maxEnumValues) {
    report(walk, path, `enum must be a list of 1 to ${maxEnumValues} values`);
    return;
  }
  const values: unknown[] = node.enum;
  if (!values.every((value) => isValue(value, node, type))) {
    report(walk, path, `enum may only hold values of the type, texts of at most ${maxEnumLength} characters`);
  } else if (new Set(values).size !== values.length) {
    report(walk, path, "enum has a value twice");
  } else if (Array.isArray(node.type) && !values.includes(null)) {
    report(walk, path, "enum must hold null where the type allows null");
  }
}

function isValue(value: unknown, node: Node, type: string): boolean {
  if (value === null) return type === "null" || Array.isArray(node.type);
  if (type === "string") return isShort(value, maxEnumLength);
  if (type === "integer") return Number.isSafeInteger(value);
  return typeof value === type && (typeof value !== "number" || Number.isFinite(value));
}

function visitAlternatives(node: Node, path: string, depth: number, walk: Walk): void {
  walk.alternatives += 1;
  if (walk.alternatives > maxAlternatives) {
    report(walk, path, `has more than ${maxAlternatives} anyOf`);
    return;
  }
  const { anyOf } = node;
  if (Object.keys(node).some((keyword) => keyword !== "anyOf" && keyword !== "description")) {
    report(walk, path, "anyOf stands alone, beside a description at most");
    return;
  }
  if (!Array.isArray(anyOf) || anyOf.length < 2 || anyOf.length > maxBranches) {
    report(walk, path, `anyOf must be a list of 2 to ${maxBranches} schemas`);
    return;
  }
  const branches: unknown[] = anyOf;
  if (branches.length === 2 && branches.some((branch) => isNode(branch) && branch.type === "null")) {
    report(walk, path, 'anyOf with null: use a list of types, ["string","null"]');
  }
  for (const [index, branch] of branches.entries())
    visit(branch, join(path, `anyOf[${index}]`), depth + 1, walk);
}

import type { JsonSchema } from "./schema.ts";

/*
 * Schemas that refer to themselves, after rewriting. A grammar made of them must end, and must not begin with itself:
 * either fault crashes model servers, or keeps a model writing until its tokens are used up.
 */

/** Names that a reference may end in; zod writes `__schema0`. */
const referenceForm = /^#(?:\/(?:\$defs|definitions)\/(?!__proto__$)([A-Za-z0-9_.-]{1,64}))?$/;

/** The schema that a reference within the document names; undefined if there is none. */
export function targetOf(root: JsonSchema, reference: unknown): unknown {
  if (typeof reference !== "string") return undefined;
  const name = referenceForm.exec(reference);
  if (name === null) return undefined;
  if (name[1] === undefined) return root;
  const holder = reference.startsWith("#/$defs/") ? root.$defs : root.definitions;
  if (typeof holder !== "object" || holder === null || !Object.hasOwn(holder, name[1])) return undefined;
  return (holder as JsonSchema)[name[1]];
}

type Targets = ReadonlyMap<string, JsonSchema>;

/**
 * References of a rewritten schema whose targets are endless (an object that must contain itself) or begin with
 * themselves (an `anyOf` of itself). `targets`: the target of each reference.
 */
export function endless(targets: Targets): string[] {
  const finite = new Set<string>();
  for (let before = -1; before !== finite.size; ) {
    before = finite.size;
    for (const [reference, schema] of targets) if (ends(schema, finite)) finite.add(reference);
  }
  return [...targets.keys()].filter(
    (reference) => !finite.has(reference) || beginsWith(reference, reference, targets, new Set()),
  );
}

const branchesOf = (schema: JsonSchema) => (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;

function ends(schema: JsonSchema, finite: ReadonlySet<string>): boolean {
  if (typeof schema.$ref === "string") return finite.has(schema.$ref);
  const branches = branchesOf(schema);
  if (branches !== undefined) return branches.some((branch) => ends(branch, finite));
  const types = [schema.type].flat();
  if (types.some((type) => type !== "object" && type !== "array")) return true;
  if (types.includes("array") && endsAsList(schema, finite)) return true;
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return types.includes("object") && required.every((name) => ends(properties[name] ?? {}, finite));
}

function endsAsList(schema: JsonSchema, finite: ReadonlySet<string>): boolean {
  const {
    prefixItems = [],
    items,
    minItems = 0,
  } = schema as {
    prefixItems?: JsonSchema[];
    items?: JsonSchema | false;
    minItems?: number;
  };
  const needed = prefixItems.slice(0, minItems);
  if (minItems > prefixItems.length && items) needed.push(items);
  return needed.every((item) => ends(item, finite));
}

function beginsWith(wanted: string, at: string, targets: Targets, seen: Set<string>): boolean {
  const direct = (schema: JsonSchema): boolean => {
    if (typeof schema.$ref === "string") {
      if (schema.$ref === wanted) return true;
      if (seen.has(schema.$ref)) return false;
      seen.add(schema.$ref);
      return beginsWith(wanted, schema.$ref, targets, seen);
    }
    return branchesOf(schema)?.some(direct) ?? false;
  };
  const schema = targets.get(at);
  return schema !== undefined && direct(schema);
}

/** Values of one enum, and how long each may be. */
const maxEnumValues = 100;
const maxEnumLength = 200;

/** Checks a schema's `enum` and `const`, which may contain texts, numbers, booleans and null that fit its types. */
export function visitValues(
  node: Record<string, unknown>,
  types: readonly string[],
  report: (message: string) => void,
): void {
  if (node.enum !== undefined && node.const !== undefined) {
    report("enum and const exclude each other");
    return;
  }
  if (node.const !== undefined && !isValue(node.const, types))
    report("const must be a short value of the type");
  if (node.enum === undefined) return;
  if (!Array.isArray(node.enum) || node.enum.length === 0 || node.enum.length > maxEnumValues) {
    report(`enum must be a list of 1 to ${maxEnumValues} values`);
    return;
  }
  const values: unknown[] = node.enum;
  if (!values.every((value) => isValue(value, types)))
    report(`enum may only hold values of the type, texts of at most ${maxEnumLength} characters`);
  else if (new Set(values).size !== values.length) report("enum has a value twice");
  else if (types.length > 1 && types.includes("null") && !values.includes(null))
    report("enum must hold null where the type allows null");
}

function isValue(value: unknown, types: readonly string[]): boolean {
  if (value === null) return types.includes("null");
  if (typeof value === "string") return types.includes("string") && value.length <= maxEnumLength;
  if (typeof value === "boolean") return types.includes("boolean");
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  return types.includes("number") || (types.includes("integer") && Number.isSafeInteger(value));
}

/** Checks annotations: their size must be harmless to keep and to hash. */
export function isSmall(value: unknown, maxValues: number, maxDepth: number): boolean {
  let left = maxValues;
  const visit = (each: unknown, depth: number): boolean => {
    left -= 1;
    if (left < 0 || depth > maxDepth) return false;
    if (typeof each !== "object" || each === null) return true;
    return Object.values(each).every((inner) => visit(inner, depth + 1));
  };
  return visit(value, 1);
}

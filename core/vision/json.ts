export type JsonObject = Record<string, unknown>;

export type Extracted = { ok: true; value: JsonObject } | { ok: false; reason: InvalidReason };

export type InvalidReason =
  | "empty"
  /** No object in it at all. */
  | "no_object"
  /** An object that is never closed, or a brace too many. */
  | "half_object"
  | "two_objects"
  /** Braces around something that is not JSON. */
  | "invalid_json"
  /** An array, or the object inside of one. */
  | "not_an_object"
  /** The same name twice: which of the two values was read is unknown. */
  | "duplicate_key"
  /** `__proto__` as a name: nothing a receipt says, and a trap for whoever copies the object. */
  | "unsafe_key"
  | "too_deep";

const maxDepth = 64;

/**
 * The one JSON object in a model's answer. Code fences and prose around it are tolerated; a second object, half an
 * object, an array, a duplicate name are not: each leaves open what the model meant.
 *
 * Numbers that JavaScript would change (beyond 2^53, more than 17 digits, 1e999) come back as the text that was
 * written: a digit is never altered silently, and the schema check reports the type.
 */
export function extractJson(text: string): Extracted {
  if (text.trim() === "") return { ok: false, reason: "empty" };
  let found: { start: number; end: number } | undefined;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "}") return { ok: false, reason: found === undefined ? "invalid_json" : "half_object" };
    if (character !== "{") continue;
    const scanned = scanObject(text, at);
    if (typeof scanned === "string") return { ok: false, reason: scanned };
    if (found !== undefined) return { ok: false, reason: "two_objects" };
    found = { start: at, end: scanned };
    at = scanned - 1;
  }
  if (found === undefined) return { ok: false, reason: isJson(text) ? "not_an_object" : "no_object" };
  const before = text.slice(0, found.start).trimEnd();
  const after = text.slice(found.end).trimStart();
  if (before.endsWith("[") && /^[\],]/.test(after)) return { ok: false, reason: "not_an_object" };
  try {
    return { ok: true, value: JSON.parse(text.slice(found.start, found.end), keepDigits) as JsonObject };
  } catch {
    return { ok: false, reason: "invalid_json" };
  }
}

/**
 * Walks over one object, from its brace to behind its last, and looks at its names on the way. JSON.parse is the
 * judge of the syntax; this only finds the end and what JSON.parse would accept in silence.
 */
function scanObject(text: string, start: number): number | InvalidReason {
  /** One entry an open bracket: the names seen so far, or undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") {
      if (open.length >= maxDepth) return "too_deep";
      open.push(character === "{" ? new Set() : undefined);
    } else if (character === "}" || character === "]") {
      const closed = open.pop();
      if ((closed === undefined) !== (character === "]")) return "invalid_json";
      if (open.length === 0) return at + 1;
    } else if (character === '"') {
      const end = endOfString(text, at);
      if (end === undefined) return "half_object";
      const names = open.at(-1);
      if (names !== undefined && /^\s*:/.test(text.slice(end, end + 32))) {
        const name = parseString(text.slice(at, end));
        if (name === undefined) return "invalid_json";
        if (name === "__proto__") return "unsafe_key";
        if (names.has(name)) return "duplicate_key";
        names.add(name);
      }
      at = end - 1;
    }
  }
  return "half_object";
}

function endOfString(text: string, start: number): number | undefined {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return undefined;
}

function parseString(literal: string): string | undefined {
  try {
    return String(JSON.parse(literal));
  } catch {
    return undefined;
  }
}

/** Reviver with source access (ES2026, in Node since 22): a number that does not survive stays text. */
function keepDigits(_name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value;
  const digits = context.source
    .replace(/[eE].*$/, "")
    .replace(/[-.]/g, "")
    .replace(/^0+/, "");
  if (Number.isFinite(value) && (digits.length <= 15 || String(value) === context.source)) return value;
  return context.source;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

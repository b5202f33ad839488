import { expand, TooMany } from "./braces.ts";
import { parse, type Segment, TooHard } from "./segment.ts";

/*
 * Patterns for paths, as in a shell: braces, `*`, `?`, `[…]`, `[!…]`, `**` as a whole name, `@(a|b)` and the other
 * extended patterns, and `\` as escape. All pattern matching of the product is here.
 */

/** The most patterns that one glob may expand to; no handwritten one has as many. */
const patternsMost = 10_000;

/** One pattern after brace expansion: names, and `**` for any number of folders. */
export type Pattern = readonly (Segment | "**")[];

/** A text that is not a valid glob; the message says why, in a few words. */
export class GlobError extends Error {
  override readonly name = "GlobError";
}

/**
 * The patterns that a glob stands for, in the order of its braces.
 * @param options.ignoreCase - for file systems that ignore case.
 * @throws GlobError.
 */
export function patterns(glob: string, options: { ignoreCase?: boolean } = {}): Pattern[] {
  let texts: string[];
  try {
    texts = expand(glob.normalize(), patternsMost);
  } catch (thrown) {
    if (thrown instanceof TooMany)
      throw new GlobError(`the braces stand for more than ${patternsMost} patterns`);
    throw thrown;
  }
  return texts.map((text) =>
    partsOf(text).map((part) => (part === "**" ? part : parse(part, options.ignoreCase === true))),
  );
}

/**
 * Several slashes count as one, `.` is dropped, and consecutive `**` are one. An absolute path begins with an empty
 * name, and a folder ends with one.
 */
function partsOf(text: string): string[] {
  const isPart = (part: string, i: number, all: readonly string[]) =>
    part !== "." && (part !== "" || i === 0 || i === all.length - 1);
  const parts = text.split("/").filter(isPart);
  return parts.filter((part, i) => part !== "**" || parts[i - 1] !== "**");
}

/**
 * A test for relative paths with slashes. A file whose name equals the glob's text always matches: a shell keeps a
 * pattern that matches nothing. Names are compared in Unicode's composed form (NFC).
 * @throws GlobError, also from the test.
 */
export function matcher(glob: string): (path: string) => boolean {
  const literals = new Set<string>([glob.normalize()]);
  /** Patterns by their literal prefix: for a long list of braces, only few remain to be tried for a path. */
  const others = new Map<string, Pattern[]>();
  for (const pattern of patterns(glob)) {
    const names = literalNames(pattern);
    if (names.length === pattern.length) literals.add(names.join("/"));
    else {
      const next = pattern[names.length];
      const key = [...names, next === undefined || next === "**" ? "" : next.prefix].join("/");
      const same = others.get(key);
      if (same === undefined) others.set(key, [pattern]);
      else same.push(pattern);
    }
  }
  const lengths = [...new Set([...others.keys()].map((key) => key.length))];
  return (path) => {
    const text = path.normalize();
    if (literals.has(text)) return true;
    const names = text.split("/");
    try {
      return lengths.some((length) =>
        others.get(text.slice(0, length))?.some((pattern) => fits(pattern, names)),
      );
    } catch (thrown) {
      if (thrown instanceof TooHard) throw new GlobError("takes too long to match: use fewer groups");
      throw thrown;
    }
  };
}

/** The leading names of a pattern that are literal. */
export function literalNames(pattern: Pattern): string[] {
  const names: string[] = [];
  for (const part of pattern) {
    if (part === "**" || part.literal === undefined) break;
    names.push(part.literal);
  }
  return names;
}

/**
 * True if the names match the pattern. `**` matches folders that do not begin with a dot; at the end it also matches
 * files.
 */
function fits(pattern: Pattern, names: readonly string[]): boolean {
  // The possible positions in the pattern after the names so far.
  let places = withEmpty(pattern, new Set([0]));
  for (const [i, name] of names.entries()) {
    const next = new Set<number>();
    for (const at of places) {
      const part = pattern[at];
      if (part === "**" && !name.startsWith(".")) {
        next.add(at);
        // At the end of the pattern and of the path, `**` stands for the file itself.
        if (at === pattern.length - 1 && i === names.length - 1) return true;
      } else if (part !== undefined && part !== "**" && part.matches(name)) next.add(at + 1);
    }
    if (next.size === 0) return false;
    places = withEmpty(pattern, next);
  }
  return places.has(pattern.length) && pattern.at(-1) !== "**";
}

/** Adds the positions after `**`, which may match no folder at all. */
function withEmpty(pattern: Pattern, places: Set<number>): Set<number> {
  for (const at of places) if (pattern[at] === "**") places.add(at + 1);
  return places;
}

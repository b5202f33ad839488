import { expand, TooMany } from "./braces.ts";
import { parse, type Segment, TooHard } from "./segment.ts";

/*
 * Patterns for paths as a shell has them, the one place for them: braces, `*`, `?`, `[…]`, `[!…]`, `**` as a whole name,
 * `@(a|b)` and its kin, `\` in front of what stands for itself.
 */

/** Longer than any pattern written by hand. */
const patternsMost = 10_000;

/** One pattern after its braces were expanded: a name, or `**` for any number of folders. */
export type Pattern = readonly (Segment | "**")[];

/** What a text cannot be a glob for, in a few words. */
export class GlobError extends Error {
  override readonly name = "GlobError";
}

/**
 * The patterns that a glob stands for, in the order of its braces.
 * @param options.ignoreCase - as on disks that do not tell upper from lower case.
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

/** Several slashes count as one, `.` is no name, and `**` in a row is one. An absolute path begins with an empty name, and a folder ends with one. */
function partsOf(text: string): string[] {
  const isPart = (part: string, i: number, all: readonly string[]) =>
    part !== "." && (part !== "" || i === 0 || i === all.length - 1);
  const parts = text.split("/").filter(isPart);
  return parts.filter((part, i) => part !== "**" || parts[i - 1] !== "**");
}

/**
 * A test for relative paths with slashes. Whatever a glob means, a file that is called exactly so fits it: a shell
 * leaves a pattern that matches nothing as it is. Names are compared in Unicode's composed form, whatever made them.
 * @throws GlobError, also from the test.
 */
export function matcher(glob: string): (path: string) => boolean {
  const literals = new Set<string>([glob.normalize()]);
  /** By what every path that fits begins with, which for a long list of braces leaves few patterns for a path. */
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

/** The names that a pattern begins with. */
export function literalNames(pattern: Pattern): string[] {
  const names: string[] = [];
  for (const part of pattern) {
    if (part === "**" || part.literal === undefined) break;
    names.push(part.literal);
  }
  return names;
}

/** Whether names fit a pattern. `**` passes over folders, none of which begins with a dot; at the end over files, too. */
function fits(pattern: Pattern, names: readonly string[]): boolean {
  // The places in the pattern that the names so far can have come to.
  let places = withEmpty(pattern, new Set([0]));
  for (const [i, name] of names.entries()) {
    const next = new Set<number>();
    for (const at of places) {
      const part = pattern[at];
      if (part === "**" && !name.startsWith(".")) {
        next.add(at);
        // As the last name it stands for the file itself.
        if (at === pattern.length - 1 && i === names.length - 1) return true;
      } else if (part !== undefined && part !== "**" && part.matches(name)) next.add(at + 1);
    }
    if (next.size === 0) return false;
    places = withEmpty(pattern, next);
  }
  return places.has(pattern.length) && pattern.at(-1) !== "**";
}

/** `**` may stand for no folder at all. */
function withEmpty(pattern: Pattern, places: Set<number>): Set<number> {
  for (const at of places) if (pattern[at] === "**") places.add(at + 1);
  return places;
}

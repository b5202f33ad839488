/*
 * A pattern for one name, without slashes: POSIX.1 "Pattern Matching Notation" with the extended patterns of bash and
 * ksh. Matched by tracking the set of possible positions, with a cap on their number, and never by a regular
 * expression, so that no pattern can take exponential time.
 */

/** Thrown when nested groups over a long name take too much work; no real pattern needs that much. */
export class TooHard extends Error {}

/** The most positions that are visited for one name; the longest name with a dozen stars takes some thousands. */
const placesMost = 250_000;

type Node =
  | { kind: "text"; char: string }
  | { kind: "any" }
  | { kind: "star" }
  | { kind: "class"; negated: boolean; has: (char: string) => boolean }
  /** `?(…)`, `*(…)`, `+(…)`, `@(…)`, `!(…)` */
  | { kind: "group"; sign: string; choices: Node[][] };

/** A pattern for one name. */
export interface Segment {
  /** The name, if the pattern can match no other. */
  readonly literal: string | undefined;
  /** The prefix of every name that matches. */
  readonly prefix: string;
  /** @throws TooHard. */
  matches(name: string): boolean;
}

/** Parses a pattern that has no slash. An unclosed group or bracket stands for itself, as in a shell. */
export function parse(pattern: string, ignoreCase: boolean): Segment {
  const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text);
  const { nodes } = sequence([...fold(pattern)], 0, "");
  const prefix = literalStart(nodes);
  const isLiteral = prefix.length === nodes.length;
  const first = prefix.join("");
  const last = literalStart([...nodes].reverse())
    .reverse()
    .join("");
  return {
    // In the pattern's own letters, also when case is ignored: it is used to look into a folder.
    literal: isLiteral ? pattern.replace(/\\(.)/gsu, "$1") : undefined,
    prefix: first,
    matches: (name) => {
      const folded = fold(name);
      if (isLiteral) return folded === first;
      // This check alone decides most pairs of name and pattern.
      if (!folded.startsWith(first) || !folded.endsWith(last)) return false;
      const text = [...folded];
      return new Match(text).ends(nodes, new Set([0])).has(text.length);
    },
  };
}

/** The literal characters before the first wildcard. */
function literalStart(nodes: readonly Node[]): string[] {
  const chars: string[] = [];
  for (const node of nodes) {
    if (node.kind !== "text") break;
    chars.push(node.char);
  }
  return chars;
}

/** Parses nodes up to a character of `until` that is not within another construct. */
function sequence(chars: readonly string[], from: number, until: string): { nodes: Node[]; next: number } {
  const nodes: Node[] = [];
  let at = from;
  while (at < chars.length) {
    const char = chars[at] as string;
    if (until.includes(char)) break;
    const found =
      (chars[at + 1] === "(" ? groupAt(chars, at) : undefined) ??
      (char === "[" ? classAt(chars, at) : undefined);
    if (found !== undefined) {
      nodes.push(found.node);
      at = found.next;
    } else if (char === "\\" && at + 1 < chars.length) {
      nodes.push({ kind: "text", char: chars[at + 1] as string });
      at += 2;
    } else {
      nodes.push(char === "*" ? { kind: "star" } : char === "?" ? { kind: "any" } : { kind: "text", char });
      at += 1;
    }
  }
  return { nodes, next: at };
}

function groupAt(chars: readonly string[], at: number): { node: Node; next: number } | undefined {
  const sign = chars[at] as string;
  if (!"?*+@!".includes(sign)) return undefined;
  const choices: Node[][] = [];
  for (let next = at + 2; ; ) {
    const choice = sequence(chars, next, "|)");
    choices.push(choice.nodes);
    const end = chars[choice.next];
    if (end === undefined) return undefined;
    next = choice.next + 1;
    if (end === ")") return { node: { kind: "group", sign, choices }, next };
  }
}

const posix: Readonly<Record<string, RegExp>> = {
  alnum: /[\p{L}\p{N}]/u,
  alpha: /\p{L}/u,
  blank: /[ \t]/,
  digit: /[0-9]/,
  lower: /\p{Ll}/u,
  punct: /[\p{P}\p{S}]/u,
  space: /\s/,
  upper: /\p{Lu}/u,
  xdigit: /[0-9A-Fa-f]/,
};

/** `[a-c]`, `[!a]`, `[^a]`, `[[:digit:]]`, `[]]`; undefined if it is never closed. */
function classAt(chars: readonly string[], open: number): { node: Node; next: number } | undefined {
  let at = open + 1;
  const negated = chars[at] === "!" || chars[at] === "^";
  if (negated) at += 1;
  const tests: ((char: string) => boolean)[] = [];
  for (let first = true; ; first = false) {
    const char = chars[at];
    if (char === undefined) return undefined;
    if (char === "]" && !first) break;
    const named =
      char === "[" && chars[at + 1] === ":"
        ? /^\[:([a-z]+):\]/.exec(chars.slice(at, at + 12).join(""))
        : null;
    const expression = posix[named?.[1] ?? ""];
    if (named !== null && expression !== undefined) {
      tests.push((each) => expression.test(each));
      at += named[0].length;
      continue;
    }
    const begin = memberAt(chars, at);
    const isRange = chars[begin.next] === "-" && ![undefined, "]"].includes(chars[begin.next + 1]);
    const end = isRange ? memberAt(chars, begin.next + 1) : begin;
    const [low, high] = [begin.char.codePointAt(0) ?? 0, end.char.codePointAt(0) ?? 0];
    tests.push((each) => low <= (each.codePointAt(0) ?? 0) && (each.codePointAt(0) ?? 0) <= high);
    at = end.next;
  }
  const has = (char: string) => tests.some((test) => test(char));
  return { node: { kind: "class", negated, has }, next: at + 1 };
}

const memberAt = (chars: readonly string[], at: number) =>
  chars[at] === "\\" && chars[at + 1] !== undefined
    ? { char: chars[at + 1] as string, next: at + 2 }
    : { char: chars[at] ?? "", next: at + 1 };

type Places = ReadonlySet<number>;

/** The state of matching one name. A leading dot is matched only by a literal dot. */
class Match {
  readonly #text: readonly string[];
  #seenPlaces = 0;
  /** End positions of a group by its start position, cached: each is computed once, however the groups are nested. */
  readonly #seen = new Map<Node, Map<number, Places>>();

  constructor(text: readonly string[]) {
    this.#text = text;
  }

  /** The positions at which the nodes can end if they begin at one of these positions. */
  ends(nodes: readonly Node[], begins: Places): Places {
    let places = begins;
    for (const node of nodes) {
      if (places.size === 0) break;
      places = this.#after(node, places);
      this.#seenPlaces += places.size;
      if (this.#seenPlaces > placesMost) throw new TooHard("the pattern takes too long to match");
    }
    return places;
  }

  #after(node: Node, places: Places): Places {
    if (node.kind === "group") return this.#afterGroup(node, places);
    const found = new Set<number>();
    if (node.kind === "star") {
      const begins = [...places].filter((at) => !this.#isDot(at));
      const first = begins.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
      for (let at = first; at <= this.#text.length; at += 1) found.add(at);
      return found;
    }
    for (const at of places) {
      const char = this.#text[at];
      if (char === undefined) continue;
      const fits =
        node.kind === "text"
          ? char === node.char
          : !this.#isDot(at) && (node.kind === "any" || node.has(char) !== node.negated);
      if (fits) found.add(at + 1);
    }
    return found;
  }

  #isDot(at: number): boolean {
    return at === 0 && this.#text[0] === ".";
  }

  #afterGroup(node: Extract<Node, { kind: "group" }>, places: Places): Places {
    const { sign } = node;
    const found = new Set<number>(sign === "?" || sign === "*" ? places : []);
    if (sign === "!") {
      for (const at of places) {
        if (this.#isDot(at)) continue;
        const not = this.#choices(node, at);
        for (let end = at; end <= this.#text.length; end += 1) if (!not.has(end)) found.add(end);
      }
      return found;
    }
    const repeats = sign === "*" || sign === "+";
    const open = [...places];
    const begun = new Set(open);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const end of this.#choices(node, at)) {
        found.add(end);
        if (!repeats || begun.has(end)) continue;
        begun.add(end);
        open.push(end);
      }
    }
    return found;
  }

  #choices(node: Extract<Node, { kind: "group" }>, at: number): Places {
    const seen = this.#seen.get(node) ?? new Map<number, Places>();
    this.#seen.set(node, seen);
    const known = seen.get(at);
    if (known !== undefined) return known;
    const begin = new Set([at]);
    const ends = new Set(node.choices.flatMap((choice) => [...this.ends(choice, begin)]));
    seen.set(at, ends);
    return ends;
  }
}

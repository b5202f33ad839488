/** Duplicated pieces of code. */
import type { Offender, Source, Tree } from "./tree.ts";

/** The fewest lines that count as a duplicate. Only lines with a word count; imports do not. */
export const leastLines = 12;

interface Line {
  readonly text: string;
  readonly line: number;
}

interface Place {
  readonly source: number;
  readonly at: number;
}

/** Pairs of places with the same lines, each extended as far as possible. */
export function duplicates(tree: Tree, kind: Source["kind"]): Offender[] {
  const sources = tree.sources.filter((source) => source.kind === kind);
  const lines = sources.map(normalized);
  const seen = new Map<string, Place[]>();
  const found: Offender[] = [];
  /** By pair of files and distance: the line up to which a duplicate is already reported. */
  const reported = new Map<string, number>();
  lines.forEach((all, source) => {
    for (let at = 0; at + leastLines <= all.length; at += 1) {
      const key = all
        .slice(at, at + leastLines)
        .map(({ text }) => text)
        .join("\n");
      const before = seen.get(key) ?? [];
      for (const place of before) {
        const pair = `${place.source} ${source} ${at - place.at}`;
        if ((reported.get(pair) ?? -1) > at || (place.source === source && at - place.at < leastLines))
          continue;
        const length = run(lines[place.source] ?? [], all, place.at, at);
        reported.set(pair, at + length);
        const first = lines[place.source]?.[place.at]?.line ?? 1;
        found.push({
          path: sources[source]?.path ?? "",
          line: all[at]?.line ?? 1,
          what: `${length} lines as in ${sources[place.source]?.path}:${first}`,
        });
      }
      seen.set(key, [...before, { source, at }]);
    }
  });
  return found;
}

function normalized({ text, importLines }: Source): Line[] {
  return text
    .split("\n")
    .map((line, i) => ({ text: line.replace(/\s+/g, " ").trim(), line: i + 1 }))
    .filter(({ text: content, line }) => /\w/.test(content) && !importLines.has(line));
}

function run(a: readonly Line[], b: readonly Line[], i: number, j: number): number {
  let length = 0;
  while (a[i + length] !== undefined && a[i + length]?.text === b[j + length]?.text) length += 1;
  return length;
}

import type { Word } from "#core/document/format/format";

/** Words whose middles are closer than this share of a line's height are in one line. */
const sameLine = 0.6;

/** Words as lines of print: from the top, and from the left within a line. */
export function linesOf<W extends Word>(words: readonly W[]): W[][] {
  const middle = ({ y, height }: Word) => y + height / 2;
  const lines: W[][] = [];
  for (const word of [...words].sort((a, b) => middle(a) - middle(b))) {
    const [first] = lines.at(-1) ?? [];
    const isNext =
      first === undefined ||
      Math.abs(middle(word) - middle(first)) > sameLine * Math.max(first.height, word.height);
    if (isNext) lines.push([word]);
    else lines.at(-1)?.push(word);
  }
  return lines.map((line) => line.sort((a, b) => a.x - b.x));
}

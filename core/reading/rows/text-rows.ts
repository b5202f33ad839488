import type { Text } from "#core/document/document";

/* What the text layer of a PDF shows about its rows: the printed number of items, and lines that end with an amount. */

interface TextRows {
  /** Undefined if the page has no such number, or several. */
  printed: number | undefined;
  amounts: number;
}

/** Words whose middles differ by less than this share of their height are on one line. */
const sameLine = 0.5;
/** `12.50`, `1.234,50`, `1'591.60-`, with a mark or a tax code beside it. */
const amount =
  /^[-+(]?(?:[\p{Sc}]|[A-Z]{2,3}|Rp\.?)?\s?-?\d{1,3}(?:[.,'’]?\d{3})*(?:[.,]\d{2})-?\)?(?:[\p{Sc}]|[A-Z]{3})?$/u;
const taxCode = /^[A-Z*]{1,2}\d?$|^[\p{Sc}]$|^[A-Z]{3}$/u;

/** Labels that mean a number of items with any sign after them, and labels that do only with a colon. */
const sure =
  "(?:total )?(?:no\\.?|number|nr\\.?|#|qty)(?: of)? items(?: sold)?|items sold|total items?|item count|(?:gesamt)?anzahl (?:der )?(?:artikel|positionen|posten|teile)|artikelanzahl|art\\.? ?-? ?anz(?:ahl)?\\.?|nombre (?:d['’] ?articles?|total d['’]articles?)|nb\\.? ?(?:d['’] ?)?articles?|n[º°o]\\.? (?:de )?art[íi]culos|total art[íi]culos|numero articoli|n\\.? articoli|aantal artikelen|(?:total|jumlah|jml\\.?|bil\\.?) item";
const withColon = "items?|artikel|posten|positionen|articles?|art[íi]culos|articoli|artikelen";
const labeled = new RegExp(`^(?:(?:${sure})\\s*[:=]?|(?:${withColon})\\s*[:=]|items)\\s*(\\d{1,4})$`, "iu");
const behind = new RegExp(`^(\\d{1,4})\\s+(?:${withColon})(?: sold)?$`, "iu");

/** The number of items that a printed line states; undefined for any other line. */
export function printedCount(line: string): number | undefined {
  const text = line
    .normalize("NFKC")
    .replace(/[\s.*_-]{2,}/g, " ")
    .trim();
  const found = labeled.exec(text) ?? behind.exec(text);
  const count = Number(found?.[1] ?? 0);
  return count > 0 ? count : undefined;
}

export function textRowsOf({ words }: Pick<Text, "words">): TextRows {
  const lines = linesOf(words);
  const counts = new Set(lines.flatMap((line) => printedCount(line.join(" ")) ?? []));
  return {
    printed: counts.size === 1 ? [...counts][0] : undefined,
    amounts: lines.filter(endsWithAmount).length,
  };
}

function endsWithAmount(line: readonly string[]): boolean {
  const [last = "", before = ""] = line.toReversed();
  return amount.test(last) || (taxCode.test(last) && amount.test(before));
}

/** Words by line, from left to right. */
function linesOf(words: Text["words"]): string[][] {
  const sorted = words.map((word) => ({ ...word, middle: word.y + word.height / 2 }));
  sorted.sort((a, b) => a.middle - b.middle);
  const lines: (typeof sorted)[] = [];
  for (const word of sorted) {
    const line = lines.at(-1);
    const last = line?.at(-1);
    if (line !== undefined && last !== undefined && word.middle - last.middle <= sameLine * word.height)
      line.push(word);
    else lines.push([word]);
  }
  return lines.map((line) => line.toSorted((a, b) => a.x - b.x).map(({ text }) => text));
}

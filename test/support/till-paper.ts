import type { Line, Page } from "#local/model/rules/page";

const CHARACTER_PX = 12;
const LINE_PX = 30;
const TEXT_PX = 22;

/**
 * A page as the OCR engine would give it, from text as a till prints it: parts with two or more spaces between
 * them are lines of their own. For the tests of the rules.
 */
export function fromText(text: string, confidence = 0.95): Page {
  const rows = text.replace(/^\n+|\s+$/g, "").split("\n");
  const lines = rows.flatMap((row, index): Line[] =>
    [...row.matchAll(/\S+(?: \S+)*/g)].map((match) => {
      const left = match.index * CHARACTER_PX;
      const right = left + match[0].length * CHARACTER_PX;
      const top = 20 + index * LINE_PX;
      const bottom = top + TEXT_PX;
      return {
        text: match[0],
        confidence,
        points: [
          { x: left, y: top },
          { x: right, y: top },
          { x: right, y: bottom },
          { x: left, y: bottom },
        ],
      };
    }),
  );
  const width = Math.max(...rows.map((row) => row.length)) * CHARACTER_PX;
  return { width, height: rows.length * LINE_PX + 40, lines };
}

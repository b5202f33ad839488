import { expect, test } from "vitest";
import { textMarks } from "./text-marks.ts";

/** A mark of 8 × 10 pixels in a row of them; `filled` of it is ink. */
const mark = (at: number, filled: number) => ({
  ...{ left: 12 * at, right: 12 * at + 7, top: 0, bottom: 9 },
  area: Math.round(80 * filled),
});

test("filled boxes are no text, although they have the size of letters: their ink would outweigh a line", () => {
  const marks = Array.from({ length: 12 }, (_, at) => mark(at, at % 3 === 0 ? 1 : 0.5));
  const letters = marks.map(({ left }, at) => ({ x: left + 4, y: 5, size: 10, mark: at, sharpness: 1 }));
  expect([...textMarks(marks, letters)]).toEqual([1, 2, 4, 5, 7, 8, 10, 11]);
});

test("marks near the outermost recognized letters are text, within the usual distance of letters; a stain far away is not", () => {
  const marks = [...Array.from({ length: 40 }, (_, at) => mark(at, 0.5)), mark(60, 0.5)];
  const judged = marks.slice(2, 38).filter((_, at) => at % 3 === 0);
  const letters = judged.map((of) => ({
    ...{ x: of.left + 4, y: 5, size: 10, sharpness: 1 },
    mark: marks.indexOf(of),
  }));
  expect([...textMarks(marks, letters)]).toEqual(Array.from({ length: 40 }, (_, at) => at));
});

import * as Look from "#core/image/look";
import type { Grey } from "#core/look/grey";
import { inkOf } from "#core/look/ink";
import { type Paper, papersOf } from "#core/look/papers";
import { draw } from "#test/support/look/receipts";
import { type Corner, drawSheet, type Ground, type Sheet } from "#test/support/look/sheets";
import { type Case, pictureOf, type Table, turnedBy } from "./cases.ts";

/*
 * Several receipts on one picture: drawn sheets of two to eight, and pictures of one receipt, of which none may be cut. Thresholds were
 * chosen on even seeds; odd ones judge.
 */

const firstSeed = 20_000;
const firstSingle = 30_000;
const fonts = ["monospace", "sans-serif", "serif"];
const grounds = ["table", "bright", "white"] as const satisfies Ground[];
/** Sheets of each ground: six of each number of receipts from two to eight. */
const sheetsOfEach = 42;
const singles = 60;

type Drawn = Sheet & { ground: Ground };

interface Set {
  sheets: Drawn[];
  alone: Case[];
}

/** Drawn before anything is looked at: afterwards nothing is drawn in this process. */
export async function own(half: "judge" | "thresholds"): Promise<Set> {
  const odd = half === "judge" ? 1 : 0;
  const sheets: Drawn[] = [];
  for (const ground of grounds)
    for (let n = 0; n < sheetsOfEach; n += 1) {
      const wish = { receipts: 2 + (n % 7), ground, fonts };
      sheets.push({ ...(await drawSheet(firstSeed + 2 * n + odd, wish)), ground });
    }
  const alone: Case[] = [];
  for (let n = 0; n < singles; n += 1) {
    const { bytes } = await draw(firstSingle + 2 * n + odd, { fonts });
    alone.push({ set: "drawn, alone", name: `alone ${n}`, bytes });
  }
  return { sheets, alone };
}

/** The same pictures on their sides and upside down. */
export async function turned(cases: readonly Case[]): Promise<Case[]> {
  const all: Case[] = [];
  for (const { set, name, bytes } of cases)
    for (const degrees of [90, 180, 270])
      all.push({
        set: `${set}, turned`,
        name: `${name} at ${degrees}`,
        bytes: await turnedBy(bytes, degrees),
      });
  return all;
}

interface Counts {
  pictures: number;
  receipts: number;
  /** Pictures of which every receipt is cut out whole, and nothing else. */
  right: number;
  /** Read as one, or some together. */
  together: number;
  /** More parts than receipts: a receipt was cut. */
  cut: number;
}

/** The table of the sets; held where no single receipt is cut, and the photo of six is right at all four rotations. */
export async function judge(
  { sheets, alone }: Set,
  photos: readonly Case[],
): Promise<{ table: Table; held: boolean }> {
  const sets = new Map<string, Counts>();
  const count = (name: string, receipts: number, outcome: "right" | "together" | "cut") => {
    const set = sets.get(name) ?? { pictures: 0, receipts: 0, right: 0, together: 0, cut: 0 };
    sets.set(name, set);
    set.pictures += 1;
    set.receipts += receipts;
    set[outcome] += 1;
  };
  for (const sheet of sheets) {
    const grey = await greyOf(sheet.bytes);
    count(`drawn, ${sheet.ground}`, sheet.papers.length, outcomeOf(found(grey), sheet));
  }
  let held = true;
  for (const { set, name, bytes } of [...alone, ...photos]) {
    const parts = Math.max(1, found(await greyOf(bytes)).length);
    const receipts = name.startsWith("multi6") ? 6 : 1;
    const outcome = parts === receipts ? "right" : parts > receipts ? "cut" : "together";
    if (outcome !== "right") console.error(`${name}: ${parts} of ${receipts}`);
    held &&= outcome === "right";
    count(receipts === 1 ? set : "photo of six", receipts, outcome);
  }
  return { table: [...sets].map(([set, counts]) => ({ set, ...counts })), held };
}

const greyOf = async (bytes: Buffer): Promise<Grey> => await Look.copy(await pictureOf(bytes));
const found = (grey: Grey): Paper[] => papersOf(grey, inkOf(grey));

function outcomeOf(
  papers: readonly Paper[],
  { papers: wanted, width, height }: Sheet,
): "right" | "together" | "cut" {
  if (papers.length > wanted.length) return "cut";
  const rectangles = papers.map(({ corners }) =>
    corners.map(({ x, y }) => ({ x: x * width, y: y * height })),
  );
  // The corners of print are near those of the rectangle; a third of a line off loses nothing.
  const isWhole = (paper: readonly Corner[]) =>
    rectangles.filter((rectangle) => paper.every((corner) => isInside(rectangle, corner, 10))).length === 1;
  return papers.length === wanted.length && wanted.every(isWhole) ? "right" : "together";
}

function isInside(rectangle: readonly Corner[], { x, y }: Corner, off: number): boolean {
  return rectangle.every((from, at) => {
    const to = rectangle[(at + 1) % rectangle.length] ?? from;
    const side = (to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x);
    return side >= -off * Math.hypot(to.x - from.x, to.y - from.y);
  });
}

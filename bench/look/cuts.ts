import sharp from "sharp";
import * as Look from "#core/image/look";
import { type Grey, greyOf, reducedSize } from "#core/look/grey";
import { inkOf } from "#core/look/ink";
import { look } from "#core/look/look";
import { draw } from "#test/support/look/receipts";
import { type Case, pictureOf, type Table } from "./cases.ts";
import { textBlocks } from "./text-blocks.ts";

/*
 * Copies of which a side is cut off, at three places each: whether they are named `cut_off`. Counted apart are those of which the cut
 * goes through letters, because a cut through blank paper leaves no sign. Thresholds come from pictures with even numbers.
 */

const bars = { clean: 0.05, throughPrint: 0.9 };
const firstSeed = 50_000;
const drawnOfEach = 40;
/** What is lost, as a share of the print's width at the left and right, and of its height at the top and bottom. */
const lost = { flank: [0.03, 0.08, 0.2], end: [0.06, 0.15, 0.3] };
/** A cut goes through print if it cuts so many letters. */
const leastLetters = 2;

type Block = readonly [left: number, top: number, right: number, bottom: number];
const sides = ["left", "top", "right", "bottom"] as const;
type Side = (typeof sides)[number];

interface Whole {
  set: string;
  name: string;
  bytes: Buffer;
  /** Where its print is; of drawn ones the look says. */
  block?: Block;
  /** It lies on its side. */
  lying: boolean;
}

/** Drawn before anything is looked at: afterwards nothing is drawn in this process. */
export async function own(half: "judge" | "thresholds"): Promise<Whole[]> {
  const odd = half === "judge" ? 1 : 0;
  const all: Whole[] = [];
  for (let n = 0; n < drawnOfEach; n += 1) {
    const { bytes } = await draw(firstSeed + 2 * n + odd, { fonts: ["monospace", "sans-serif", "serif"] });
    all.push({ set: "drawn", name: `drawn ${n}`, bytes, lying: false });
  }
  return all;
}

/** One half of the photos and scans as they are, on another side, and askew. */
export async function photos(cases: readonly Case[], half: "judge" | "thresholds"): Promise<Whole[]> {
  const all: Whole[] = [];
  for (const [at, { name, bytes }] of cases.entries()) {
    const block = textBlocks[name];
    if (block === undefined || at % 2 !== (half === "judge" ? 1 : 0)) continue;
    const upright = await sharp(bytes)
      .autoOrient()
      .flatten({ background: "#ffffff" })
      .jpeg({ quality: 95 })
      .toBuffer();
    const turn = [90, 180, 270][Math.floor(at / 2) % 3] as number;
    const tilt = Math.floor(at / 2) % 2 === 0 ? -5 : 5;
    for (const [set, degrees] of [
      ["photos and scans", 0],
      ["turned", turn],
      ["tilted by 5°", tilt],
    ] as const) {
      const copy = await sharp(upright)
        .rotate(degrees, { background: "#ffffff" })
        .jpeg({ quality: 95 })
        .toBuffer();
      const around = turnedBlock(block, degrees, await sharp(upright).metadata());
      all.push({ set, name, bytes: copy, block: around, lying: degrees % 180 === 90 });
    }
  }
  return all;
}

/** The rectangle around a block after the picture is turned clockwise. */
function turnedBlock(
  [left, top, right, bottom]: Block,
  degrees: number,
  { width, height }: { width: number; height: number },
): Block {
  const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  const outer = {
    width: width * Math.abs(cos) + height * Math.abs(sin),
    height: height * Math.abs(cos) + width * Math.abs(sin),
  };
  const corners = [left, right].flatMap((x) =>
    [top, bottom].map((y) => {
      const [dx, dy] = [(x - 0.5) * width, (y - 0.5) * height];
      return { x: (dx * cos - dy * sin) / outer.width + 0.5, y: (dx * sin + dy * cos) / outer.height + 0.5 };
    }),
  );
  const [xs, ys] = [corners.map(({ x }) => x), corners.map(({ y }) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

interface Counts {
  pictures: number;
  "clean, named": number;
  cuts: number;
  "cuts, named": number;
  "through print": number;
  "through print, named": number;
}

/** The table of the sets; held where the photos as they are, and all sets together, keep the bars. */
export async function judge(wholes: readonly Whole[]): Promise<{ table: Table; held: boolean }> {
  const sets = new Map<string, Counts>();
  for (const whole of wholes) {
    const counts = sets.get(whole.set) ?? {
      pictures: 0,
      ...{ "clean, named": 0, cuts: 0, "cuts, named": 0, "through print": 0, "through print, named": 0 },
    };
    sets.set(whole.set, counts);
    counts.pictures += 1;
    if (look(await greyCopy(whole.bytes)).legibility.cutOff) {
      counts["clean, named"] += 1;
      console.error(`${whole.name}, ${whole.set}: clean and cut_off`);
    }
    for (const { jpeg, letters } of await cutsOf(whole)) {
      const named = look(await Look.copy(await pictureOf(jpeg))).legibility.cutOff;
      counts.cuts += 1;
      if (named) counts["cuts, named"] += 1;
      if (letters < leastLetters) continue;
      counts["through print"] += 1;
      if (named) counts["through print, named"] += 1;
    }
  }
  const total = [...sets.values()].reduce((sum, counts) => added(sum, counts));
  const isHeld = (counts: Counts) =>
    counts["clean, named"] <= bars.clean * counts.pictures &&
    counts["through print, named"] >= bars.throughPrint * counts["through print"];
  const real = sets.get("photos and scans");
  const table = [...sets, ["together", total] as const].map(([set, counts]) => ({ set, ...counts }));
  return { table, held: isHeld(total) && (real === undefined || isHeld(real)) };
}

function added(one: Counts, other: Counts): Counts {
  const sum = { ...one };
  for (const key of Object.keys(sum) as (keyof Counts)[]) sum[key] += other[key];
  return sum;
}

/** As the product sees it: decoded small from a JPEG. */
async function greyCopy(bytes: Buffer): Promise<Grey> {
  const jpeg = await sharp(bytes).jpeg({ quality: 92 }).toBuffer();
  return await Look.copy(await pictureOf(jpeg));
}

async function cutsOf({ bytes, block, lying }: Whole): Promise<{ jpeg: Buffer; letters: number }[]> {
  const picture = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const { width, height } = picture.info;
  const size = reducedSize(width, height);
  const { data, info } = await sharp(picture.data, { raw: picture.info })
    .resize(size.width, size.height, { fit: "fill" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const print = printIn(greyOf(data, info), lying, block);
  const cuts: { jpeg: Buffer; letters: number }[] = [];
  for (const side of sides) {
    const isFlank = side === "left" || side === "right";
    for (const share of isFlank !== lying ? lost.flank : lost.end) {
      const at = placeOf(side, print.block, share);
      const pixels = at * (isFlank ? info.width : info.height);
      const letters = print.letters.filter((mark) =>
        isFlank
          ? mark.left < pixels - 0.5 && mark.right > pixels + 0.5
          : mark.top < pixels - 0.5 && mark.bottom > pixels + 0.5,
      ).length;
      const rest = restOf(side, Math.round(at * (isFlank ? width : height)), { width, height });
      const cut = sharp(picture.data, { raw: picture.info }).extract(rest);
      cuts.push({ jpeg: await cut.jpeg({ quality: 92 }).toBuffer(), letters });
    }
  }
  return cuts;
}

function placeOf(side: Side, [left, top, right, bottom]: Block, share: number): number {
  if (side === "left") return left + share * (right - left);
  if (side === "right") return right - share * (right - left);
  if (side === "top") return top + share * (bottom - top);
  return bottom - share * (bottom - top);
}

function restOf(side: Side, at: number, { width, height }: { width: number; height: number }) {
  if (side === "left") return { left: at, top: 0, width: width - at, height };
  if (side === "right") return { left: 0, top: 0, width: at, height };
  if (side === "top") return { left: 0, top: at, width, height: height - at };
  return { left: 0, top: 0, width, height: at };
}

/** Letters as dark as most, and the block that they make. */
function printIn(grey: Grey, lying: boolean, given?: Block) {
  const { width, height } = grey;
  const [l, t, r, b] = given ?? [0, 0, 1, 1];
  const inside = inkOf(grey).marks.filter(
    ({ left, top, right, bottom }) =>
      left >= l * width - 3 && right <= r * width + 3 && top >= t * height - 3 && bottom <= b * height + 3,
  );
  const high = (mark: (typeof inside)[number]) =>
    (lying ? mark.right - mark.left : mark.bottom - mark.top) + 1;
  const usual = quantile(inside.map(high), 0.5);
  const depths = inside.map((mark) => depthOf(grey, mark));
  const least = Math.max(0.4 * quantile(depths, 0.5), 0.27 * quantile(depths, 0.9));
  const letters = inside.filter(
    (mark, at) => (depths[at] as number) >= least && high(mark) >= 0.6 * usual && high(mark) <= 1.7 * usual,
  );
  const edge = (of: "left" | "top" | "right" | "bottom", share: number) =>
    quantile(
      letters.map((mark) => mark[of]),
      share,
    );
  const block = given ?? [
    edge("left", 0.02) / width,
    edge("top", 0.02) / height,
    edge("right", 0.98) / width,
    edge("bottom", 0.98) / height,
  ];
  return { letters, block: block as Block };
}

/** From the paper beside a mark to its darkest pixel. */
function depthOf(
  { width, height, data }: Grey,
  mark: { left: number; top: number; right: number; bottom: number },
) {
  const levels: number[] = [];
  for (let y = Math.max(0, mark.top - 2); y <= Math.min(height - 1, mark.bottom + 2); y += 1)
    for (let x = Math.max(0, mark.left - 2); x <= Math.min(width - 1, mark.right + 2); x += 1)
      levels.push(data[y * width + x] as number);
  return Math.max(...levels) - Math.min(...levels);
}

function quantile(values: readonly number[], share: number): number {
  return (
    values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
  );
}

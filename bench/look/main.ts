import * as Cases from "./cases.ts";
import * as Cuts from "./cuts.ts";
import * as Legibility from "./legibility.ts";
import * as Lines from "./lines.ts";
import * as Papers from "./papers.ts";
import * as Upright from "./upright.ts";

/*
 * `npm run bench -- look [--json]`: how often the look is right, on receipts of ../shared/data and on drawn ones, and what
 * it costs. Ends with 1 when a bar of docs/documents.md is missed.
 */
export async function run(args: string[]): Promise<number> {
  const derived = Cases.folder("derived").map((each) => ({
    ...each,
    tilt: undefined,
    // Their names count counterclockwise.
    turn: ((360 - Number(/^rot(\d+)/.exec(each.name)?.[1] ?? 0)) % 360) as 0 | 90 | 180 | 270,
  }));
  const dev = Cases.folder("dev").map((each) => ({ ...each, tilt: undefined, turn: 0 as const }));
  const half = args.includes("thresholds") ? "thresholds" : "judge";
  const drawn = await Upright.own(half);
  const several = await Papers.own(half);
  const cuts = [...(await Cuts.own(half)), ...(await Cuts.photos(dev, half))];
  const photos = [...dev, ...(await Papers.turned(dev)), ...derived, ...Cases.folder("formats")];
  const parts = {
    upright: await Upright.judge([...dev, ...derived, ...drawn]),
    papers: await Papers.judge(several, photos),
    lines: await Lines.judge(drawn),
    legibility: await Legibility.judge(dev, half),
    cuts: await Cuts.judge(cuts),
    cost: await Upright.cost([...dev, ...drawn]),
  };
  if (args.includes("--json")) console.log(JSON.stringify(parts, null, 1));
  else
    for (const [name, { table, held }] of Object.entries(parts)) {
      console.log(`${name}: ${held ? "held" : "MISSED"}`);
      console.table(table);
    }
  return Object.values(parts).every(({ held }) => held) ? 0 : 1;
}

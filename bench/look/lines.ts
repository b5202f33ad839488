import * as Look from "#core/image/look";
import { pictureOf, type Table } from "./cases.ts";
import type { Judged } from "./upright.ts";

/*
 * How many lines with amounts the look sees on drawn receipts, against how many there are. It may see too few, which proves
 * nothing; too many would call whole answers incomplete.
 */

/** Lines too many, and the share of receipts that may have more than that. */
const bars = { tooMany: 1, share: 0.05 };

export async function judge(cases: readonly Judged[]): Promise<{ table: Table; held: boolean }> {
  const off: number[] = [];
  for (const { bytes, amounts } of cases) {
    const { turn, lines } = await Look.look(await pictureOf(bytes));
    if (turn !== null && amounts !== undefined)
      off.push(lines.filter(({ amount }) => amount).length - amounts);
  }
  const count = (is: (value: number) => boolean) => off.filter(is).length;
  const tooMany = count((value) => value > bars.tooMany);
  return {
    table: [
      {
        ...{
          receipts: off.length,
          exact: count((value) => value === 0),
          "off by one": count((value) => Math.abs(value) === 1),
        },
        ...{ "more too few": count((value) => value < -1), "more too many": tooMany },
      },
    ],
    held: tooMany <= bars.share * off.length,
  };
}

import sharp from "sharp";
import * as Look from "#core/image/look";
import type { Legibility } from "#core/look/legibility";
import { qualityOf } from "#core/reading/quality";
import { type Case, pictureOf, type Table } from "./cases.ts";

/*
 * Legibility: clean pictures, and copies of each that are blurred, darkened and shrunk. Thresholds come from the pictures with even numbers in the folder, the figures from those with odd ones.
 */

const bars = { clean: 0.05, worn: 0.9 };
/** Pixels a letter has in a shrunk copy. */
const shrunkLetter = 5;

/** How often each kind of copy is named for its fault, and clean ones for any. */
export async function judge(
  cases: readonly Case[],
  half: "judge" | "thresholds",
): Promise<{ table: Table; held: boolean }> {
  const counts = new Map<string, { copies: number; named: number }>();
  for (const [at, { name, bytes }] of cases.entries()) {
    if (at % 2 !== (half === "judge" ? 1 : 0)) continue;
    for (const { kind, copy, reason } of await copiesOf(bytes)) {
      const { reasons } = await seen(copy);
      const count = counts.get(kind) ?? { copies: 0, named: 0 };
      counts.set(kind, count);
      count.copies += 1;
      const named = reason === undefined ? reasons.length > 0 : reasons.includes(reason);
      if (named) count.named += 1;
      if (named === (reason === undefined))
        console.error(`${name}, ${kind}: ${reasons.join(", ") || "nothing"}`);
    }
  }
  const share = ({ copies, named }: { copies: number; named: number }) => named / Math.max(1, copies);
  return {
    table: [...counts].map(([kind, count]) => ({ kind, ...count })),
    held: [...counts].every(([kind, count]) =>
      kind === "clean" ? share(count) <= bars.clean : share(count) >= bars.worn,
    ),
  };
}

async function seen(bytes: Buffer) {
  const picture = await pictureOf(bytes);
  const { legibility } = await Look.look(picture);
  return qualityOf(legibility, picture);
}

type Reason = Awaited<ReturnType<typeof seen>>["reasons"][number];

async function copiesOf(bytes: Buffer): Promise<{ kind: string; copy: Buffer; reason?: Reason }[]> {
  const clean = await sharp(bytes)
    .autoOrient()
    .flatten({ background: "#ffffff" })
    .jpeg({ quality: 92 })
    .toBuffer();
  const { width, height } = await sharp(clean).metadata();
  const { legibility } = await Look.look(await pictureOf(clean));
  const letter = letterOf(legibility, Math.max(width, height));
  const share = shrunkLetter / letter;
  const small = { width: Math.round(width * share), height: Math.round(height * share) };
  return [
    { kind: "clean", copy: clean },
    {
      kind: "blurred",
      copy: await sharp(clean)
        .blur(Math.max(1.2, 0.3 * letter))
        .jpeg()
        .toBuffer(),
      reason: "blurred",
    },
    { kind: "darkened", copy: await sharp(clean).linear(0.22, 0).jpeg().toBuffer(), reason: "dark" },
    {
      kind: "shrunk",
      copy: await sharp(clean).resize(small.width, small.height, { fit: "fill" }).jpeg().toBuffer(),
      reason: "text_too_small",
    },
  ];
}

const letterOf = ({ letterShare }: Legibility, side: number) => Math.max(6, letterShare * side);

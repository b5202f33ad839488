import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { firstSet } from "./first-set.ts";
import { draw } from "./paper.ts";
import { secondSet } from "./second-set.ts";

/** Draws the made-up receipts of both sets with a gt.json beside them, as `eval-stand-in` reads it; the new folder. */
export async function drawAll(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "ocrlty-abroad-"));
  const records: object[] = [];
  for (const [source_key, set] of Object.entries({ first_set: firstSet, second_set: secondSet })) {
    for (const receipt of set) {
      const file = `${receipt.id}.jpg`;
      await writeFile(join(folder, file), await draw(sharp, receipt));
      const { total, ...expected } = receipt.expected;
      records.push({ file, source_key, norm: { ...expected, total: Number(total) } });
    }
  }
  await writeFile(join(folder, "gt.json"), JSON.stringify(records));
  return folder;
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import * as z from "zod";
import { packageRoot } from "#local/home/home";
import { httpInstances } from "#spec/limits";
import { ended, watchInstances } from "#test/soak/parallel";
import { startLoop } from "#test/support/loop";

/** File of samples/ → what is on its receipt. */
const Expected = z.record(z.string(), z.object({ total: z.string() }));

/**
 * Sends the receipts of samples/ in turn, `count` at the same time, to the stand-in model server, which reads one at
 * a time, so that most calls become 202. Checks that each ends with the total of its own receipt.
 */
export async function standIn(
  count: number,
): Promise<{ direct: number; polled: number; durationMs: number }> {
  const samples = join(packageRoot, "samples");
  const expected = Object.entries(
    Expected.parse(JSON.parse(await readFile(join(samples, "expected.json"), "utf8"))),
  );
  const receipts = await Promise.all(
    expected.map(async ([file, { total }]) => ({
      total,
      picture: (await readFile(join(samples, file))).toString("base64"),
    })),
  );
  // Small ones are read sooner.
  receipts.sort((a, b) => a.picture.length - b.picture.length);
  // Without VLLM_BASE_URL the loop starts the stand-in.
  const loop = await startLoop({ env: {} });
  const watch = watchInstances(loop);
  const startedAt = Date.now();
  try {
    const firsts = await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const id = `stand-in-${i}`;
        const { total, picture } = receipts[i % receipts.length] ?? { total: "", picture: "" };
        const first = await loop.call("/v1/extract", { json: { image_base64: picture, request_id: id } });
        expect([200, 202], `${id}: ${first.text}`).toContain(first.status);
        const answer = await ended(loop, id, first);
        expect(answer.body, id).toMatchObject({
          request_id: id,
          status: "succeeded",
          model: "local-ocr",
          result: { total },
        });
        return first;
      }),
    );
    expect(watch.stop()).toBeLessThanOrEqual(httpInstances);
    const direct = firsts.filter(({ status }) => status === 200).length;
    return { direct, polled: count - direct, durationMs: Date.now() - startedAt };
  } finally {
    watch.stop();
    await loop.close();
  }
}

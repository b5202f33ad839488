import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "#local/home/home";
import { ended } from "#test/soak/parallel";
import { startLoop } from "#test/support/loop";

/** One receipt in every format, read by the stand-in through the bundled functions: the same total. */

const data = join(packageRoot, "..", "shared", "data");
const files = [
  "dev/mindee_gb_clachan.jpg",
  ...["heic", "png", "tif", "webp"].map((end) => `formats/receipt.${end}`),
];

test.skipIf(!existsSync(data))(
  "a receipt has the same total as JPEG, HEIC, PNG, TIFF and WebP (needs ../shared)",
  {
    timeout: 300_000,
  },
  async () => {
    // No VLLM_BASE_URL: the loop starts the stand-in.
    const loop = await startLoop({ env: {} });
    try {
      const totals: unknown[] = [];
      for (const [i, file] of files.entries()) {
        const image_base64 = readFileSync(join(data, file)).toString("base64");
        const id = `format-${i}`;
        const first = await loop.call("/v1/extract", { json: { image_base64, request_id: id } });
        const { body } = await ended(loop, id, first);
        expect(body, file).toMatchObject({ status: "succeeded", model: "local-ocr" });
        totals.push((body as { normalized: { total: { value: string } } }).normalized.total.value);
      }
      const { fields } = JSON.parse(readFileSync(join(data, "dev", "gt.json"), "utf8")).find(
        ({ file }: { file: string }) => file === "mindee_gb_clachan.jpg",
      );
      expect(totals, JSON.stringify(fields)).toEqual(Array(files.length).fill(totals[0]));
      expect(Number(totals[0])).toBeGreaterThan(0);
    } finally {
      await loop.close();
    }
  },
);

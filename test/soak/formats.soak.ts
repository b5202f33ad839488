import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Extract } from "#core/reading/schema";
import { packageRoot } from "#local/home/home";
import { ended } from "#test/soak/parallel";
import { startLoop, type TestLoop } from "#test/support/loop";

/** The files of ../shared/data, read by the stand-in through the bundled functions: what their labels say, or one named error. */

const data = join(packageRoot, "..", "shared", "data");
const bytesOf = (file: string) => readFileSync(join(data, file));
const labelsOf = (folder: string) =>
  JSON.parse(bytesOf(`${folder}/gt.json`).toString()) as { file: string; norm: { total: number } }[];

let loop: TestLoop;
let n = 0;

/** An answer, or the body of an error. */
type Read = Partial<Omit<Extract, "error">> & { error?: { details?: { reason?: string } } };

/** Reads a file to its end, in the queue if it takes long. */
async function read(bytes: Buffer, more: object = {}): Promise<Read> {
  n += 1;
  const json = { image_base64: bytes.toString("base64"), request_id: `file-${n}`, ...more };
  const first = await loop.call("/v1/extract", { json });
  return (first.status === 400 ? first : await ended(loop, `file-${n}`, first)).body as Read;
}
const totalOf = ({ normalized }: Pick<Read, "normalized">) =>
  Number((normalized?.total as { value?: string } | undefined)?.value);

describe.skipIf(!existsSync(data))("files of ../shared/data", { timeout: 900_000 }, () => {
  beforeAll(async () => {
    // No VLLM_BASE_URL: the loop starts the stand-in.
    loop = await startLoop({ env: {} });
  });
  afterAll(() => loop?.close());

  test("a receipt has the same total as JPEG, HEIC, PNG, TIFF and WebP", async () => {
    const ends = ["heic", "png", "tif", "webp"].map((end) => `formats/receipt.${end}`);
    const [label] = labelsOf("dev").filter(({ file }) => file === "mindee_gb_clachan.jpg");
    for (const file of ["dev/mindee_gb_clachan.jpg", ...ends])
      expect(totalOf(await read(bytesOf(file))), file).toBe(label?.norm.total);
  });

  test("copies on their side, upside down, tilted and turned by EXIF have the totals of their labels", async () => {
    for (const { file, norm } of labelsOf("derived"))
      expect(totalOf(await read(bytesOf(`derived/${file}`))), file).toBe(norm.total);
  });

  test("totals at 90, 180, 270 and 7 degrees are as right as at 0", async () => {
    const right: Record<number, number> = {};
    const names = ["sroie_067.jpg", "sroie_083.jpg", "cord_00058.jpg", "de_lidl_02032020_02_00716.jpg"];
    for (const { file, norm } of labelsOf("dev").filter((each) => names.includes(each.file)))
      for (const degrees of [0, 90, 180, 270, 7]) {
        const upright = await sharp(bytesOf(`dev/${file}`))
          .autoOrient()
          .toBuffer();
        const turned = sharp(upright).rotate(degrees, { background: "#808080" }).jpeg({ quality: 92 });
        const isRight = totalOf(await read(await turned.toBuffer())) === norm.total;
        right[degrees] = (right[degrees] ?? 0) + Number(isRight);
      }
    const all = names.length;
    expect(right).toEqual({ 0: all, 90: all, 180: all, 270: all, 7: all });
  });

  test("six receipts on one photo are cut into the same six totals at each rotation", async () => {
    for (const degrees of [0, 90, 180, 270]) {
      const { documents = [] } = await read(bytesOf(`formats/multi6_${degrees}.jpg`), { split: "auto" });
      const totals = documents.map(totalOf).sort((a, b) => a - b);
      expect(totals, `${degrees}`).toEqual([13.5, 14.5, 14.5, 16.5, 16.5, 21.5]);
    }
    const { warnings } = await read(bytesOf("formats/multi6_0.jpg"));
    expect(warnings).toContainEqual({ code: "several_receipts", found: 6 });
  });

  test("a scanned PDF that lies on its side has the values of its label", async () => {
    const scan = await read(bytesOf("pdf/rewe_scan_rotated90.pdf"), { task_id: "receipt_v1" });
    expect(scan.result).toMatchObject({
      totals: { total: "0,99" },
      items: [{ name: "SUPPENGRUEN", price: "0,99" }],
    });
    expect(scan.normalized).toMatchObject({ date: { value: "2014-12-04" } });
  });

  test("what cannot be read is one named error each, and the rest is read", async () => {
    const negative = "formats/negative";
    const found: Record<string, unknown> = {};
    for (const file of readdirSync(join(data, negative))) {
      const { error, status, warnings } = await read(bytesOf(`${negative}/${file}`));
      found[file] = error ? error.details?.reason : { status, warnings };
    }
    expect(found).toEqual({
      "XfaForm_15p_encrypted.pdf": "too_many_pages",
      "blank.pdf": "blank_page",
      "broken_fixable.pdf": { status: "succeeded", warnings: [{ code: "pdf_repaired" }] },
      "broken_unfixable.pdf": "pdf_broken",
    });
    const form = await read(bytesOf(`${negative}/XfaForm_15p_encrypted.pdf`), { pages: [1] });
    expect(form).toMatchObject({ status: "succeeded" });
  });
});

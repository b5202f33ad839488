/** Thumbnails of a run's pictures, from a real bucket and the real decoder. */
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import { keptKey } from "#core/run/source/kept";
import * as EndedRun from "#test/support/ended-run";
import { picture } from "#test/support/pictures";
import { silent } from "#test/support/test-bucket";
import * as Pictures from "./pictures.ts";
import * as Thumbnail from "./thumbnail.ts";

let stores: EndedRun.Stores;
beforeAll(async () => {
  stores = await EndedRun.start();
});
afterAll(() => stores?.close());

const soon = () => Date.now() + 20_000;
const put = (rel: string, body: Uint8Array) =>
  Bucket.replace(stores.store.bucket, silent, rel, { body, contentType: "image/png" });
const ofRun = (runUid: string, until = soon()) =>
  Pictures.ofRun({ db: stores.db, bucket: stores.store.bucket }, silent, { runUid }, until);

/** Private data of the camera in every place that a JPEG has for it. */
const told = async (width: number, height: number): Promise<Buffer> => {
  const noise = Buffer.alloc(width * height * 3);
  for (let i = 0, state = 7; i < noise.length; i += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    noise[i] = state >> 16;
  }
  return sharp(noise, { raw: { width, height, channels: 3 } })
    .jpeg()
    .withExif({ IFD0: { Artist: "secret-artist" }, IFD3: { GPSLatitude: "52/1 30/1 0/1" } })
    .withMetadata({ orientation: 6, icc: "p3" })
    .withXmp(`<x:xmpmeta xmlns:x="adobe:ns:meta/">secret-place</x:xmpmeta>`)
    .toBuffer();
};

test("a thumbnail is an upright JPEG of 600 pixels and 60 KB at most, without what the camera wrote into it", async () => {
  const bytes = await told(1_500, 1_000);
  expect(bytes.includes("secret-artist") && bytes.includes("secret-place")).toBe(true);
  const one = await Thumbnail.of(bytes, { until: soon() });
  if ("missing" in one) throw new Error(one.missing);
  // Pure noise takes the most bytes that a picture can.
  expect(one.jpeg.length).toBeLessThanOrEqual(61_440);
  for (const secret of ["secret", "Exif", "http", "ICC_PROFILE"])
    expect(Buffer.from(one.jpeg).includes(secret), secret).toBe(false);
  const { width, height, exif, icc, xmp, format } = await sharp(one.jpeg).metadata();
  expect([format, exif, icc, xmp]).toEqual(["jpeg", undefined, undefined, undefined]);
  // The picture is stored on its side, and turned by its orientation.
  expect(height).toBeGreaterThan(width);
  expect(height).toBeLessThanOrEqual(600);
  // A receipt keeps all of its 600 pixels; a small picture is not enlarged.
  const receipt = await Thumbnail.of(await picture(3, "png"), { until: soon() });
  if ("missing" in receipt) throw new Error(receipt.missing);
  expect(await sharp(receipt.jpeg).metadata()).toMatchObject({ width: 320, height: 400 });
  const long = sharp({ create: { width: 900, height: 2_700, channels: 3, background: "#eee" } });
  const tall = await Thumbnail.of(await long.png().toBuffer(), { until: soon() });
  if ("missing" in tall) throw new Error(tall.missing);
  expect(await sharp(tall.jpeg).metadata()).toMatchObject({ width: 200, height: 600 });
});

test("pictures are those that the run keeps and those under the data root; every other one has the reason why it is missing", async () => {
  const bytes = await picture(1, "png");
  const items = [
    { sourceKind: "upload" as const, objectKey: "inputs/uploads/alice/x", kept: true },
    { sourceKind: "data" as const, objectKey: "data/shared/there.png" },
    { sourceKind: "data" as const, objectKey: "data/shared/replaced.png", etag: '"old"' },
    { sourceKind: "data" as const, objectKey: "data/shared/gone.png" },
    { sourceKind: "upload" as const, objectKey: "inputs/uploads/alice/y" },
    { sourceKind: "data" as const, objectKey: "data/shared/broken.png" },
    { sourceKind: "data" as const, objectKey: "data/shared/letter.pdf" },
    { sourceKind: "url" as const, objectKey: null, url: "https://example.com/a.png" },
  ];
  const run = await stores.insert({ runId: "pictures", persistInputs: true }, items);
  await put(keptKey(run, 0), bytes);
  for (const name of ["there", "replaced"]) await put(`data/shared/${name}.png`, bytes);
  await put("data/shared/broken.png", bytes.subarray(0, bytes.length / 2));
  await put("data/shared/letter.pdf", Buffer.from("no document at all"));
  const pictures = await ofRun(run.runUid);
  const found = await pictures?.of([7, 6, 5, 4, 3, 2, 1, 0]);
  const kinds = found?.map((one) => ("missing" in one ? one.missing : "jpeg"));
  const damaged = "the picture is damaged or cut off";
  const gone = "it was removed or replaced after it was read";
  expect(kinds).toEqual([
    ...["it was not kept", expect.stringMatching(/read are JPEG/), damaged, "it was not kept"],
    ...[gone, gone, "jpeg", "jpeg"],
  ]);
  expect(pictures?.cut).toBe(false);

  // Once the time is over no picture is begun, and the next call makes the report again.
  const late = await ofRun(run.runUid, Date.now() - 1);
  expect(await late?.of([0, 1])).toEqual([0, 1].map(() => ({ missing: "there was no time left for it" })));
  expect(late?.cut).toBe(true);
  const other = await stores.insert({ runId: "nothing-kept" }, items.slice(1, 2));
  expect(await ofRun(other.runUid)).toBeUndefined();
});

test("a picture whose time is over while it is decoded is left out, and the decoder continues with the next", async () => {
  const hundred = sharp({ create: { width: 9_000, height: 9_000, channels: 3, background: "#fff" } });
  const bytes = await hundred.png({ compressionLevel: 1 }).toBuffer();
  const startedAt = Date.now();
  expect(await Thumbnail.of(bytes, { until: startedAt + 150 })).toEqual({
    missing: "it takes too long to decode",
  });
  expect(Date.now() - startedAt).toBeLessThan(2_000);
  expect(await Thumbnail.of(await picture(2), { until: soon() })).toHaveProperty("jpeg");
});

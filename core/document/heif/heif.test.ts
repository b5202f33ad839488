import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import * as HangingHeic from "#core/document/fixtures/hanging-heic";
import { AppError } from "#core/error";
import { guards } from "#spec/guards";
import { inspect } from "#test/support/inspect";

/*
 * Pictures of other encoders (test/support/heif-fixtures.sh), decoded as the product does: in the decoder's process.
 * expected.json beside them has the colors that another decoder shows.
 */

const folder = fileURLToPath(new URL("./fixtures/", import.meta.url));
interface Expected {
  width: number;
  height: number;
  /** The middle of each quarter: above left, above right, below left, below right. */
  quarters: number[][];
}
const expected: Record<string, Expected> = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
const read = (name: string) => readFileSync(join(folder, name));

async function shown(bytes: Uint8Array) {
  const image = await inspect(bytes);
  const sent = await Document.prepare(image, { maxImageTokens: 4096, encodeAs: "png" });
  const { data, info } = await sharp(sent.bytes).raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) => {
    const start = (Math.floor(info.height * y) * info.width + Math.floor(info.width * x)) * info.channels;
    return [...data.subarray(start, start + 3)];
  };
  const quarters = [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75), at(0.75, 0.75)];
  return { image, sent, quarters };
}

const close = (one: number[][], other: number[][]) =>
  Math.max(...one.flatMap((color, i) => color.map((value, j) => Math.abs(value - (other[i]?.[j] ?? 999)))));

/** Decoders round differently, by a few steps. */
const steps = 4;
/** Their numbers are those of Display P3, which the other decoder gives as they are. */
const wide = (name: string) => name.startsWith("p3-");

describe("the picture that a phone shows", () => {
  const names = Object.keys(expected);
  test("there is one of each kind", () => {
    expect(readdirSync(folder).filter((name) => name !== "expected.json")).toEqual(names);
    expect(names.length).toBeGreaterThan(20);
  });

  test.each(names.filter((name) => !wide(name)))("%s", async (name) => {
    const { image, sent, quarters } = await shown(read(name));
    const { width, height, quarters: other } = expected[name] as Expected;
    expect(image).toMatchObject({ width, height, orientation: 1 });
    expect(image.mimeType).toBe(name.endsWith(".avif") ? "image/avif" : "image/heic");
    expect(sent).toMatchObject({ width, height, changed: true });
    expect(close(quarters, other)).toBeLessThanOrEqual(steps);
  });

  test("files of phones also have their rotation in EXIF, which does not rotate them twice", () => {
    // Tag 274, a short, one value, 6.
    const tag = Buffer.from("011200030000000100060000", "hex");
    const little = Buffer.from("120103000100000006000000", "hex");
    const file = read("orientation-6.heic");
    expect(file.includes(tag) || file.includes(little)).toBe(true);
    expect(file.includes("irot")).toBe(true);
  });

  test("of several pictures the primary one is shown, and all are counted", async () => {
    expect(await inspect(read("second-is-primary.heic"))).toMatchObject({ pages: 2 });
    expect(await inspect(read("grid.heic"))).toMatchObject({ pages: 1 });
    expect(await inspect(read("alpha.avif"))).toMatchObject({ pages: 1 });
  });

  /** (200, 30, 30), (30, 160, 30), (30, 30, 200), (220, 210, 40) of Display P3 in sRGB, by the formulas of both. */
  const inSrgb = [
    [218, 0, 9],
    [0, 162, 0],
    [29, 30, 208],
    [223, 210, 0],
  ];
  test.each(names.filter(wide))("%s: its colors become sRGB", async (name) => {
    const { quarters } = await shown(read(name));
    expect(close(quarters, inSrgb)).toBeLessThanOrEqual(steps);
  });
});

describe("a file that was changed in transit", () => {
  test.each(["plain.heic", "grid.heic", "orientation-6.avif"])(
    "%s, in its pixels: it is refused or shown, and the decoder continues",
    async (name) => {
      const whole = read(name);
      const start = whole.indexOf("mdat") + 4;
      const codes = new Set<unknown>();
      for (let at = start; at < whole.length; at += Math.ceil((whole.length - start) / 12)) {
        const bytes = Buffer.from(whole);
        bytes.fill(0xa5, at, Math.min(at + 16, bytes.length));
        codes.add(
          await shown(bytes).then(
            () => "shown",
            (error: unknown) => (error instanceof AppError ? error.code : error),
          ),
        );
      }
      for (const code of codes) expect(["shown", "invalid_image"]).toContain(code);
      expect(await inspect(whole)).toMatchObject({ pages: 1 });
    },
  );
});

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("a library that never returns is ended with its process at the deadline, and the next HEIC is read", async () => {
  const limitMs = 3_000;
  const decoder = new Decoder({
    program: async () => HangingHeic.url,
    limitMs,
    bounds: { ...guards.process, cpuMs: 600_000 },
  });
  try {
    const { first } = await Document.open(read("odd-size.heic"), { decoder });
    expect(first.width).toBe(HangingHeic.hangingWidth);
    const { pid } = decoder;
    await expect(Document.prepare(first, { maxImageTokens: 256 })).rejects.toMatchObject({
      code: "invalid_image",
      details: { reason: "decoding_took_too_long", limit_ms: limitMs },
    });
    await expect.poll(() => isAlive(pid as number)).toBe(false);
    const next = await Document.open(read("plain.heic"), { decoder });
    expect(await Document.prepare(next.first, { maxImageTokens: 256 })).toMatchObject({
      width: 96,
      height: 64,
    });
    expect(decoder.pid).not.toBe(pid);
  } finally {
    decoder.end();
  }
});

const receipt = join(import.meta.dirname, "../../../../shared/data/formats/receipt.heic");
test.skipIf(!existsSync(receipt))("a real HEIC has the pixels of its PNG", async () => {
  const { sent } = await shown(readFileSync(receipt));
  const png = join(receipt, "..", "receipt.png");
  const [one, other] = await Promise.all(
    [sent.bytes, readFileSync(png)].map((bytes) =>
      sharp(bytes).removeAlpha().resize(sent.width, sent.height).raw().toBuffer(),
    ),
  );
  const difference = (one as Buffer).reduce(
    (sum, value, i) => sum + Math.abs(value - ((other as Buffer)[i] ?? 0)),
    0,
  );
  expect(difference / (one as Buffer).length).toBeLessThan(6);
});

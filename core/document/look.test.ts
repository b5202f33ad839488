import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import * as Document from "#core/document/document";
import { draw } from "#test/support/look/receipts";
import { picture } from "#test/support/pictures";

const shared = resolve(import.meta.dirname, "../../../shared/data");
const fonts = ["monospace", "sans-serif"];
const maxImageTokens = 4096;

async function seen(bytes: Uint8Array) {
  const { first } = await Document.open(bytes);
  const look = await Document.look(first);
  return { look, prepared: await Document.prepare(first, { maxImageTokens, look }) };
}

const turned = (bytes: Uint8Array, degrees: number) =>
  sharp(bytes).rotate(degrees, { background: "#777777" }).jpeg({ quality: 92 }).toBuffer();

describe("look", () => {
  test("a receipt on its side or upside down is sent upright", async () => {
    const { bytes } = await draw(3, { fonts, mostTilt: 0, wear: 0.5 });
    const upright = await sharp(bytes).metadata();
    for (const [degrees, back] of [
      [0, 0],
      [90, -90],
      [180, 180],
      [270, 90],
    ] as const) {
      const { look, prepared } = await seen(await turned(bytes, degrees));
      expect([degrees, look.turn]).toEqual([degrees, (360 - degrees) % 360]);
      expect(prepared).toMatchObject({ width: upright.width, height: upright.height, turned: back });
      expect((await seen(prepared.bytes)).look.turn).toBe(0);
    }
  });

  test("a tilt is straightened to within a degree, at any quarter, and the whole picture is kept within the budget", async () => {
    const { bytes } = await draw(3, { fonts, mostTilt: 0, wear: 0.5 });
    for (const tilt of [-8, 6, 94, 173]) {
      const tilted = await turned(bytes, tilt);
      const { look, prepared } = await seen(tilted);
      expect(look.turn).toBe((360 - Math.round(tilt / 90) * 90) % 360);
      expect(Math.abs(look.tilt - (tilt - Math.round(tilt / 90) * 90))).toBeLessThanOrEqual(1);
      expect(prepared.changed).toBe(true);
      const straight = await seen(prepared.bytes);
      expect(straight.look).toMatchObject({ turn: 0, tilt: 0 });
      const small = await Document.open(tilted);
      const fitted = await Document.prepare(small.first, { maxImageTokens: 400, look });
      expect(Math.ceil(fitted.width / 32) * Math.ceil(fitted.height / 32)).toBeLessThanOrEqual(400 * 1.1);
    }
  });

  test("a picture without text is sent as it is", async () => {
    const noise = { type: "gaussian", mean: 200, sigma: 20 } as const;
    const bytes = await sharp({ create: { width: 500, height: 400, channels: 3, background: "#fff", noise } })
      .jpeg()
      .toBuffer();
    const { look, prepared } = await seen(bytes);
    expect([look.turn, look.tilt, prepared.changed]).toEqual([null, 0, false]);
  });

  test("boxes without print have no direction, however many there are: they are sent as they are", async () => {
    const turns = [];
    for (let seed = 1; seed <= 40; seed += 1) turns.push((await seen(await picture(seed))).look.turn);
    expect(turns).toEqual(turns.map(() => null));
  });

  test("it detects a cut or damaged file as reliably as a full decode", async () => {
    const { bytes } = await draw(4, { fonts });
    const progressive = await sharp(bytes).jpeg({ progressive: true }).toBuffer();
    const closed = (share: number) =>
      Buffer.concat([bytes.subarray(0, Math.floor(bytes.length * share)), bytes.subarray(-2)]);
    const cut = (whole: Uint8Array, share: number) => whole.subarray(0, Math.floor(whole.length * share));
    const broken = [0.3, 0.9, 0.999].flatMap((share) => [cut(bytes, share), cut(progressive, share)]);
    for (const each of [...broken, closed(0.5), closed(0.9)]) {
      const { first } = await Document.open(each);
      await expect(Document.look(first)).rejects.toMatchObject({ code: "invalid_image" });
    }
    expect((await seen(bytes)).prepared.changed).toBe(false);
  });

  test.skipIf(!existsSync(shared))(
    "rotated photos of ../shared/data are turned upright (needs ../shared)",
    async () => {
      const file = async (name: string) => (await seen(await readFile(join(shared, "derived", name)))).look;
      expect((await file("rot90_sroie_067.jpg")).turn).toBe(90);
      expect((await file("rot180_sroie_083.jpg")).turn).toBe(180);
      expect((await file("exif6_cord_00058.jpg")).turn).toBe(0);
      const { turn, tilt } = await file("tilt7_sroie_261.jpg");
      expect(turn).toBe(0);
      expect(Math.abs(Math.abs(tilt) - 7)).toBeLessThanOrEqual(1);
    },
  );
});

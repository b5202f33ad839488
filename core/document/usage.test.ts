import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import * as Hanging from "#core/document/fixtures/hanging";
import * as HangingHeic from "#core/document/fixtures/hanging-heic";
import { guards } from "#spec/guards";
import { inspect } from "#test/support/inspect";
import { png } from "#test/support/picture-parts";

/** Decoders that compute or take memory endlessly; their time limit by the clock would be hours. */

const limitMs = 3_600_000;
const decoders: Decoder[] = [];
const decoder = (url: string, bounds: Partial<typeof guards.process>) => {
  const made = new Decoder({
    program: async () => url,
    limitMs,
    bounds: { ...guards.process, ...bounds },
  });
  decoders.push(made);
  return made;
};
afterEach(() => {
  for (const each of decoders.splice(0)) each.end();
});

const heic = (name: string) => readFileSync(new URL(`heif/fixtures/${name}`, import.meta.url));
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe.skipIf(process.platform !== "linux")("what a page may use of the machine", () => {
  test("CPU: at the bound the process is ended, the error says so, and the next file is read", async () => {
    const by = decoder(HangingHeic.url, { cpuMs: 700, cpuMsPerMegapixel: 0 });
    const { first } = await Document.open(heic("odd-size.heic"), { decoder: by });
    const { pid } = by;
    await expect(Document.look(first)).rejects.toMatchObject({
      code: "invalid_image",
      details: { reason: "decoding_took_too_long", limit_cpu_ms: 700 },
    });
    await expect.poll(() => isAlive(pid as number)).toBe(false);
    const next = await Document.open(heic("plain.heic"), { decoder: by });
    expect(await Document.look(next.first)).toMatchObject({ papers: [] });
  }, 60_000);

  test("CPU: a page of more pixels has more", async () => {
    const by = decoder(HangingHeic.url, { cpuMs: 100, cpuMsPerMegapixel: 10 });
    const work = { bytes: heic("odd-size.heic"), sha256: "of the picture" };
    const page = { mimeType: "image/heic", index: 0 } as const;
    const image = { width: HangingHeic.hangingWidth, height: 1, orientation: 1, pixelAspect: 1 };
    for (const [megapixels, limit] of [
      [0, 100],
      [48, 580],
    ] as const)
      await expect(by.run({ op: "look", ...page, image }, { ...work, megapixels })).rejects.toMatchObject({
        details: { limit_cpu_ms: limit },
      });
  }, 60_000);

  test("CPU: opening, looking and drawing once share the limit; drawing again has a new one", async () => {
    const by = decoder(Hanging.url, { cpuMs: 1_500, cpuMsPerMegapixel: 0 });
    // Each step takes 0.3 s of CPU, more on a machine with other work.
    const slow = await inspect(png({ width: Hanging.widths.slow, height: 16 }), { decoder: by });
    for (let i = 0; i < 3; i += 1) {
      await Document.look(slow);
      await Document.prepare(slow, { maxImageTokens: 256 });
    }
    const { pid } = by;
    await Document.look(slow);
    await Document.look(slow);
    expect(by.pid).toBe(pid);
    const again = async () => {
      for (let i = 0; i < 4; i += 1) await Document.look(slow);
    };
    await expect(again()).rejects.toMatchObject({ details: { limit_cpu_ms: 1_500 } });
  }, 60_000);

  test("memory: at the bound the process is ended, the error says so, and the next file is read", async () => {
    const by = decoder(Hanging.url, { residentBytes: 400_000_000 });
    const read = async (width: number) =>
      await Document.prepare(await inspect(png({ width, height: 16 }), { decoder: by }), {
        maxImageTokens: 256,
      });
    await expect(read(Hanging.widths.grows)).rejects.toMatchObject({
      code: "invalid_image",
      details: { reason: "decoding_took_too_much_memory", limit_bytes: 400_000_000 },
    });
    expect(await read(100)).toMatchObject({ width: 100 });
  }, 60_000);
});

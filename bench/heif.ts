import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import { packageRoot } from "#local/home/home";
import { cpuSeconds, peakMb } from "./support/process.ts";

/**
 * `npm run bench -- heif [--json]`: what a HEIC of 12 megapixels costs from its bytes to the JPEG that is sent, in a warm
 * decoder, against `heif-convert` of libheif's examples (Debian's libheif-examples), which writes it in full size. Both
 * in CPU seconds, medians. The picture is made by `heif-enc`; without these programs there is nothing to compare with.
 */

const rounds = 5;
const size = { width: 3024, height: 4032 };

export async function run(args: string[]): Promise<number> {
  if (spawnSync("heif-enc", ["--help"]).error !== undefined) {
    process.stdout.write("skipped: heif-enc and heif-convert are not there (apt install libheif-examples)\n");
    return 0;
  }
  const folder = fs.mkdtempSync(join(tmpdir(), "ocrlty-heif-"));
  const decoder = new Decoder();
  try {
    const heic = await made(folder);
    const theirs = Array.from({ length: rounds }, () => convert(heic, join(folder, "out.jpg")));
    const ours: number[] = [];
    let sent = { width: 0, height: 0 };
    for (let i = 0; i <= rounds; i += 1) {
      // Another file each time, so that nothing is left of the one before.
      const bytes = Buffer.concat([
        fs.readFileSync(heic),
        Buffer.from([0, 0, 0, 9, ...Buffer.from("free"), i]),
      ]);
      const before = cpuSeconds(decoder.pid);
      const { first } = await Document.open(bytes, { decoder });
      sent = await Document.prepare(first, { maxImageTokens: 4096 });
      ours.push(cpuSeconds(decoder.pid) - before);
    }
    const figures = {
      file_mb: Math.round(fs.statSync(heic).size / 1e5) / 10,
      sent: `${sent.width} x ${sent.height}`,
      first_cpu_s: rounded(ours[0] ?? 0),
      cpu_s: median(ours.slice(1)),
      heif_convert_cpu_s: median(theirs),
      ratio: rounded(median(ours.slice(1)) / median(theirs)),
      peak_mb: peakMb(decoder.pid),
    };
    if (args.includes("--json")) process.stdout.write(`${JSON.stringify(figures)}\n`);
    else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name}: ${value}\n`);
    return 0;
  } finally {
    decoder.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** A sample, enlarged to what a phone takes, with the noise of a sensor. */
async function made(folder: string): Promise<string> {
  const sample = join(packageRoot, "samples", "cord-bakery.jpg");
  const noise = { create: { ...size, channels: 3 as const, background: "#808080", noise: noiseOf } };
  const grain = await sharp(noise).png().toBuffer();
  const png = join(folder, "in.png");
  await sharp(sample)
    .resize({ ...size, fit: "fill" })
    .composite([{ input: grain, blend: "soft-light" }])
    .removeAlpha()
    .png({ compressionLevel: 1 })
    .toFile(png);
  const heic = join(folder, "in.heic");
  execFileSync("heif-enc", ["-q", "60", png, "-o", heic], { stdio: "ignore" });
  return heic;
}

const noiseOf = { type: "gaussian" as const, mean: 128, sigma: 12 };

/** CPU seconds of one conversion, by the shell's own count of its children. */
function convert(from: string, to: string): number {
  const script = 'heif-convert -q 90 "$1" "$2" >/dev/null 2>&1; times';
  const told = execFileSync("sh", ["-c", script, "sh", from, to], { encoding: "utf8" });
  const children = told.trim().split("\n").at(-1) ?? "";
  const seconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(([, m, s]) => Number(m) * 60 + Number(s));
  return seconds.reduce((sum, each) => sum + each, 0);
}

const rounded = (value: number) => Math.round(value * 100) / 100;

function median(values: readonly number[]): number {
  return rounded([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
}

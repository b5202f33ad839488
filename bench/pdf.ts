/**
 * `npm run bench -- pdf [--json] [FILE…]`: CPU time from a PDF's bytes to the JPEG of its first page, in a warm instance,
 * against `pdftoppm -jpeg` with the same page and pixels; and the memory that ten pages take. Without poppler there is
 * nothing to compare with, and it says so.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import sharp from "sharp";
import { format } from "#core/document/pdf/pdf";
import * as Render from "#core/document/render";
import type * as Encode from "#core/image/encode";
import * as Native from "#core/image/native";
import { firstAfter, pages, scanned } from "#test/support/pdf";
import * as Figures from "./support/figures.ts";

const rounds = 15;
const warmUpRounds = 5;
/** As much as a page gets in a context of 16,384 tokens. */
const maxImageTokens = 4096;

/** A page of 70 lines in small print. */
function textPage(): Uint8Array {
  const words = (line: number) =>
    Array.from({ length: 11 }, (_, i) => `word${(line * 7919 + i * 104_729) % 9973}`).join(" ");
  const content = Array.from(
    { length: 70 },
    (_, i) => `BT /F1 9 Tf 40 ${800 - 11 * i} Td (${words(i)}) Tj ET`,
  ).join("\n");
  return pages([{ content, box: "0 0 595 842" }]);
}

/** A page that is one JPEG of 300 dots an inch, in color, with noise as paper has it. */
async function scanPage(): Promise<Uint8Array> {
  const [width, height] = [2480, 3508];
  const noise = { type: "gaussian", mean: 235, sigma: 6 } as const;
  const lines = Array.from(
    { length: 60 },
    (_, i) => `<text x="200" y="${300 + 50 * i}" font-size="40">Item ${i} of a receipt 12.50</text>`,
  );
  const print = Buffer.from(`<svg width="${width}" height="${height}">${lines.join("")}</svg>`);
  const jpeg = await sharp({ create: { width, height, channels: 3, background: "white", noise } })
    .composite([{ input: print }])
    .jpeg({ quality: 85 })
    .toBuffer();
  const dict = `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode`;
  return pages([scanned(firstAfter(1), { matrix: "595 0 0 842 0 0", box: "0 0 595 842" })], {
    more: [{ dict, data: jpeg }],
  });
}

/** A drawn page has no pixels of its own: this is not looked at. */
const shape = { width: 1, height: 1, orientation: 1, pixelAspect: 1 };

async function jpegOf(bytes: Uint8Array, index = 0): Promise<Encode.Encoded> {
  const opened = await format.open(bytes, { password: undefined });
  const encoded = await Render.reader(opened).encode(index, shape, { maxImageTokens });
  opened.close();
  return encoded;
}

/** CPU milliseconds of one call, the median of many. */
async function ours(bytes: Uint8Array): Promise<{ ms: number; width: number; height: number }> {
  for (let i = 0; i < warmUpRounds; i += 1) await jpegOf(bytes);
  const times: number[] = [];
  for (let i = 0; i < rounds; i += 1) {
    const before = process.cpuUsage();
    await jpegOf(bytes);
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  const { width, height } = await jpegOf(bytes);
  return { ms: Figures.median(times), width, height };
}

/** The same of poppler's program; undefined where it is not installed. */
function poppler(file: string, { width, height }: { width: number; height: number }): number | undefined {
  const command = `time pdftoppm -jpeg -f 1 -l 1 -scale-to-x ${width} -scale-to-y ${height} "$1" "$2"`;
  const times: number[] = [];
  for (let i = 0; i < rounds; i += 1) {
    const env = { ...process.env, TIMEFORMAT: "%U %S" };
    const { status, stderr } = spawnSync("bash", ["-c", command, "-", file, `${file}.out`], {
      env,
      encoding: "utf8",
    });
    if (status !== 0) return undefined;
    const [user = 0, system = 0] = (stderr.trim().split("\n").at(-1) ?? "").split(" ").map(Number);
    times.push((user + system) * 1000);
  }
  return Figures.median(times);
}

/** The most that this process has resided in memory while it drew ten pages one after the other, in MB. */
async function tenPages(): Promise<number> {
  const content = "BT /F1 30 Tf 40 400 Td (Page) Tj ET 1 0 0 rg 0 0 200 200 re f";
  const bytes = pages(Array.from({ length: 10 }, () => ({ content, box: "0 0 595 842" })));
  const opened = await format.open(bytes, { password: undefined });
  const sent = [];
  for (let index = 0; index < 10; index += 1)
    sent.push(await Render.reader(opened).encode(index, shape, { maxImageTokens: 16_384 }));
  opened.close();
  // On Linux `maxRSS` of a process is at least what its parent had when it was started.
  const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
  const own = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return (own === undefined ? process.resourceUsage().maxRSS : Number(own)) / 1000;
}

export async function run(args: string[]): Promise<number> {
  const asJson = args.includes("--json");
  const files = args.filter((arg) => !arg.startsWith("--"));
  const work = mkdtempSync(join(tmpdir(), "ocrlty-bench-pdf-"));
  const given: [string, Uint8Array][] = [
    ["a page of text", textPage()],
    ["a page that is one scanned picture", await scanPage()],
    ...files.map((file): [string, Uint8Array] => [basename(file), readFileSync(file)]),
  ];
  // Closes sharp to drawings such as those of the page above.
  await Native.load();
  const measured = [];
  for (const [name, bytes] of given) {
    const file = join(work, "page.pdf");
    writeFileSync(file, bytes);
    const own = await ours(bytes);
    measured.push({ name, ...own, poppler_ms: poppler(file, own) });
  }
  const memory = await tenPages();
  rmSync(work, { recursive: true });
  if (asJson) {
    process.stdout.write(`${JSON.stringify({ measured, ten_pages_mb: Figures.round(memory) })}\n`);
    return 0;
  }
  const rows = measured.map(({ name, width, height, ms, poppler_ms }) => [
    name,
    `${width} × ${height}`,
    Figures.round(ms),
    poppler_ms === undefined ? "not installed" : Figures.round(poppler_ms),
    poppler_ms === undefined ? "" : Figures.round(ms / poppler_ms, 2),
  ]);
  const head = ["page", "pixels", "CPU ms, bytes to JPEG", "CPU ms, pdftoppm", "ratio"];
  process.stdout.write(
    `${Figures.table(head, rows)}\n\nten pages: ${Figures.round(memory)} MB resident at most\n`,
  );
  return 0;
}

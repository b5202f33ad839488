import sharp from "sharp";

/*
 * Long receipts for scripted model servers, which find out from a picture which lines it shows. The number of each
 * printed line is drawn beside it as three pale bars, whose blue can be read even after the picture was scaled and
 * compressed.
 */

const [bar, margin, print] = [{ wide: 60, high: 16 }, 8, { left: 210, wide: 400, pitch: 24, size: 17 }];
const width = print.left + print.wide + margin;
/** The blue values of a bar, one for each octal digit. */
const levels = { digit: 8, step: 20, most: 228 };
const bars = [64, 8, 1].map((worth, at) => ({ worth, left: margin + at * (bar.wide + 6) }));

interface Line {
  left: string;
  right?: string;
}

/** A PNG with one line of print each; at most 512 lines. */
export async function longPaper(lines: readonly Line[]): Promise<Buffer> {
  const parts = lines.map(({ left, right = "" }, at) => {
    const y = margin + at * print.pitch;
    const numbers = bars.map(({ worth, left }) => {
      const blue = levels.most - levels.step * (Math.floor(at / worth) % levels.digit);
      return `<rect x="${left}" y="${y + 2}" width="${bar.wide}" height="${bar.high}" fill="rgb(255,255,${blue})"/>`;
    });
    const text = (x: number, anchor: string, said: string) =>
      `<text x="${x}" y="${y + print.size - 1}" text-anchor="${anchor}">${said}</text>`;
    return [...numbers, text(print.left, "start", left), text(print.left + print.wide, "end", right)].join(
      "",
    );
  });
  const height = 2 * margin + lines.length * print.pitch;
  // librsvg draws at most 32,767 pixels of height, and long texts faster in parts.
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/><g font-family="monospace" font-size="${print.size}" fill="#222">${parts.join("")}</g></svg>`;
  // Tests share a process, and the product blocks what it does not read itself (core/image/native.ts).
  sharp.unblock({ operation: ["VipsForeignLoadSvg"] });
  return await sharp(Buffer.from(svg), { unlimited: true }).png().toBuffer();
}

interface Shown {
  /** The numbers of the lines that are completely visible, from 0. */
  lines: number[];
  /** The numbers of lines that are partly visible. */
  broken: number;
}

/** The lines of long paper that a picture shows, in whatever size it was sent. */
export async function shownOn(bytes: Uint8Array): Promise<Shown> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const scale = info.width / width;
  const blueAt = (left: number, y: number) => {
    let [sum, count] = [0, 0];
    for (let x = Math.round((left + 12) * scale); x < Math.round((left + bar.wide - 12) * scale); x += 1) {
      sum += data[(y * info.width + x) * info.channels + 2] ?? 0;
      count += 1;
    }
    return sum / count;
  };
  const shown: Shown = { lines: [], broken: 0 };
  for (let y = 0; y < info.height; y += 1) {
    const start = y;
    while (y < info.height && blueAt(margin, y) < 247) y += 1;
    if (y - start < 3) continue;
    if (y - start < 0.75 * bar.high * scale) {
      shown.broken += 1;
      continue;
    }
    const row = Math.round((start + y - 1) / 2);
    const digit = (left: number) => Math.round((levels.most - blueAt(left, row)) / levels.step);
    shown.lines.push(bars.reduce((sum, { worth, left }) => sum + worth * digit(left), 0));
  }
  return shown;
}

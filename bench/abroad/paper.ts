import type { Sharp } from "sharp";

/** A made-up receipt as it is drawn, and what a reader should find on it. No shop, number or person here exists. */
export interface Receipt {
  id: string;
  /** What the paper looks like; fonts are those of any Linux desktop, and others take their place elsewhere. */
  look: Look;
  /** `a | b` puts b at the right edge, `^ a` centers, `--` draws a rule, `# a` is large. */
  lines: string;
  expected: { currency: string; total: string; date: string; items: number };
}

interface Look {
  font: "DejaVu Sans Mono" | "DejaVu Sans" | "DejaVu Serif" | "DejaVu Sans Condensed";
  fontPx: number;
  widthPx: number;
  /** Degrees; a hand-held photo is never straight. */
  tilt?: number;
  /** Sigma of a blur, in pixels. */
  blur?: number;
  ink?: string;
  paper?: string;
  jpegQuality?: number;
}

const marginPx = 24;

/** The picture of a receipt, drawn by the SVG renderer of sharp; in a process that has not loaded core/image. */
export async function draw(sharp: (input: Buffer) => Sharp, { look, lines }: Receipt): Promise<Buffer> {
  const { font, fontPx, widthPx, ink = "#222", paper = "#fff" } = look;
  const step = Math.round(fontPx * 1.45);
  let y = marginPx + fontPx;
  const drawn: string[] = [];
  const text = (content: string, x: number, anchor: string, size: number) =>
    drawn.push(
      `<text x="${x}" y="${y}" font-size="${size}" text-anchor="${anchor}" xml:space="preserve">${escaped(content)}</text>`,
    );
  for (const line of lines.trim().split("\n")) {
    const size = line.startsWith("# ") ? fontPx * 1.5 : fontPx;
    const content = line.replace(/^[#^] /, "");
    const [left = "", right] = content.split(" | ");
    if (line === "--") {
      const ruleY = y - fontPx / 3;
      drawn.push(
        `<line x1="${marginPx}" x2="${widthPx - marginPx}" y1="${ruleY}" y2="${ruleY}" stroke-dasharray="6 4"/>`,
      );
    } else if (/^[#^] /.test(line)) text(content, widthPx / 2, "middle", size);
    else text(left, marginPx, "start", size);
    if (right !== undefined) text(right, widthPx - marginPx, "end", size);
    y += line.startsWith("# ") ? Math.round(step * 1.4) : step;
  }
  const height = y + marginPx;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="${height}" font-family="${font}" fill="${ink}" stroke="none">
<rect width="100%" height="100%" fill="${paper}"/><g stroke-width="1">${drawn.join("\n").replaceAll("<line", `<line stroke="${ink}"`)}</g></svg>`;
  let picture = sharp(Buffer.from(svg)).flatten({ background: paper });
  if (look.tilt) picture = picture.rotate(look.tilt, { background: "#8a8378" });
  if (look.blur) picture = picture.blur(look.blur);
  return picture.jpeg({ quality: look.jpegQuality ?? 85 }).toBuffer();
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
